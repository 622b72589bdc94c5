"""What each table holds, and what each column of it means."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecgpipe.vocabulary import TRAINING_RECORDS

TABLE_MEANINGS = {
    "classification": "Each metric of each network on the test records: a row for each seed, class and metric.",
    "transfer": "The same for networks that were pre-trained on synthetic records.",
    "summary": "Means over the seeds, with intervals over seeds (or a generator's repetitions) and test patients.",
    "comparisons": "Networks that saw synthetic records against their reference, on the same seeds and test records.",
    "verdicts": "The paper's conclusions, and what this study found.",
    "confusion": "Test records by true and predicted class: mean counts over the seeds.",
    "training": "A row for each training of a classifier.",
    "data": "Records and patients by dataset, split and class.",
    "exclusions": "Records that were left out, by reason.",
    "runtime": "What each job took.",
    "closeness": "How close synthetic records come to held-out real ones, and what real training records reach.",
    "privacy": "Whether generators reproduce training records.",
    "copies": "Pairs of a synthetic and a training record that the privacy audit points to.",
    "curves": "Mean curves of real and synthetic records.",
    "points": "Positions of records in the maps.",
}

_COLUMNS = {
    "dataset": "Dataset that the network, generator or record belongs to.",
    "rotation": "Which rotation of the dataset's folds the row belongs to, from 1; 1 if the folds do not rotate.",
    "setting": "What was trained on and tested on (Tr train, Te test, R real, S synthetic), or how a pre-trained "
    "network was trained further.",
    "method": "How a pre-trained network was trained further: frozen, finetuned or probe.",
    "generator": "Generator of the synthetic records; `none`: none; `control: …`: a control; `real: …`: real records.",
    "fraction": "Share of the real training records, 0 to 1.",
    "ratio": "Synthetic records for each real one; `all`: all of them; `balance`: rare classes filled up.",
    "tested": "Dataset of the test records; `…/generator` for synthetic ones.",
    "seed": "Seed of the repetition.",
    "class": "Class of the records; `all`: every class; `macro`: the mean over classes.",
    "metric": "What was measured.",
    "value": "Its value.",
    "support": "Number of test records.",
    "note": "Remarks, for instance why no verdict is possible.",
    "simulated": "Whether any record of the dataset is simulated.",
    "mean": "Mean over the seeds.",
    "sd": "Standard deviation over the seeds.",
    "low": "Lower end of the interval.",
    "high": "Upper end of the interval.",
    "seeds": "Number of seeds.",
    "patients": "Number of patients.",
    "records": "Number of records.",
    "experiment": "Question that the comparison answers.",
    "n_real": "Real training records.",
    "n_synthetic": "Synthetic training records.",
    "against": "What the network is compared with.",
    "reference": "Mean of the networks compared with.",
    "difference": "value minus reference.",
    "standard_error": "Standard error of the difference.",
    "degrees_of_freedom": "Degrees of freedom of the standard error.",
    "p_value": "Two-sided p-value, not corrected.",
    "p_holm": "p-value after Holm's correction over the family.",
    "p_swap": "p-value of swapping the two networks of whole seeds; decides nothing.",
    "family": "Number of comparisons that Holm's correction counts.",
    "left_out": "Classes that macro averages leave out, with their test patients.",
    "verdict": "What was found: helps, harms, no difference shown, cannot tell; agrees or disagrees with the paper.",
    "smallest_effect": "True difference that would have been shown with a probability of 80 %.",
    "repetitions": "How often each generator was trained and sampled from; with 1, no interval covers its randomness.",
    "best_baseline": "Simple baseline with the highest mean; empty if there is none.",
    "against_best_baseline": "Verdict of the comparison with it.",
    "conclusion": "Number of the paper's conclusion.",
    "claim": "The paper's conclusion in words.",
    "evidence": "The figures that decide the verdict.",
    "comparisons": "Number of comparisons that decide.",
    "true": "Class of the records.",
    "predicted": "Class that the network named.",
    "steps": "Training steps.",
    "best_step": "Step with the best validation loss, whose weights were tested.",
    "validation_loss": "Loss on the validation records at that step.",
    "seconds": "Wall-clock time, s.",
    "parameters": "Number of weights of the network.",
    "n_train": "Training records.",
    "n_validation": "Validation records.",
    "n_test": "Test records.",
    "split": "train, validation or test; `all`: every split.",
    "reason": "Why.",
    "stage": "Stage of the study.",
    "job": "Job of the workflow.",
    "start_up_seconds": "Time to start the interpreter, import and end, s.",
    "cpu_seconds": "Processor time, s.",
    "peak_memory_mb": "Largest resident memory, MB.",
    "measure": "Name of the measure; the report defines each.",
    "lead": "Lead; `all`: over the leads.",
    "floor": "What real training records reach in the same comparison.",
    "floor_low": "Lower end of the floor's interval.",
    "floor_high": "Upper end of the floor's interval.",
    "direction": "Better values: lower, higher, or those near the floor.",
    "unit": "Unit of the value; empty if it has none.",
    "n": "Records on each side.",
    "synthetic": "Name of the synthetic record.",
    "training": "Name of the training record.",
    "kind": "Why the pair is listed.",
    "similarity": "Largest correlation when one record may be shifted and scaled and its leads inverted.",
    "shift": "Shift of that correlation, s.",
    "distance": "Root mean square difference of the records, mV.",
    "picture": "Which curve: spectrum, autocorrelation, amplitude, beat, RR, PR, QRS or QT.",
    "x": "Abscissae of the curve (Hz, s, mV or ms); in CSV separated by spaces.",
    "y": "Ordinates of the curve; in CSV separated by spaces.",
    "record": "Name of the record.",
    "pca_1": "First principal component of the random-kernel features.",
    "pca_2": "Second principal component.",
    "tsne_1": "First coordinate of t-SNE.",
    "tsne_2": "Second coordinate of t-SNE.",
}

_OF_TABLE = {
    ("comparisons", "value"): "Mean of the networks that saw synthetic records.",
    (
        "comparisons",
        "n_real",
    ): "Real training records of the network; of a pre-trained one, those it was fine-tuned on.",
    ("verdicts", "smallest_effect"): "What the comparisons that decide could show with a probability of 80 % each.",
    ("verdicts", "verdict"): "Whether this study agrees or disagrees with the paper, or cannot tell.",
    ("privacy", "verdict"): "copies, memorises, no sign of copying, or cannot tell.",
    ("privacy", "floor"): "Value that is expected without memorisation.",
    ("confusion", "mean"): "Mean count over the seeds.",
    ("confusion", "sd"): "Standard deviation of the count over the seeds.",
    ("runtime", "dataset"): "Dataset of the job; empty if it has none.",
    ("runtime", "generator"): "Generator of the job; empty if it has none.",
    ("points", "generator"): "Set of the record: a generator, or `real: …`.",
}


def meaning(table: str, column: str) -> str:
    """Return what a column means; nothing if it is not known."""
    if column.startswith(TRAINING_RECORDS):
        return f"Training records of class {column.removeprefix(TRAINING_RECORDS)}."
    return _OF_TABLE.get((table, column), _COLUMNS.get(column, ""))


def _type(column: pd.Series) -> str:
    if len(column) and isinstance(column.iloc[0], np.ndarray | list):
        return "list of numbers"
    for name, test in (
        ("boolean", pd.api.types.is_bool_dtype),
        ("integer", pd.api.types.is_integer_dtype),
        ("number", pd.api.types.is_numeric_dtype),
    ):
        if test(column):
            return name
    return "text"


def described(name: str, table: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Return table, column, type and meaning of each column."""
    return [(name, str(column), _type(table[column]), meaning(name, str(column))) for column in table.columns]
