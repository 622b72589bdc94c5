"""Drawings of one real and one synthetic ECG of each set, for print and for browsers without scripts."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from ecgpipe.report import ecgpaper
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.viewer import Set, has_own_samples, sets_of

MAX_ECGS = 24
"""Drawings of ECGs on the page, at about 25 kB each."""


def _drawing(own: Set, dataset: str, label: str) -> dict[str, Any]:
    row = int(own.cell(label)[0])
    record = str(own.records.records["record"].iloc[row])
    caption = f"{dataset}, {label}: {own.name if own.real else f'synthetic, {own.name}'}, record {record}."
    svg = ecgpaper.draw(np.asarray(own.records.signals[row]), own.records.spec.rate, f"12-lead ECG, {caption}")
    return {"caption": caption, "svg": Markup(svg)}  # noqa: S704 - the title is escaped by draw()


def examples(inputs: Inputs) -> list[dict[str, Any]]:
    """Return a drawing of each set, all of a dataset of the rhythm that most of its sets have."""
    names, sets = sets_of(inputs)
    found = []
    for place, name in enumerate(names):
        mine = [own for own in sets if own.dataset == place] if has_own_samples(inputs, name) else []
        have = {label: sum(bool(len(own.cell(label))) for own in mine) for label in inputs.classes}
        label = max(inputs.classes, key=lambda c: have[c])
        found += [_drawing(own, name, label) for own in mine if len(own.cell(label))]
    return found[:MAX_ECGS]
