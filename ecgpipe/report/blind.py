"""The blind test: real and synthetic ECGs in random order, unlabelled, for a reader to judge; and its key.

The page holds no answer: which records are synthetic stands in a file of its own, ``blind_key.json``. Both are made of
the same records in the same way (all twelve leads, one quantisation step), so that the page's data show no difference
of storage. What reads the answers is :mod:`ecgpipe.blind.scoring`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecgpipe.blind.key import KEY_FORMAT, Item, Key
from ecgpipe.files import write_json
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.packing import pack
from ecgpipe.report.viewer import Set, has_own_samples, sets_of

EACH = 2
"""Synthetic records of each generator and rhythm, from all datasets together; as many real ones as synthetic ones."""
STEP = 0.01
"""Quantisation step, mV: 0.1 mm at 10 mm/mV."""

_Record = tuple[Set, int]


def _drawn(rng: np.random.Generator, sets: Sequence[Set], label: str, count: int) -> list[_Record]:
    """Draw records of a rhythm without replacement: from the sets in turn, real ones from test records while there are.

    Real training records come last: a reader could know them from elsewhere in the report.
    """
    queues: list[list[_Record]] = []
    for own in sets:
        rows = rng.permutation(own.cell(label))
        if own.real:
            split = own.records.records["split"].to_numpy()[rows]
            rows = rows[np.argsort((split != "test") * 1 + (split == "train"), kind="stable")]
        queues.append([(own, int(row)) for row in rows])
    found: list[_Record] = []
    while len(found) < count and any(queues):
        for place in rng.permutation(len(queues)):
            if queues[place] and len(found) < count:
                found.append(queues[place].pop(0))
    return found


def _chosen(inputs: Inputs, rng: np.random.Generator, each: int) -> list[_Record]:
    """Return the test's records, in their order."""
    names, sets = sets_of(inputs)
    own = [one for one in sets if has_own_samples(inputs, names[one.dataset])]
    found: list[_Record] = []
    for label in inputs.classes:
        synthetic: list[_Record] = []
        for generator in inputs.config.generators:
            mine = [one for one in own if not one.real and one.name == generator]
            synthetic += _drawn(rng, mine, label, each)
        found += synthetic + _drawn(rng, [one for one in own if one.real], label, len(synthetic))
    return [found[place] for place in rng.permutation(len(found))]


def blind_test(inputs: Inputs, each: int = EACH, seed: int | None = None) -> tuple[dict[str, Any], Key] | None:
    """Return what the page of the blind test shows, and its key; None if there are no synthetic records.

    Args:
        inputs: the study's results.
        each: synthetic records of each generator and rhythm.
        seed: decides which records are shown, and in which order; the study's if not given.
    """
    names, _ = sets_of(inputs)
    records = _chosen(inputs, np.random.default_rng([inputs.config.seed if seed is None else seed, *b"blind"]), each)
    if not records:
        return None
    items = {f"e{place:03d}": record for place, record in enumerate(records, 1)}
    answers = {
        item: Item(
            real=own.real,
            set=own.name,
            dataset=names[own.dataset],
            rhythm=str(own.records.records["label"].iloc[row]),
            record=str(own.records.records["record"].iloc[row]),
        )
        for item, (own, row) in items.items()
    }
    spec = records[0][0].records.spec
    data = [
        {"item": item, **pack(np.asarray(own.records.signals[row]), STEP, all_leads=True)}
        for item, (own, row) in items.items()
    ]
    # Of the key and the signals, so that a test made of other samples is another test.
    test = hashlib.sha256(json.dumps([answers, data], sort_keys=True).encode()).hexdigest()[:16]
    page = {"test": test, "rate": spec.rate, "length": spec.length, "classes": list(spec.classes), "records": data}
    return page, Key(format=KEY_FORMAT, test=test, classes=list(spec.classes), items=answers)


def write_key(path: Path, key: Key | None) -> None:
    """Write the key; an empty one if there is no test, so that the file is there."""
    write_json(path, key or {"format": KEY_FORMAT, "test": "", "classes": [], "items": {}})
