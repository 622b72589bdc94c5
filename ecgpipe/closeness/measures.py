"""The catalogue of measures: definition, which way is better, fewest records, and what each measure is blind to.

To add a measure, add an entry to :data:`MEASURES`; its statistic is one of :mod:`ecgpipe.closeness.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ecgpipe.closeness import distances, statistics
from ecgpipe.closeness.feature_maps import JUDGE_COMPONENTS, KERNEL_COMPONENTS
from ecgpipe.closeness.names import CLASS_MIX
from ecgpipe.closeness.statistics import FEWEST_FIGURES, Pair, Statistic

SHARE = (0.0, 1.0)
"""Range of measures that are shares of records."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure.

    Attributes:
        title: what a reader calls it.
        definition: what it is, in a sentence.
        unit: of its values; "" for a pure number.
        better: ``lower``, ``higher``, or ``floor``: the nearer to the floor the better.
        smallest: fewest records a side.
        blind: what it cannot see.
        statistic: from two samples to a function of bootstrap weights, see :mod:`ecgpipe.closeness.statistics`.
        bounds: range of its values.
        level: ``quick``: part of every study; ``full``: of full studies only.
        by_lead: the statistic also gives one value a lead.
        halves: its floor compares two halves of the held-out records, because the classifier was fitted to the
            training records.
        per_class: also computed for each class.
        p_value: p-value of its test, where it has one.
    """

    title: str
    definition: str
    unit: str = ""
    better: Literal["lower", "higher", "floor"]
    smallest: int
    blind: str
    statistic: Callable[[Pair], Statistic]
    bounds: tuple[float, float] = (0.0, np.inf)
    level: Literal["quick", "full"] = "quick"
    by_lead: bool = False
    halves: bool = False
    per_class: bool = True
    p_value: Callable[[Pair], float] | None = None


_DELINEATED = "records that cannot be delineated, see their share; waves that are found in noise"
_NO_P = f"{_DELINEATED}, or between the beats of fibrillation, where there is no P wave"

MEASURES: dict[str, Measure] = {
    "frechet_kernels": Measure(
        title="Fréchet distance, random kernels",
        definition=(
            "Squared Fréchet distance between Gaussians fitted to 32 principal components of 504 fixed random-kernel "
            "features."
        ),
        better="lower",
        smallest=2 * KERNEL_COMPONENTS,
        blind="copies of training records; whatever leaves mean and covariance of the features alone",
        statistic=statistics.feature_distance("kernel components", distances.frechet),
    ),
    "frechet_classifier": Measure(
        title="Fréchet distance, classifier",
        definition=(
            "Squared Fréchet distance between Gaussians fitted to 16 principal components of the real-trained "
            "classifier's penultimate layer."
        ),
        better="lower",
        smallest=2 * JUDGE_COMPONENTS,
        blind="copies; whatever does not matter to the classifier (noise, morphology, single leads)",
        statistic=statistics.feature_distance("classifier components", distances.frechet),
        halves=True,
    ),
    "mmd": Measure(
        title="MMD²",
        definition=(
            "Unbiased squared maximum mean discrepancy of the random-kernel features, five Gaussian widths around the "
            "median distance between all records; with the p-value of a permutation of patients."
        ),
        better="lower",
        smallest=10,
        blind="copies of training records",
        statistic=statistics.feature_distance("kernel components", distances.mmd),
        bounds=(-np.inf, np.inf),
        p_value=statistics.mmd_p_value,
    ),
    "precision": Measure(
        title="precision",
        definition=(
            "Share of synthetic records within the 5-neighbour manifold of the real ones (random-kernel features)."
        ),
        better="higher",
        smallest=10,
        blind="missing kinds of records; copies; noise and surrogates, which may fall among the real records' features",
        statistic=statistics.manifold("precision", "b"),
        bounds=SHARE,
    ),
    "recall": Measure(
        title="recall",
        definition="Share of real records within the 5-neighbour manifold of the synthetic ones.",
        better="higher",
        smallest=10,
        blind="synthetic records that look like no real one, which can even raise it",
        statistic=statistics.manifold("recall", "a"),
        bounds=SHARE,
    ),
    "density": Measure(
        title="density",
        definition="Mean number of real 5-neighbour balls around a synthetic record, divided by 5.",
        better="floor",
        smallest=10,
        blind="missing kinds of records; a generator that keeps to the middle raises it",
        statistic=statistics.manifold("density", "b"),
    ),
    "coverage": Measure(
        title="coverage",
        definition="Share of real 5-neighbour balls with a synthetic record in them.",
        better="higher",
        smallest=10,
        blind="copies; a few records that look like no real one",
        statistic=statistics.manifold("coverage", "a"),
        bounds=SHARE,
    ),
    "c2st": Measure(
        title="two-sample test, ridge",
        definition=(
            "1 - 2 |accuracy - 0.5| of a ridge classifier on the random-kernel features, cross-validated over "
            "patients: 1 if real and synthetic cannot be told apart."
        ),
        better="higher",
        smallest=20,
        blind="copies; kinds of records that are missing but rare",
        statistic=statistics.ridge_two_sample,
        bounds=SHARE,
    ),
    "c2st_cnn": Measure(
        title="two-sample test, CNN",
        definition="The same score by a small CNN on the signals, mean of 5 seeds.",
        better="higher",
        smallest=100,
        blind="copies; with few records whatever the CNN has no time to learn",
        statistic=statistics.cnn_two_sample,
        bounds=SHARE,
        level="full",
        per_class=False,
    ),
    "class_fidelity": Measure(
        title="class fidelity",
        definition=(
            "Share of synthetic records in which the real-trained classifier sees the requested rhythm; the floor is "
            "its accuracy on held-out real records."
        ),
        better="higher",
        smallest=5,
        blind="everything but the rhythm; a typical record repeated scores above the floor",
        statistic=statistics.mean_of("classifier correct", "labels are not known"),
        bounds=SHARE,
        halves=True,
    ),
    "interlead_correlation": Measure(
        title="inter-lead correlation",
        definition="Mean absolute difference of the mean correlations between leads.",
        better="lower",
        smallest=5,
        blind="time: shuffled or phase-randomised records keep it; amplitude",
        statistic=statistics.interlead_correlation,
        by_lead=True,
    ),
    "autocorrelation": Measure(
        title="autocorrelation",
        definition="Mean absolute difference of the mean autocorrelations at lags up to 1.5 s.",
        better="lower",
        smallest=5,
        blind="phase (surrogates keep it), amplitude, relations between leads",
        statistic=statistics.autocorrelation,
        by_lead=True,
    ),
    "spectrum": Measure(
        title="power spectrum",
        definition="Mean absolute difference of the mean Welch spectra, 0.5-40 Hz.",
        unit="dB",
        better="lower",
        smallest=5,
        blind="phase (surrogates keep it), relations between leads",
        statistic=statistics.spectrum,
        by_lead=True,
    ),
    "amplitude": Measure(
        title="amplitude distribution",
        definition="1-Wasserstein distance between the distributions of all samples of a lead, mean over leads.",
        unit="mV",
        better="lower",
        smallest=5,
        blind="time: any reordering of the samples keeps it",
        statistic=statistics.amplitude,
        by_lead=True,
    ),
    "sliced_wasserstein": Measure(
        title="sliced Wasserstein distance",
        definition="Mean 1-Wasserstein distance over 64 fixed random projections of the whole record.",
        unit="mV",
        better="lower",
        smallest=10,
        blind="nearly everything but amplitude and slow drift: records are not aligned in time",
        statistic=statistics.feature_distance("projections", distances.sliced_wasserstein),
    ),
    "nearest_distance": Measure(
        title="distance to the nearest real record",
        definition="Root mean square difference to the nearest held-out real record, mean over the synthetic ones.",
        unit="mV",
        better="floor",
        smallest=5,
        blind="rhythm and phase; noise of the records' size; small or smooth records come near to all others",
        statistic=statistics.nearest_distance,
    ),
    "dtw_distance": Measure(
        title="warped distance to the nearest real record",
        definition=(
            "The same to a record of the same rhythm after warping time by up to 0.1 s (least of the 5 nearest)."
        ),
        unit="mV",
        better="floor",
        smallest=5,
        blind="small or smooth records come near to all others",
        statistic=statistics.dtw_distance,
        level="full",
    ),
    "limb_residual": Measure(
        title="limb-lead residual",
        definition="Largest violation of Einthoven's and Goldberger's identities in a record, mean over records.",
        unit="mV",
        better="lower",
        smallest=5,
        blind="everything but the relations of the six limb leads",
        statistic=statistics.mean_of("limb residual", "needs the six limb leads in standard order"),
    ),
    "faulty_share": Measure(
        title="flat or clipped records",
        definition=(
            "Share of records with a lead that is flat (range below 0.005 mV) or stays at its extreme for 5 samples."
        ),
        better="lower",
        smallest=5,
        blind="everything else",
        statistic=statistics.mean_of("faulty", ""),
        bounds=SHARE,
    ),
    "heart_rate": Measure(
        title="heart rate",
        definition="1-Wasserstein distance between the distributions of the heart rate from R peaks in lead II.",
        unit="1/min",
        better="lower",
        smallest=FEWEST_FIGURES,
        blind="whatever keeps the R peaks",
        statistic=statistics.clinical_figure("heart_rate"),
    ),
    "rr_variation": Measure(
        title="RR variation",
        definition="The same of the variation of successive RR intervals (RMSSD).",
        unit="ms",
        better="lower",
        smallest=FEWEST_FIGURES,
        blind="whatever keeps the R peaks",
        statistic=statistics.clinical_figure("rr_variation"),
    ),
    "beatless_share": Measure(
        title="records without beats",
        definition="Share of records in which fewer than three R peaks were found in lead II; they have no heart rate.",
        better="lower",
        smallest=5,
        blind="everything else; a peak finder finds peaks in noise, too",
        statistic=statistics.share_without("beats"),
        bounds=SHARE,
    ),
    **{
        name: Measure(
            title=title,
            definition=f"The same of the {title} (median over beats).",
            unit=unit,
            better="lower",
            smallest=FEWEST_FIGURES,
            blind=blind,
            statistic=statistics.clinical_figure(name),
            level="full",
        )
        for name, title, unit, blind in (
            ("pr_interval", "PR interval", "ms", _NO_P),
            ("qrs_duration", "QRS duration", "ms", _DELINEATED),
            ("qt_interval", "QT interval", "ms", _DELINEATED),
            ("qtc_interval", "QTc interval (Fridericia)", "ms", _DELINEATED),
            ("p_amplitude", "P amplitude", "mV", _NO_P),
            ("t_amplitude", "T amplitude", "mV", _DELINEATED),
            ("st_level", "ST level", "mV", _DELINEATED),
            ("axis", "frontal QRS axis", "°", _DELINEATED),
        )
    },
    "undelineated_share": Measure(
        title="records not delineated",
        definition="Share of records in which one of the intervals, amplitudes or the axis could not be measured.",
        better="floor",
        smallest=5,
        blind="everything else",
        statistic=statistics.share_without("waves"),
        bounds=SHARE,
        level="full",
    ),
}
"""All measures by name, in the order of the tables."""


def described() -> dict[str, dict[str, str]]:
    """Return title, definition and blindness of every measure, by name, for the report."""
    found = {name: {"title": m.title, "definition": m.definition, "blind": m.blind} for name, m in MEASURES.items()}
    mix = "Half the sum of absolute differences between the shares of the classes, of all records as they come."
    return {**found, CLASS_MIX: {"title": "mix of classes", "definition": mix, "blind": "the signals"}}
