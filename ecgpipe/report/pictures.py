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
    "training records, the same in every picture): held-out real records behind, each generator’s before them. Where "
    "the dark cloud shows no coloured dots, kinds of records are missing; coloured dots away from it look like no real "
    "record."
)
T_SNE = (
    "The same records by t-SNE of all sets of the data set together, which keeps neighbours near: sets that mix cannot "
    "be told apart by these features. Distances between clouds, and their sizes, mean nothing."
)
MEAN_BEATS = (
    "Mean beats from 0.3 s before to 0.5 s after the R peak (grey line; peaks of lead II), every record counting once, "
    "about the median of its lead. Under each lead’s name: the height of its panels."
)
EQUAL_MIX = "As many records of each rhythm count from every set."
INTERVALS = (
    "RR intervals of lead II by rhythm, all beats of all records, those above 2 s at its end; where records were "
    "delineated, their PR, QRS and QT intervals below."
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
