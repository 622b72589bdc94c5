"""The measures of `learning.py`: of samples, or of real records in their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from learning_records import Judge, Set, rows

from ecgpipe.closeness.copies import find_copies
from ecgpipe.closeness.distances import frechet_distance
from ecgpipe.closeness.records import Records
from ecgpipe.dataset import Dataset
from ecgpipe.generate.drafts.analysis import analyse
from ecgpipe.generate.drafts.plans import ECTOPIC, Plans
from ecgpipe.leads import independent_from_twelve, limb_lead_residual
from ecgpipe.simulator.hospitals import RHYTHMS

PAUSE = 1.5
"""An interval of this many median intervals is a pause."""
OF_RHYTHM = ("rate", "rr_cv", "size_cv", "ectopic", "pause", "waves")


def balanced(labels: np.ndarray) -> np.ndarray:
    """Return weights of records ``(n,)``, with which all classes that occur weigh alike; their mean is 1."""
    counts = np.bincount(labels)
    return np.asarray(len(labels) / (counts > 0).sum() / counts[labels])


def frechet(one: np.ndarray, two: np.ndarray, wa: np.ndarray | None = None, wb: np.ndarray | None = None) -> float:
    """Return the squared Fréchet distance of the Gaussians of two weighted sets of features ``(n, d)``."""
    moments = [(np.average(x, axis=0, weights=w), np.cov(x.T, aweights=w)) for x, w in ((one, wa), (two, wb))]
    return frechet_distance(*moments[0], *moments[1])


def wilson(share: float, number: float, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share of ``number`` (Wilson 1927)."""
    n = number
    middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float((middle - half) / (1 + z * z / n)), float((middle + half) / (1 + z * z / n))


def agreement(right: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the mean over classes of the share read as asked for, its interval, and each class's share.

    The interval is that of a share of as many records, all classes alike, as would make it as uncertain.
    """
    present = np.unique(labels)
    shares = {RHYTHMS[c]: float(right[labels == c].mean()) for c in present}
    mean = float(np.mean(list(shares.values())))
    low, high = wilson(mean, len(present) ** 2 / (1 / np.bincount(labels)[present]).sum())
    each = {f"agreement_{name}": share for name, share in shares.items()}
    return {"agreement": mean, "agreement_low": low, "agreement_high": high, **each}


def nearest(signals: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Return the RMS distance in mV (eight leads) of each signal to the nearest training record, ``(n,)``."""
    a = independent_from_twelve(signals).reshape(len(signals), -1).astype(np.float64)
    b = independent_from_twelve(train).reshape(len(train), -1).astype(np.float64)
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return np.asarray(np.sqrt(squares.min(axis=1).clip(0) / a.shape[1]))


def rhythm_table(dataset: Dataset) -> pd.DataFrame:
    """Return :func:`rhythm_rows` of the beats found in records; those in which none are found are left out."""
    plans = analyse(independent_from_twelve(np.asarray(dataset.signals[:])), dataset.spec.rate).plans
    return rhythm_rows(plans, dataset.labels)


def rhythm_rows(plans: Plans, labels: np.ndarray) -> pd.DataFrame:
    """Return what the beats of each record say: rate (per minute), CV of RR intervals and of the sizes of normal beats,
    whether there are ectopic beats, pauses (of :data:`PAUSE`) and free or locked atrial waves.
    """
    found = []
    for i in np.flatnonzero(plans.known.numpy() > 0):
        times = plans.beats(int(i))
        intervals = np.diff(times)
        if not len(intervals):
            continue
        kinds = plans.kinds[int(i), : len(times)].numpy()
        sizes = plans.gains[int(i), : len(times)].numpy()[kinds != ECTOPIC]
        found.append(
            {
                "label": labels[i],
                "rate": 60 / intervals.mean(),
                "rr_cv": intervals.std() / intervals.mean(),
                "size_cv": sizes.std() / sizes.mean(),
                "ectopic": float((kinds == ECTOPIC).any()),
                "pause": float(intervals.max() > PAUSE * np.median(intervals)),
                "waves": float(plans.atrial_rate[int(i)] > 0),
            }
        )
    return pd.DataFrame(found, columns=["label", *OF_RHYTHM])


def rhythm_figures(own: pd.DataFrame, real: pd.DataFrame) -> dict[str, float]:
    """Return shares of records, and Wasserstein distances to real records' rates and RR variation, over all classes."""
    classes = sorted(set(own["label"]) & set(real["label"]))
    pairs = [(own[own["label"] == c], real[real["label"] == c]) for c in classes]
    return {
        **{
            f"{name}_distance": float(np.mean([scipy.stats.wasserstein_distance(a[name], b[name]) for a, b in pairs]))
            for name in ("rate", "rr_cv")
        },
        **{
            f"{name}_share": float(np.mean([a[name].mean() for a, _ in pairs]))
            for name in ("ectopic", "pause", "waves")
        },
    }


def records_of(dataset: Dataset) -> Records:
    """Return a dataset as the audit of privacy wants it."""
    return Records(np.asarray(dataset.signals[:]), dataset.spec.rate, dataset.records["label"].to_numpy())


class Measure:
    """Measures samples against a set's records.

    Args:
        judge: reads the rhythms.
        data: the set.
    """

    def __init__(self, judge: Judge, data: Set) -> None:
        self.judge, self.data = judge, data
        self.train = rows(data.dataset, data.dataset.indices("train"))
        self.features = judge(data.reference.signals)[1]
        self.weights = balanced(data.reference.labels)
        self.held_out = nearest(data.more.signals, self.train.signals)
        self.rhythms = rhythm_table(data.more)

    def judged(self, samples: Dataset) -> dict[str, Any]:
        """Return what the judge says, and what the beats show."""
        found, features = self.judge(samples.signals)
        weights = balanced(samples.labels)
        return {
            "drawn": len(samples.labels),
            **agreement(found == samples.labels, samples.labels),
            "frechet": frechet(features, self.features, weights, self.weights),
            **rhythm_figures(rhythm_table(samples), self.rhythms),
            "limb_residual_mv": float(limb_lead_residual(samples.signals).max()),
        }

    def near(self, samples: Dataset) -> dict[str, Any]:
        """Return how near samples are to training records, beside held-out records."""
        own = nearest(samples.signals, self.train.signals)
        out = {
            "nearest_train_mv": float(np.median(own)),
            "nearest_train_mv_held_out": float(np.median(self.held_out)),
            "near_share": float((own < np.percentile(self.held_out, 1)).mean()),
        }
        pairs, reference = find_copies(*(records_of(d) for d in (samples, self.data.more, self.train)))
        return {
            **out,
            "copies": int((pairs["kind"] != "most alike").sum()),
            "similarity": float(pairs["similarity"].max()),
            "similarity_held_out": float(reference["similarity"].max()),
        }

    def real(self) -> dict[str, Any]:
        """Measure held-out records in the samples' place; their distance is that of the two halves."""
        out = {**self.judged(self.data.more), **self.near(self.data.more)}
        halves = [(self.judge(half.signals)[1], balanced(half.labels)) for half in self.data.halves]
        (one, own), (two, other) = halves
        return {**out, "frechet": frechet(one, two, own, other)}

    def training(self, number: int) -> dict[str, Any]:
        """Measure training records in the samples' place, as many of each class."""
        rng, labels = np.random.default_rng(0), self.train.labels
        present = np.unique(labels)
        chosen = [rng.permutation(np.flatnonzero(labels == c))[: number // len(present)] for c in present]
        return self.judged(rows(self.train, np.concatenate(chosen)))
