"""Does the test of a difference hold its level where the folds of a dataset rotate? Real small learners.

    python benchmarks/planted_rotations.py            # measures docs/data/planted_rotations.csv
    python benchmarks/planted_rotations.py --render   # writes the section of docs/statistics.md again

A hospital has as many patients of each rhythm as PTB-XL's fold 10, with one to three records each, in ten folds. A
record is a vector of features about its patient's, which lies about its rhythm's. A network is a layer of random
rectified units, drawn by its seed, and a ridge regression on classes that weigh the same. It learns from the training
folds of a rotation and answers on the test folds. All is solved exactly, so that a hospital with all its rotations,
seeds and methods takes a second or two.

Two estimands are checked. *These hospitals*: the difference that networks of these training sets have on new patients,
mean over rotations, seeds and generators; it is found with further seeds on many new patients. *Any hospital*: the mean
of that over hospitals.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import DATA, DOCS, markdown_table, parser, remembered, write_section
from planted_counts import FOLD_TEN, LEVELS
from planted_counts import RHYTHMS as NAMES
from scipy import stats
from tqdm import tqdm

from ecgpipe.preprocess import splits
from ecgpipe.tables.influence import Influences, Rhythms, gradients, influences
from ecgpipe.tables.resampling import OfPatients, PairedTest, covariances, judged, strata
from ecgpipe.tables.rotations import inflation
from ecgpipe.vocabulary import COMPARED

CSV = DATA / "planted_rotations.csv"
CLASSES = len(NAMES)
FEATURES, UNITS, RIDGE = 10, 40, 0.03
SPREAD, SHARED, OWN, OF_RECORD = 0.9, 0.5, 0.6, 0.7
"""Standard deviations: of rhythms' means, of what a patient gives both kinds of features and each, of records."""
GAIN = 1.06
"""How many times farther apart rhythms lie for the better method."""
KINDS = {"first": 0, "second": 1, "better": 2, "augmented": 0, "augmented once": 0}
"""Features that a method reads. The first two are alike, so that neither method is better; *augmented* adds records of
a generator, of which each seed has one of its own, or all seeds one."""
COMPARISONS = {
    "two alike": ("second", "first"),
    "one better": ("better", "second"),
    "augmented, a generator a seed": ("augmented", "first"),
    "augmented, one generator": ("augmented once", "first"),
}
SYNTHETIC = 60
"""Synthetic records of each rhythm: Gaussians about the training records' mean."""
SEEDS, TRUE_SEEDS, FRESH = (3, 10), 10, 1000
"""Networks a method; further ones that find the true difference, on so many new patients of each rhythm."""
DESIGNS = {"one split": 1, "2 rotations": 2, "5 rotations": 5, "10 rotations": 10}
METRICS = ("macro_f1", "macro_roc_auc")


@dataclass(frozen=True)
class Records:
    """Features ``(n, 3, FEATURES)`` of each kind; class ids and patients ``(n,)``."""

    features: np.ndarray
    labels: np.ndarray
    patients: np.ndarray


def draw(rng: np.random.Generator, patients: tuple[int, ...], most: int) -> Records:
    """Draw records of so many patients of each rhythm, up to ``most`` of each patient."""
    means = SPREAD * np.random.default_rng(41).normal(size=(CLASSES, FEATURES))
    of_patient = np.repeat(np.arange(CLASSES), patients)
    own = SHARED * rng.normal(size=(len(of_patient), 1, FEATURES))
    own = own + OWN * rng.normal(size=(len(of_patient), 2, FEATURES))
    patient = np.repeat(np.arange(len(of_patient)), rng.integers(1, most + 1, len(of_patient)))
    labels = of_patient[patient]
    about = own[patient] + OF_RECORD * rng.normal(size=(len(patient), 2, FEATURES))
    centre = means[labels][:, None]
    features = np.concatenate([centre + about, GAIN * centre + about[:, 1:]], axis=1)
    return Records(features.astype(np.float32), labels, np.array([f"p{n:05d}" for n in patient]))


def active(features: np.ndarray, seed: int) -> np.ndarray:
    """Return what the layer of a network answers on features ``(n, FEATURES)``: ``(n, UNITS + 1)``, with a constant."""
    layer = np.random.default_rng([2411, 31, seed]).normal(size=(FEATURES + 1, UNITS)).astype(np.float32)
    found = np.maximum(0, features @ layer[:-1] / np.sqrt(FEATURES) + layer[-1])
    return np.concatenate([found, np.ones((len(found), 1), np.float32)], axis=1)


