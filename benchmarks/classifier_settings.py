"""Choose a small classifier for few real records, without reading the test records.

Four-fold cross-validation on a dataset's training and validation records, with the records of a patient in one fold.
A fifth of the records that a fold trains on decides when the training stops. The best candidate comes first in
docs/data/classifier_settings.csv; its ``settings`` belong in ``configs/physionet_matrix.yaml``. Run it from the
repository's root on datasets that a study has preprocessed::

    python benchmarks/classifier_settings.py results_matrix/results/data/ptbxl results_matrix/results/data/chapman
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measuring import DATA
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from ecgpipe.classify.inputs import Standardizer, select, standardized
from ecgpipe.classify.metrics import classification_metrics
from ecgpipe.classify.training import build, fit, predict
from ecgpipe.config import AnyClassifier, classifier_settings
from ecgpipe.dataset import Dataset

CSV = DATA / "classifier_settings.csv"
CNN = {"kind": "cnn", "blocks": 5, "channels": 8, "width": 64, "dense_layers": 1, "dropout": 0.0}
XRESNET = {"kind": "xresnet1d", "depth": 18, "channels": 8}
CANDIDATES = [
    {**network, "loss": loss, "learning_rate": rate, "steps": steps}
    for network, loss, rate, steps in [
        *itertools.product((CNN,), ("cross_entropy", "weighted"), (0.002, 0.006), (90, 270)),
        *itertools.product((XRESNET,), ("cross_entropy", "weighted"), (0.002, 0.006), (90,)),
    ]
]
"""Each training takes one to three seconds on one core."""
COMMON = {"batch": 16, "patience": 4}
METRICS = ("f1", "balanced_accuracy", "roc_auc")
FOLDS, STOPPING_FOLDS = 4, 5
CPU = torch.device("cpu")


def split(labels: np.ndarray, patients: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split records into folds, stratified by class, with all records of a patient in one fold.

    Returns:
        For each fold the positions of the other records and those of the fold.
    """
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(cut.split(labels, labels, patients))


def judged(dataset: Dataset, settings: AnyClassifier, seed: int) -> dict[str, float]:
    """Cross-validate a candidate and return the metrics of the predictions of all folds together."""
    records = select(dataset, "train") + select(dataset, "validation")
    rows = np.concatenate([dataset.indices("train"), dataset.indices("validation")])
    patients = dataset.records["patient"].to_numpy()[rows]
    probabilities = np.empty((len(records), len(dataset.spec.classes)), dtype=np.float32)
    for rest, fold in split(records.labels, patients, FOLDS, seed):
        learnt, stopping = split(records.labels[rest], patients[rest], STOPPING_FOLDS, seed)[0]
        train = records.subset(rest[learnt])
        standardizer = Standardizer.fit(train)
        parts = [standardized(part, standardizer, CPU) for part in (train, records.subset(rest[stopping]))]
        model = build(dataset.spec, settings, seed)
        fit(model, *parts, settings, seed, CPU)
        probabilities[fold] = predict(model, standardized(records.subset(fold), standardizer, CPU))
    table = classification_metrics(records.labels, probabilities, dataset.spec.classes)
    overall = table[table["class"].isin(["all", "macro"])].set_index("metric")["value"]
    return {name: float(overall[name]) for name in METRICS}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("datasets", type=Path, nargs="+", help="folders of preprocessed datasets")
    arguments.add_argument("--seeds", type=int, default=2)
    args = arguments.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The least populated class")  # a rhythm of one or two records
    opened = {folder.name: Dataset.load(folder) for folder in args.datasets}
    tasks = list(itertools.product(opened, CANDIDATES, range(args.seeds)))
    rows = []
    for name, candidate, seed in tqdm(tasks, unit="candidate"):
        settings = classifier_settings({**candidate, **COMMON})
        began = time.process_time()
        metrics = judged(opened[name], settings, seed)
        seconds = (time.process_time() - began) / FOLDS
        rows.append(
            {"dataset": name, "settings": json.dumps(candidate), "seed": seed, **metrics, "cpu_seconds": seconds}
        )
    table = pd.DataFrame(rows)
    means = table.groupby(["settings", "dataset"])[list(METRICS)].mean()
    wide = means.unstack("dataset")
    wide.columns = [f"{metric}_{name}" for metric, name in wide.columns]
    wide.insert(0, "f1", means["f1"].groupby("settings").mean())
    wide.insert(1, "seeds", args.seeds)
    wide["cpu_seconds"] = table.groupby("settings")["cpu_seconds"].mean()
    for name, dataset in opened.items():
        wide[f"records_{name}"] = len(dataset.indices("train")) + len(dataset.indices("validation"))
    wide = wide.sort_values("f1", ascending=False).round(4)
    wide.to_csv(CSV)
    print(wide.to_string())


if __name__ == "__main__":
    main()
