"""Pictures of real and synthetic records side by side, as SVG; the closeness stage computed what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ecgpipe.closeness.names import AMPLITUDE, AUTOCORRELATION, BEAT, SPECTRUM
from ecgpipe.report.curves import draw_beats, draw_by_lead, draw_intervals
from ecgpipe.report.maps import draw_map
from ecgpipe.report.panels import line_styles
from ecgpipe.report.svg import Drawing

MAP = (
    "Every dot is a record, at the first two principal components of the random-kernel features (axes defined by real "
    "training records, the same in every picture). Held-out real records are drawn behind, and each generator’s in "
    "front of them. Where the grey cloud holds no coloured dots, a kind of record is missing; coloured dots away from "
    "the cloud resemble no real record."
)
T_SNE = (
    "The same records by t-SNE of all sets of the dataset together, which keeps neighbours close. Sets that mix cannot "
    "be told apart by these features. Distances between clouds, and the sizes of clouds, mean nothing."
)
MEAN_BEATS = (
    "Mean beats from 0.3 s before to 0.5 s after the R peak of lead II (grey line), each lead relative to its median. "
    "Every record counts once. The number under each lead’s name is the height of its panels."
)
EQUAL_MIX = "Every set contributes the same number of records of each rhythm."
INTERVALS = (
    "RR intervals of lead II by rhythm, over all beats of all records; intervals above 2 s are counted at 2 s. Where "
    "records were delineated, their PR, QRS and QT intervals are shown below."
)
"""Captions."""


@dataclass(frozen=True)
class Picture:
    """One picture of a dataset.

    Attributes:
        name: short name, also of its file.
        title: of its tab.
        caption: what is to be seen.
        svg: the drawing.
    """

    name: str
    title: str
    caption: str
    svg: Drawing


def draw(
    curves: pd.DataFrame, points: pd.DataFrame, classes: Sequence[str], leads: Sequence[str], generators: Sequence[str]
) -> list[Picture]:
    """Draw one dataset's records and every generator's.

    Args:
        curves: rows of ``curves.parquet`` of the dataset.
        points: rows of ``points.parquet`` of the dataset.
        classes: class names in order.
        leads: lead names in order.
        generators: names in order, which colours follow.
    """
    styles = line_styles(generators)
    pictures = [
        Picture(
            "map",
            "Map",
            MAP,
            draw_map(points, ("pca_1", "pca_2"), classes, generators),
        ),
        Picture(
            "tsne",
            "t-SNE",
            T_SNE,
            draw_map(points, ("tsne_1", "tsne_2"), classes, generators),
        ),
    ]
    own = curves[curves["picture"] == BEAT]
    pictures.append(Picture("beats", "Mean beats", MEAN_BEATS, draw_beats(own, classes, leads, styles)))
    for name, title, caption, labels in (
        (SPECTRUM, "Spectra", "Mean Welch spectra, 0.5-40 Hz.", ("frequency (Hz)", "dB of mV²/Hz")),
        (AUTOCORRELATION, "Autocorrelations", "Mean autocorrelations up to 1.5 s.", ("lag (s)", "autocorrelation")),
        (AMPLITUDE, "Amplitudes", "Distribution of all samples of a lead.", ("amplitude (mV)", "density (1/mV)")),
    ):
        own = curves[curves["picture"] == name]
        pictures.append(Picture(name, title, f"{caption} {EQUAL_MIX}", draw_by_lead(name, own, leads, styles, labels)))
    pictures.append(Picture("intervals", "Intervals", INTERVALS, draw_intervals(curves, classes, styles)))
    return pictures
