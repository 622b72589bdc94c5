"""Drawings of real and synthetic ECGs, a rhythm after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from ecgpipe.dataset import Dataset
from ecgpipe.report import ecgpaper
from ecgpipe.report.inputs import Inputs

MAX_ECGS = 120
"""Drawings of ECGs on the page: at about 25 kB each they keep it well below 8 MB."""


def _first(dataset: Dataset, label: str) -> int | None:
    """Return the first row of a class, from the test split if it has one."""
    rows = dataset.records.index[dataset.records["label"] == label].to_numpy()
    tested = rows[(dataset.records["split"].to_numpy()[rows] == "test")]
    return int(tested[0]) if len(tested) else int(rows[0]) if len(rows) else None


def _drawing(dataset: Dataset, label: str, title: str) -> dict[str, Any]:
    """Draw the first record of a class, or say that there is none."""
    row = _first(dataset, label)
    if row is None:
        return {"title": title, "missing": f"no record of {label}"}
    record = str(dataset.records["record"].iloc[row])
    svg = ecgpaper.draw(
        np.asarray(dataset.signals[row]), dataset.spec.rate, f"12-lead ECG, {label}: {title}, record {record}"
    )
    return {"title": title, "record": record, "svg": Markup(svg)}  # noqa: S704 - the title is escaped by draw()


def _has_own_samples(inputs: Inputs, name: str) -> bool:
    """Say whether a dataset has samples other than those of its members, which are drawn there."""
    settings, with_samples = inputs.config.dataset_settings[name], {dataset for dataset, _ in inputs.drawn}
    pooled = settings.merge is not None and settings.synthetic == "union"
    return name in with_samples and not (pooled and with_samples & set(settings.merge or []))


def drawings(inputs: Inputs) -> dict[str, Any]:
    """Return a section a dataset, with a drawing of each class and set."""
    names = [name for name in inputs.data if _has_own_samples(inputs, name)]
    drawings = sum(1 + sum(d == name for d, _ in inputs.drawn) for name in names)
    shown = inputs.classes[: max(1, MAX_ECGS // max(1, drawings))]
    sections = []
    for name in names:
        real = Dataset.load(inputs.data[name])
        word = "simulated" if name in inputs.simulated else "real"
        sets = [(word, real)]
        sets += [(f"synthetic, {g}", Dataset.load(path)) for (d, g), path in inputs.drawn.items() if d == name]
        classes = [(label, [_drawing(dataset, label, title) for title, dataset in sets]) for label in shown]
        sections.append({"name": name, "classes": classes})
    return {"datasets": sections, "left_out": list(inputs.classes[len(shown) :])}
