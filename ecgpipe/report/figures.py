"""The report's plots, as SVG documents. Intervals are those of the tables; nothing is computed here."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ecgpipe.prose.rows import rows_of
from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES
from ecgpipe.report.svg import COLOURS, FAINT, INK, MARKERS, REAL_COLOUR, STYLE, Drawing, svg
from ecgpipe.vocabulary import AUGMENTED, BASELINES, COMPARED, FROZEN, NO_GENERATOR, REAL, SYNTHETIC


def _errors(rows: pd.DataFrame) -> np.ndarray:
    """Return how far the interval reaches below and above the mean, ``(2, n)``."""
    reach: np.ndarray = np.clip(
        np.array([rows["mean"] - rows["low"], rows["high"] - rows["mean"]], dtype=float), 0, None
    )
    return reach


def _of(summary: pd.DataFrame, setting: str, metric: tuple[str, str], generator: str | None = None) -> pd.DataFrame:
    chosen = (summary["setting"] == setting) & (summary["class"] == metric[0]) & (summary["metric"] == metric[1])
    if generator is not None:
        chosen &= summary["generator"] == generator
    return summary[chosen].sort_values("fraction")


def _generators(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame["generator"].unique() if name != NO_GENERATOR]


def learning_curves(summary: pd.DataFrame, metric: str) -> Drawing | None:
    """Plot a metric against the share of real training records: real only, augmented and fine-tuned networks.

    Args:
        summary: summary table of one dataset.
        metric: a key of :data:`ecgpipe.vocabulary.COMPARED`.

    Returns:
        The plot; None if neither augmentation nor transfer was run at two shares or more: one share is no curve.
    """
    key = COMPARED[metric]
    panels = [
        (AUGMENTED, "Augmentation: real + synthetic records"),
        (FROZEN, "Synthetic pre-training, then fine-tuning"),
    ]
    counts = summary.groupby("setting")["fraction"].nunique().to_dict()
    panels = [(setting, title) for setting, title in panels if counts.get(setting, 0) > 1]
    if not panels:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.0 * len(panels), 4.0), layout="constrained")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (setting, title) in zip(axes, panels, strict=True):
            shares = set(summary.loc[summary["setting"] == setting, "fraction"])
            real = _of(summary, REAL, key)
            series = [("real only", real[real["fraction"].isin(shares)], REAL_COLOUR, "x")]
            if setting == AUGMENTED:
                series += [
                    (f"real only, {BASELINE_NAMES[name]}", _of(summary, name, key), REAL_COLOUR, marker)
                    for name, marker in zip(BASELINES, "1234", strict=True)
                    if (summary["setting"] == name).any()
                ]
            for place, name in enumerate(_generators(summary)):
                colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
                series.append((name, _of(summary, setting, key, name), colour, marker))
            _lines(axis, series)
            if setting == AUGMENTED:
                _levels(axis, _of(summary, SYNTHETIC, key), _generators(summary))
            axis.set_title(title)
            axis.set_xlabel("share of the real training records (%)")
        drawn = {
            label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        if AUGMENTED in dict(panels) and (summary["setting"] == SYNTHETIC).any():
            drawn["synthetic records only"] = Line2D([], [], color=INK, **_DOTTED)
        figure.legend(drawn.values(), drawn.keys(), loc="outside lower center", ncols=4, handlelength=2.0)
        axes[0].set_ylabel(METRIC_NAMES[metric])
        return svg(figure)


_DOTTED: Any = {"linestyle": (0, (1, 2)), "linewidth": 1.2}


def _lines(axis: Axes, series: Sequence[tuple[str, pd.DataFrame, str, str]]) -> None:
    """Draw curves with intervals, a little beside each other so that the intervals can be told apart."""
    shares = sorted({100 * f for _, rows, _, _ in series for f in rows["fraction"]})
    crowded = min(shares, default=100.0) < 10
    for place, (label, rows, colour, marker) in enumerate(series):
        shift = place - (len(series) - 1) / 2
        x = 100 * rows["fraction"].to_numpy(dtype=float)
        x = x * 1.05**shift if crowded else x + 1.4 * shift
        dashed = "--" if label.startswith("real only,") else "-"
        style: Any = {"color": colour, "marker": marker, "linestyle": dashed, "elinewidth": 1.0, "capsize": 2.0}
        axis.errorbar(x, rows["mean"], _errors(rows), label=label, **style)
    if crowded:
        axis.set_xscale("log")
    axis.set_xticks(shares, [f"{s:g}" for s in shares])
    axis.minorticks_off()


def _levels(axis: Axes, rows: pd.DataFrame, generators: Sequence[str]) -> None:
    """Draw what synthetic records alone reach, as dotted lines across in the colours of the generators."""
    for row in rows_of(rows):
        axis.axhline(row["mean"], color=COLOURS[generators.index(row["generator"]) % len(COLOURS)], **_DOTTED)


def class_scores(summary: pd.DataFrame, classes: Sequence[str]) -> Drawing:
    """Plot the F1 of every class at the largest share of real records, with the number of test records.

    Args:
        summary: summary table of one dataset.
        classes: class names in order.
    """
    rows = summary[(summary["metric"] == "f1") & summary["class"].isin(classes)]
    most = rows.loc[rows["setting"].isin([REAL, AUGMENTED]), "fraction"].max()
    series = [("real only", rows[(rows["setting"] == REAL) & (rows["fraction"] == most)], REAL_COLOUR, "x", INK)]
    for place, name in enumerate(_generators(summary)):
        mine = rows[rows["generator"] == name]
        colour, marker = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)]
        both = mine[(mine["setting"] == AUGMENTED) & (mine["fraction"] == most)]
        series += [
            (f"real + {name}", both, colour, marker, colour),
            (f"{name} only", mine[mine["setting"] == SYNTHETIC], colour, marker, "white"),
        ]
    series = [entry for entry in series if len(entry[1])]
    support = rows.drop_duplicates("class").set_index("class")["support"]
    with matplotlib.rc_context(STYLE | {"axes.grid.axis": "x"}):
        figure = Figure(figsize=(7.2, 0.8 + len(classes) * (0.2 + 0.13 * len(series))), layout="constrained")
        axis = figure.subplots()
        for place, (label, values, colour, marker, fill) in enumerate(series):
            values = values.set_index("class").reindex(classes)
            y = np.arange(len(classes)) + 0.75 * ((place + 0.5) / len(series) - 0.5)
            axis.errorbar(
                values["mean"],
                y,
                xerr=_errors(values),
                linestyle="none",
                color=colour,
                marker=marker,
                markerfacecolor=fill,
                label=label,
                elinewidth=1.0,
                capsize=2.0,
            )
        for place, name in enumerate(classes):
            if place:
                axis.axhline(place - 0.5, color=FAINT, linewidth=0.6)
            if not support.get(name, 0):
                axis.text(0.5, place, "no test record", ha="center", va="center", style="italic")
        axis.set_yticks(range(len(classes)), [f"{name}  (n = {support.get(name, 0)})" for name in classes])
        axis.set_ylim(len(classes) - 0.5, -0.5)
        axis.set_xlim(-0.02, 1.02)
        axis.set_xlabel("F1")
        figure.legend(loc="outside lower center", ncols=min(3, len(series)), handlelength=1.2)
        return svg(figure)


def confusion_matrices(confusion: pd.DataFrame, classes: Sequence[str]) -> Drawing:
    """Draw confusion matrices at the largest share of real records: mean counts, shaded by the share of the true class.

    Args:
        confusion: confusion table of one dataset.
        classes: class names in order.
    """
    most = confusion.loc[confusion["setting"].isin([REAL, AUGMENTED]), "fraction"].max()
    titles = {REAL: "real only", AUGMENTED: "real + {}", SYNTHETIC: "{} only"}
    chosen = confusion[(confusion["fraction"] == most) | (confusion["setting"] == SYNTHETIC)]
    panels = [
        (titles[setting].format(generator), rows)
        for generator in [NO_GENERATOR, *_generators(confusion)]
        for setting in titles
        if len(rows := chosen[(chosen["generator"] == generator) & (chosen["setting"] == setting)])
    ]
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    with matplotlib.rc_context(STYLE | {"axes.grid": False, "font.size": 8.0}):
        figure = Figure(figsize=(2.9 * columns + 0.4, 2.95 * lines), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False)
        for axis in grid.flat[len(panels) :]:
            axis.set_axis_off()
        for place, (title, rows) in enumerate(panels):
            _matrix(grid.flat[place], rows, classes)
            grid.flat[place].set_title(textwrap.fill(title, 30))
            if place % columns == 0:
                grid.flat[place].set_ylabel("true rhythm")
            if place + columns >= len(panels):
                grid.flat[place].set_xlabel("predicted rhythm")
        return svg(figure)


def _matrix(axis: Axes, rows: pd.DataFrame, classes: Sequence[str]) -> None:
    counts = rows.pivot(index="true", columns="predicted", values="mean").loc[list(classes), list(classes)].to_numpy()
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1.15, aspect="equal")
    for i, j in np.ndindex(counts.shape):
        if counts[i, j] > 0:
            text = f"{counts[i, j]:.0f}" if counts[i, j] >= 9.95 else f"{counts[i, j]:.1f}"
            axis.text(j, i, text, ha="center", va="center", size=7, color="white" if shares[i, j] > 0.6 else INK)
    places = range(len(classes))
    axis.set_xticks(places, classes, rotation=90)
    axis.set_yticks(places, classes)
    axis.tick_params(length=0)


def training_curves(histories: Sequence[tuple[str, str, pd.DataFrame]]) -> Drawing | None:
    """Plot the losses of generators over their training steps, a panel for each stage that has a curve.

    Args:
        histories: (dataset, generator, history) with columns stage, step, train_loss, validation_loss.

    Returns:
        The plot; None if no stage was evaluated twice. A stage that several generators share is drawn once.
    """
    panels: dict[tuple[str, str, str], tuple[list[str], pd.DataFrame]] = {}
    for dataset, generator, history in histories:
        for stage, rows in history.groupby("stage", sort=False):
            if len(rows) > 1:
                losses = rows[["step", "train_loss", "validation_loss"]]
                panels.setdefault((dataset, str(stage), losses.to_csv()), ([], losses))[0].append(generator)
    if not panels:
        return None
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3.1 * columns + 0.3, 2.5 * lines + 0.3), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False)
        for axis in grid.flat[len(panels) :]:
            axis.set_axis_off()
        for place, ((dataset, stage, _), (generators, rows)) in enumerate(panels.items()):
            axis = grid.flat[place]
            axis.plot(rows["step"], rows["train_loss"], color="#767676", label="training records", marker="s")
            axis.plot(rows["step"], rows["validation_loss"], color=COLOURS[0], label="validation records", marker="o")
            axis.set_title(f"{dataset}: {stage}\n{_wrapped(generators)}", fontsize=8.5)
            axis.set_xlabel("training step")
            if place % columns == 0:
                axis.set_ylabel("loss")
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return svg(figure)


def _wrapped(names: Sequence[str]) -> str:
    return textwrap.fill(", ".join(names), 36, max_lines=2, placeholder=" …")