Sums = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of records by class: their number, and the sums of their activities and of the products of these."""


def sums(activity: np.ndarray, labels: np.ndarray) -> Sums:
    """Sum records ``(n, UNITS + 1)`` by class."""
    parts = [activity[labels == c] for c in range(CLASSES)]
    return (
        np.array([len(p) for p in parts]),
        np.array([p.sum(axis=0) for p in parts]),
        np.array([p.T @ p for p in parts]),
    )


def solve(number: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the weights ``(UNITS + 1, CLASSES)`` of a ridge regression on classes that all weigh the same."""
    weight = np.where(number > 0, 1 / np.maximum(number, 1), 0.0)
    gram = np.tensordot(weight, second, 1) + RIDGE * np.eye(UNITS + 1)
    return np.asarray(np.linalg.solve(gram, (weight[:, None] * first).T), dtype=np.float32)


def synthetic(rng: np.random.Generator, features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw records as a small generator would that has learnt from these; none of a rhythm with a single record."""
    present = [c for c in range(CLASSES) if (labels == c).sum() > 1]
    parts = [features[labels == c] for c in present]
    drawn = [p.mean(axis=0) + p.std(axis=0, ddof=1) * rng.normal(size=(SYNTHETIC, FEATURES)) for p in parts]
    return np.concatenate(drawn).astype(np.float32), np.repeat(present, SYNTHETIC)


@functools.cache
def rotations(design: str) -> list[dict[str, list[int]]]:
    """Return the folds of each split of the rotations of a design."""
    number = DESIGNS[design]
    return [splits.rotation(place, number if number > 1 else splits.NUMBER) for place in range(1, number + 1)]


def networks(
    hospital: Records, folds: np.ndarray, number: int, seed: int
) -> Iterator[tuple[str, str, int, np.ndarray]]:
    """Yield design, method, place of the rotation and weights of the networks of a seed."""
    for kind in range(3):
        activity = active(hospital.features[:, kind], seed)
        by_fold = [sums(activity[folds == f], hospital.labels[folds == f]) for f in range(1, splits.NUMBER + 1)]
        methods = [method for method, read in KINDS.items() if read == kind]
        for design in DESIGNS:
            for place, parts in enumerate(rotations(design)):
                learnt = [sum(by_fold[f - 1][i] for f in parts["train"]) for i in range(3)]
                for method in methods:
                    added: list[Any] = [0, 0, 0]
                    if method.startswith("augmented"):
                        drawn_by = 0 if method.endswith("once") else seed + 1
                        rng = np.random.default_rng([2411, 37, number, drawn_by, DESIGNS[design], place])
                        train = np.isin(folds, parts["train"])
                        features, labels = synthetic(rng, hospital.features[train, kind], hospital.labels[train])
                        added = [*sums(active(features, seed), labels)]
                    yield design, method, place, solve(*(a + b for a, b in zip(learnt, added, strict=True)))


@dataclass(frozen=True)
class Reached:
    """What the networks of a method reach in a design.

    Attributes:
        influences: of the study's networks.
        true: macro F1 that further networks of the same training sets have on new patients.
        stratum: of each test patient.
    """

    influences: Influences
    true: float
    stratum: np.ndarray


def reached(number: int) -> dict[tuple[str, str], Reached]:
    """Draw a hospital, and train and test all of its networks: by design and method."""
    rng = np.random.default_rng([2411, 43, number])
    hospital, fresh = draw(rng, FOLD_TEN, 3), draw(rng, (FRESH,) * CLASSES, 1)
    folds = np.array(splits.deal([*hospital.patients], [NAMES[c] for c in hospital.labels], number))
    cells = [(design, method) for design in DESIGNS for method in KINDS]
    answers = {cell: np.zeros((max(SEEDS), len(folds), CLASSES), np.float32) for cell in cells}
    expected = {cell: np.zeros((TRUE_SEEDS, CLASSES, CLASSES)) for cell in cells}
    for seed in range(max(SEEDS) + TRUE_SEEDS):
        further = seed - max(SEEDS)
        asked = fresh if further >= 0 else hospital
        activity = [active(asked.features[:, kind], seed) for kind in range(3)]
        for design, method, place, weights in networks(hospital, folds, number, seed):
            tested = np.isin(folds, rotations(design)[place]["test"])
            mine = activity[KINDS[method]]
            if further < 0:
                answers[design, method][seed, tested] = mine[tested] @ weights
                continue
            pairs = fresh.labels * CLASSES + (mine @ weights).argmax(axis=1)
            share = np.bincount(hospital.labels[tested], minlength=CLASSES) / FRESH
            counts = np.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
            expected[design, method][further] += share[:, None] * counts
    found = {}
    for design, method in cells:
        tested = np.isin(folds, [f for parts in rotations(design) for f in parts["test"]])
        labels, patients = hospital.labels[tested], hospital.patients[tested]
        rhythms = Rhythms.of(patients, labels, NAMES).ids
        mine = influences(labels, answers[design, method][:, tested], patients, rhythms)
        true = float(gradients(expected[design, method], rhythms)[0]["macro_f1"].mean())
        found[design, method] = Reached(mine, true, strata(patients, labels))
    return found


@dataclass(frozen=True)
class Compared:
    """What a comparison is judged by: differences of seeds, what patients do to them, swings, and the true difference
    of these training sets (macro F1 only)."""

    differences: np.ndarray
    patients: OfPatients
    swing: np.ndarray
    true: float


def compared(number: int) -> dict[tuple[str, str, str, int], Compared]:
    """Compare methods on a hospital: by design, comparison, metric and seeds."""
    every, found = reached(number), dict[tuple[str, str, str, int], Compared]()
    for design in DESIGNS:
        for name, pair in COMPARISONS.items():
            ours, theirs = (every[design, method] for method in pair)
            occupied, sizes = np.unique(ours.stratum, return_counts=True)
            a, b = ours.influences, theirs.influences
            for metric in METRICS:
                m = list(COMPARED).index(metric)
                swing = ((a.swings[m] + b.swings[m]) / 2)[occupied[sizes > 1]]
                for seeds in SEEDS:
                    patients = covariances((a.of_patients[m] - b.of_patients[m])[:seeds], ours.stratum)
                    differences = (a.values[:, m] - b.values[:, m])[:seeds]
                    true = ours.true - theirs.true if metric == "macro_f1" else float("nan")
                    found[design, name, metric, seeds] = Compared(differences, patients, swing, true)
    return found


def missed(tests: list[PairedTest], true: np.ndarray | float) -> np.ndarray:
    """Return the p-values of the true differences."""
    found = np.array([(test.difference, test.error, test.freedom) for test in tests])
    return np.asarray(2 * stats.t.sf(np.abs(found[:, 0] - true) / found[:, 1], found[:, 2]))


def measure(hospitals: int, state: Path | None) -> pd.DataFrame:
    """Count how often the true difference is missed, and how often one is shown.

    Returns:
        A row a design, comparison, metric, number of seeds and way of counting patients: as they answer, or with the
        correction for rotations. The true difference of any hospital is 0 for methods that are alike, and else the mean
        over hospitals; ``these`` are shares of misses of the hospitals' own.
    """
    every = [
        remembered(state, f"hospital-{number}", functools.partial(compared, number))
        for number in tqdm(range(hospitals), desc="hospitals", disable=None)
    ]
    rows: list[dict[str, Any]] = []
    for key in every[0]:
        design, name, metric, seeds = key
        mine = [hospital[key] for hospital in every]
        own = np.array([one.true for one in mine])
        means = np.array([one.differences.mean() for one in mine])
        true = 0.0 if name == "two alike" else float(means.mean())
        factors = {"as they answer": 1.0, "corrected": inflation(DESIGNS[design])}
        for counted, factor in list(factors.items())[: 1 if factors["corrected"] == 1 else 2]:
            tests = [judged(one.differences, *inflated(one, factor)) for one in mine]
            of_any, of_these, of_none = (missed(tests, value) for value in (true, own, 0.0))
            rows.append(
                {
                    "design": design,
                    "comparison": name,
                    "metric": metric,
                    "seeds": seeds,
                    "patients": counted,
                    "hospitals": hospitals,
                    "difference": round(true, 4),
                    "deviation": round(float(means.std()), 5),
                    "deviation_from_these": round(float((means - own).std()), 5),
                    "error": round(float(np.mean([test.error for test in tests])), 5),
                    **{f"any_{level:g}": round(float((of_any <= level).mean()), 5) for level in LEVELS},
                    **{
                        f"these_{level:g}": round(float((of_these <= level).mean()), 5) if metric == METRICS[0] else ""
                        for level in LEVELS
                    },
                    "shown": round(float((of_none <= LEVELS[0]).mean()), 4),
                }
            )
    return pd.DataFrame(rows)


def inflated(one: Compared, factor: float) -> tuple[OfPatients, np.ndarray]:
    """Return what patients do to differences, and swings, with this factor for the variance."""
    shared, sizes, alone = one.patients
    return OfPatients(shared * factor, sizes, alone * factor), one.swing * factor**0.5


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/statistics.md."""
    heads = ["folds", "methods", "metric", "seeds", "patients' part", "true difference", "SD", "standard error"]
    heads += [f"missed at {level:g}" for level in LEVELS] + ["these hospitals, 0.05", "shown at 0.05"]
    rows = []
    alike = table["comparison"] == "two alike"
    for row in table[alike | ((table["metric"] == METRICS[0]) & (table["seeds"] == max(SEEDS)))].to_dict("records"):
        own = row[f"these_{LEVELS[0]:g}"]
        rows.append(
            [
                *(row["design"], row["comparison"], row["metric"].replace("_", " "), row["seeds"], row["patients"]),
                f"{row['difference']:+.3f}",
                *(f"{row[name]:.4f}" for name in ("deviation", "error")),
                *(f"{row[f'any_{level:g}']:.3f}" for level in LEVELS),
                "" if pd.isna(own) else f"{own:.3f}",
                f"{row['shown']:.2f}",
            ]
        )
    number = int(table["hospitals"].iloc[0])
    rotated = table[table["design"] != "one split"]
    nulls = rotated[(rotated["comparison"] == "two alike") & (rotated["seeds"] == max(SEEDS))]
    told = {name: nulls[nulls["patients"] == name] for name in ("as they answer", "corrected")}
    means = {
        name: " / ".join(f"{rows_[f'any_{level:g}'].mean():.3f}" for level in LEVELS) for name, rows_ in told.items()
    }
    errors = " / ".join(f"{np.sqrt(level * (1 - level) / number):.3f}" for level in LEVELS)
    levels = " / ".join(f"{level:g}" for level in LEVELS)
    return (
        f"{number} hospitals with the composition of fold 10 in all, one to three records a patient, and real small "
        "learners (random units and ridge regression; `benchmarks/planted_rotations.py`, "
        "[planted_rotations.csv](data/planted_rotations.csv)). Two methods that are *alike* read different features of "
        "the same distribution, so that each hospital favours one of them by chance; *better* is the second with its "
        "rhythms farther apart; *augmented* adds records of a generator that learnt from the training records of the "
        "rotation. A miss is a true difference outside of the interval: that of any hospital, or that of these "
        "hospitals' training sets on new patients.\n\n"
        f"{markdown_table(heads, rows)}\n"
        f"Of two alike methods with {max(SEEDS)} seeds in rotated folds, over both metrics and all designs, "
        f"{means['as they answer']} are wrong at {levels} if patients count as they answer, {means['corrected']} with "
        f"the correction (simulation error of one row: {errors}). Of all comparisons, those in the file included, the "
        f"true difference of any hospital is missed most often at {LEVELS[0]:g} in {_worst(rotated)} with the "
        f"correction, and in {_worst(table[table['design'] == 'one split'])} without rotation.\n"
    )


def _worst(rows: pd.DataFrame) -> str:
    """Name the comparison that is missed most often, without rows that lack the correction for rotations."""
    rows = rows[(rows["patients"] == "corrected") | (rows["design"] == "one split")]
    row = rows.loc[rows[f"any_{LEVELS[0]:g}"].idxmax()]
    return (
        f"{row[f'any_{LEVELS[0]:g}']:.3f} ({row['design']}, {row['comparison']}, {row['metric'].replace('_', ' ')}, "
        f"{row['seeds']} seeds)"
    )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--hospitals", type=int, default=400, help="hospitals to draw: a second or two each")
    arguments.add_argument("--state", type=Path, help="folder that keeps what networks answered, to go on from there")
    args = arguments.parse_args()
    if not args.render:
        measure(args.hospitals, args.state).to_csv(CSV, index=False)
    write_section(DOCS / "statistics.md", "rotations", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
