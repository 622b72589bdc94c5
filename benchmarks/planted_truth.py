"""Are the verdicts right where the truth is known? Writes docs/data/planted_truth.csv and docs/data/null_p_values.csv.

Simulated patients stand for the real ones, and synthetic sets whose worth is known are given to the study's own code: the
same nested shares, training loop, early stop and statistics, but a small network on features instead of signals, so that
the whole comparison can be repeated. Run it from the repository's root: ``python benchmarks/planted_truth.py``.

========  ==================================================================  ======================================
truth     the synthetic records                                               right verdict
========  ==================================================================  ======================================
fresh     new patients from the same simulator                                helps at small shares
shuffled  the same with their labels shuffled                                 never helps
copies    the real training records in use, again                             no difference
memory    the whole real training split: a generator that learnt by heart     helps where only a share of it is in use
again     none: the real records alone, other seeds                           no difference
========  ==================================================================  ======================================
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from ecgpipe.acquire.heart import HOSPITALS, RHYTHMS, draw_patient, simulate_ecg
from ecgpipe.classify.inputs import InMemory
from ecgpipe.classify.subsets import subset
from ecgpipe.classify.training import fit, predict
from ecgpipe.config import ClassifierSettings
from ecgpipe.tables.cells import AUGMENTED, REAL, Cell
from ecgpipe.tables.comparisons import PRIMARY, comparisons_table
from ecgpipe.tables.draws import Draws

CLASSES = tuple(RHYTHMS)
TRAIN, VALIDATION, TEST, FRESH = 210, 70, 140, 420
FRACTIONS = (0.1, 1.0)
POPULATION = 4200
"""Simulated patients, of whom each repetition draws its own."""
TRUTHS = ("fresh", "shuffled", "copies", "memory", "again")
RATE, SECONDS = 100.0, 10.0
SETTINGS = ClassifierSettings(learning_rate=0.01, batch=16, steps=40, patience=5)
CPU = torch.device("cpu")


def features(ecg: np.ndarray) -> np.ndarray:
    """Describe one ECG ``(12, 1000)``: power in bands (mean of the leads) and how its slope repeats itself in lead II."""
    power = np.abs(np.fft.rfft(ecg - ecg.mean(axis=1, keepdims=True), axis=1)) ** 2
    bands = np.log(np.add.reduceat(power.mean(axis=0)[5:245], np.arange(0, 240, 12)) + 1e-6)
    slope = np.abs(np.diff(ecg[1]))
    slope = np.convolve(slope - slope.mean(), np.ones(8) / 8, mode="same")
    spectrum = np.abs(np.fft.rfft(slope, 2048)) ** 2
    repeats = np.fft.irfft(spectrum)[: int(1.6 * RATE)] / spectrum.sum() * len(spectrum)
    return np.concatenate([bands, repeats[20::5]])


def population(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw patients, a recording each: features ``(n, f)`` and class ids ``(n,)``, as many of each class."""
    labels = np.arange(n) % len(CLASSES)
    rows = []
    for number, label in enumerate(tqdm(labels, desc="patients", disable=None)):
        rng = np.random.default_rng([seed, number])
        patient = draw_patient(rng, HOSPITALS["b"], CLASSES[label])
        rows.append(features(simulate_ecg(rng, CLASSES[label], HOSPITALS["b"], patient, RATE, SECONDS)))
    return np.array(rows, dtype=np.float32), labels


def probabilities(train: tuple, validation: tuple, test: tuple, seed: int) -> np.ndarray:
    """Train on ``train`` (features, labels), stop on ``validation``; class probabilities of ``test``."""
    mean, deviation = train[0].mean(axis=0), train[0].std(axis=0) + 1e-6
    parts = [
        InMemory(torch.from_numpy((x - mean) / deviation), torch.from_numpy(y)) for x, y in (train, validation, test)
    ]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(len(mean), 32), nn.ReLU(), nn.Dropout(0.25), nn.Linear(32, len(CLASSES)))
    fit(model, parts[0], parts[1], SETTINGS, seed, CPU)
    return predict(model, parts[2])


def comparison(
    x: np.ndarray, y: np.ndarray, seeds: int, fractions: tuple[float, ...], truths: tuple[str, ...], seed: int
) -> list[Cell]:
    """Run one whole comparison on the records given, which are in random order: cells as the tables read them."""
    cuts = np.cumsum([TRAIN, VALIDATION, TEST])
    (train, validation, test), fresh = ((x[part], y[part]) for part in np.split(np.arange(cuts[-1]), cuts[:-1])), None
    if {"fresh", "shuffled"} & set(truths):
        fresh = x[cuts[-1] : cuts[-1] + FRESH], y[cuts[-1] : cuts[-1] + FRESH]
    names = np.array([f"p{i:03d}" for i in range(TEST)])
    cells = []
    for fraction in fractions:
        found: dict[str, list[np.ndarray]] = {truth: [] for truth in ("none", *truths)}
        for repetition in range(seeds):
            entropy = 1000 * seed + repetition
            chosen = subset(train[1], fraction, entropy)
            share = train[0][chosen], train[1][chosen]
            for truth, results in found.items():
                if truth in ("fresh", "shuffled"):
                    labels = np.random.default_rng([entropy, 7]).permutation(fresh[1])
                    added = fresh[0], fresh[1] if truth == "fresh" else labels
                elif truth == "copies":
                    added = share
                elif truth == "memory":
                    added = train
                else:
                    added = x[:0], y[:0]
                learnt = tuple(np.concatenate(pair) for pair in zip(share, added, strict=True))
                results.append(probabilities(learnt, validation, test, entropy + 500_000_000 * (truth != "none")))
        for truth, results in found.items():
            setting, ratio = (REAL, "none") if truth == "none" else (AUGMENTED, "all")
            key = ("simulated", setting, truth, fraction, ratio, "simulated")
            cells.append(Cell(*key, CLASSES, tuple(range(seeds)), names, names, test[1], np.array(results)))
    return cells


def verdicts(cells: list[Cell], seeds: int, fractions: tuple[float, ...]) -> pd.DataFrame:
    """Compare, with the first ``seeds`` repetitions; each truth is a family of its own, as one generator would be."""
    tables = []
    for truth in {cell.generator for cell in cells} - {"none"}:
        mine = [
            Cell(*c.key, c.classes, c.seeds[:seeds], c.records, c.patients, c.labels, c.probabilities[:seeds])
            for c in cells
            if c.generator in ("none", truth)
        ]
        tables.append(comparisons_table(mine, fractions, (), Draws(300, 1), 0.95).assign(truth=truth, seeds=seeds))
    return pd.concat(tables)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repetitions", type=int, default=20, help="of the whole comparison")
    arguments.add_argument("--null", type=int, default=60, help="repetitions of the comparison of equals")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[3], help="numbers of seeds")
    arguments.add_argument("--out", type=Path, default=Path("docs/data"))
    args = arguments.parse_args()
    torch.set_num_threads(1)
    need = TRAIN + VALIDATION + TEST + FRESH
    x, y = population(POPULATION, 2411)
    tables = []
    for repetition in tqdm(range(args.repetitions), desc="comparisons", disable=None):
        part = np.random.default_rng([5, repetition]).permutation(len(y))[:need]
        cells = comparison(x[part], y[part], max(args.seeds), FRACTIONS, TRUTHS, repetition)
        tables += [verdicts(cells, seeds, FRACTIONS).assign(repetition=repetition) for seeds in args.seeds]
    table = pd.concat(tables)
    table = table[table["metric"] == PRIMARY]
    counts = table.groupby(["truth", "fraction", "seeds", "verdict"]).size().unstack(fill_value=0).reset_index()
    means = table.groupby(["truth", "fraction", "seeds"])[["reference", "difference", "smallest_effect"]].mean()
    counts = counts.merge(means.round(4).reset_index(), on=["truth", "fraction", "seeds"])
    args.out.mkdir(parents=True, exist_ok=True)
    counts.to_csv(args.out / "planted_truth.csv", index=False)
    rows = []
    for repetition in tqdm(range(args.null), desc="equals", disable=None):
        part = np.random.default_rng([6, repetition]).permutation(len(y))[:need]
        cells = comparison(x[part], y[part], 5, (0.1,), ("again",), 10_000 + repetition)
        for seeds in (3, 5):
            found = verdicts(cells, seeds, (0.1,))
            rows += found.assign(repetition=repetition)[
                ["repetition", "seeds", "metric", "difference", "low", "high", "p_value", "p_swap"]
            ].to_dict("records")
    pd.DataFrame(rows).round(5).to_csv(args.out / "null_p_values.csv", index=False)


if __name__ == "__main__":
    main()
