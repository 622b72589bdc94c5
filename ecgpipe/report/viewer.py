"""The records that the page's viewer holds: real and synthetic ones of every cell, and their nearest training records.

A cell is a dataset, one of its sets (real records, or one generator's) and a rhythm. Records are taken in the order of
their file, test records first; none is picked by eye.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ecgpipe.closeness.clinical import beat_figures, r_peaks
from ecgpipe.closeness.copies import find_copies
from ecgpipe.closeness.records import Records
from ecgpipe.dataset import Dataset
from ecgpipe.leads import INDEPENDENT
from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.report import scripts
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.packing import pack

PER_CELL = 20
"""Records of a cell, where there are as many."""
STEPS = (0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.025)
"""Quantisation steps, mV: the finest at which all records fit is taken. The last is 0.25 mm at 10 mm/mV."""
_FIRST_PAIRS = 5
"""Pairs of the privacy audit that come before all other records, for each dataset and generator."""
_LATER = 48
"""Bytes of what is added to a record after it is packed, at most about: heart rate and nearest training record."""
_TRIED = 60
"""Records whose size at each step is measured, to guess the step at which all fit."""

Key = tuple[int, int]
"""A record: the place of its set, and its row there."""


@dataclass
class Set:
    """The real records of a dataset, or one generator's.

    Attributes:
        dataset: index of the dataset in the page.
        name: what the reader chooses: ``real``, ``simulated`` or the generator's name.
        real: whether no generator made it.
        records: signals and table.
    """

    dataset: int
    name: str
    real: bool
    records: Dataset

    def cell(self, label: str) -> np.ndarray:
        """Return the rows of a rhythm, test records first, else in the order of the file."""
        table = self.records.records
        rows = np.flatnonzero((table["label"] == label).to_numpy())
        return rows[np.argsort(table["split"].to_numpy()[rows] != "test", kind="stable")]

    def rows(self, name: str) -> np.ndarray:
        """Return the rows of the records of that name; a merge may have several."""
        return np.flatnonzero((self.records.records["record"] == name).to_numpy())


def has_own_samples(inputs: Inputs, name: str) -> bool:
    """Say whether a dataset has samples other than those of its members, which are shown there."""
    settings, with_samples = inputs.config.dataset_settings[name], {dataset for dataset, _ in inputs.drawn}
    pooled = settings.merge is not None and settings.synthetic == "union"
    return name in with_samples and not (pooled and with_samples & set(settings.merge or []))


def sets_of(inputs: Inputs) -> tuple[list[str], list[Set]]:
    """Return the datasets that have samples, and their sets: real records first, then each generator's.

    There are none in a report that shows no records.
    """
    if not inputs.ecgs:
        return [], []
    names = [name for name in inputs.data if any(dataset == name for dataset, _ in inputs.drawn)]
    sets = []
    for place, name in enumerate(names):
        word = "simulated" if name in inputs.simulated else "real"
        sets.append(Set(place, word, True, Dataset.load(inputs.data[name])))
        sets += [Set(place, g, False, Dataset.load(path)) for (d, g), path in inputs.drawn.items() if d == name]
    return names, sets


@dataclass
class Store:
    """Packed records of a page, up to a number of bytes.

    Attributes:
        sets: the sets of the page.
        step: quantisation step, mV.
        budget: bytes that the records may take.
    """

    sets: Sequence[Set]
    step: float
    budget: float
    entries: dict[Key, dict[str, Any]] = field(default_factory=dict)
    used: int = 0

    def add(self, key: Key) -> bool:
        """Pack a record, unless it is there; return whether it is there now."""
        if key in self.entries:
            return True
        entry = _entry(self.sets, key, self.step)
        size = _size(entry)
        if self.used + size > self.budget:
            return False
        self.used += size
        self.entries[key] = entry
        return True


def _entry(sets: Sequence[Set], key: Key, step: float) -> dict[str, Any]:
    """Return a record as the page holds it. What is the same for nearly all records is left out."""
    place, row = key
    mine = sets[place].records
    table, packed = mine.records.iloc[row], pack(np.asarray(mine.signals[row]), step)
    return {
        "set": place,
        "class": mine.spec.classes.index(table["label"]),
        "name": str(table["record"]),
        "split": str(table["split"]),
        **({"step": packed["step"]} if packed["step"] != step else {}),
        **({"leads": packed["leads"]} if packed["leads"] != len(INDEPENDENT) else {}),
        "data": packed["data"],
    }


def _size(entry: dict[str, Any]) -> int:
    return len(scripts.data(entry).encode()) + _LATER


def _stored(sets: Sequence[Set], keys: Sequence[Key], budget: float) -> Store:
    """Return the packed records at the finest step at which all fit, else as many as fit at the coarsest."""
    some = keys[:: max(len(keys) // _TRIED, 1)]
    for step in STEPS:
        last = step == STEPS[-1]
        if not last and np.mean([_size(_entry(sets, key, step)) for key in some]) * len(keys) > budget:
            continue
        store = Store(sets, step, budget)
        # At the coarsest step a smaller record can still fit after one that does not.
        if all(store.add(key) or last for key in keys) and (last or len(store.entries) == len(keys)):
            return store
    raise AssertionError("the last step is always taken")


def _pairs(inputs: Inputs, names: Sequence[str], sets: Sequence[Set]) -> list[dict[str, Any]]:
    """Return the pairs that the privacy audit names, as places and rows of ``sets``."""
    path = inputs.tables / "copies.parquet"
    if not path.exists():
        return []
    places = {(names[own.dataset], "" if own.real else own.name): place for place, own in enumerate(sets)}
    found = []
    for row in rows_of(pd.read_parquet(path)):
        synthetic, real = places.get((row["dataset"], row["generator"])), places.get((row["dataset"], ""))
        if synthetic is None or real is None:
            continue
        rows = _rows_of_pair(sets[synthetic], sets[real], row)
        if rows is not None:
            about = {"similarity": row["similarity"], "shift": row["shift"], "distance": row["distance"]}
            found.append(
                {"synthetic": (synthetic, rows[0]), "training": (real, rows[1]), "kind": row["kind"]}
                | {name: round(float(value), 4) for name, value in about.items()}
            )
    return found


def _rows_of_pair(synthetic: Set, real: Set, pair: Row) -> tuple[int, int] | None:
    """Return the rows of a pair. Names may repeat in a merge: the distance tells which records are meant."""
    candidates = [(int(a), int(b)) for a in synthetic.rows(pair["synthetic"]) for b in real.rows(pair["training"])]

    def miss(rows: tuple[int, int]) -> float:
        x, y = (np.asarray(own.records.signals[row]) for own, row in zip((synthetic, real), rows, strict=True))
        return abs(float(np.sqrt(np.mean((x - y) ** 2))) - float(pair["distance"]))

    return min(candidates, key=miss) if candidates else None


def _cells(inputs: Inputs, names: Sequence[str], sets: Sequence[Set]) -> list[Key]:
    """Return the records of all cells, the first of each cell before the second of any."""
    wanted = [
        (rank, place, int(row))
        for place, own in enumerate(sets)
        if has_own_samples(inputs, names[own.dataset])
        for label in own.records.spec.classes
        for rank, row in enumerate(own.cell(label)[:PER_CELL])
    ]
    return [(place, row) for _, place, row in sorted(wanted)]


@dataclass(frozen=True)
class _Near:
    """The training record most like another record: its name, their similarity, and the shift between them in s."""

    key: Key
    name: str
    similarity: float
    shift: float


def _nearest(sets: Sequence[Set], shown: Sequence[Key]) -> Iterator[tuple[Key, _Near]]:
    """Find the training record most like each shown record that is not itself one."""
    for place, real in enumerate(sets):
        table = real.records.records
        train = np.flatnonzero((table["split"] == "train").to_numpy())
        if not real.real or not len(train):
            continue
        synthetic = [key for key in shown if sets[key[0]].dataset == real.dataset and not sets[key[0]].real]
        held_out = [key for key in shown if key[0] == place and table["split"].iloc[key[1]] != "train"]
        if not synthetic:
            continue
        training = Records.of(real.records, ["train"])
        found = find_copies(_taken(sets, synthetic), _taken(sets, held_out or synthetic), training)
        for keys, pairs in zip((synthetic, held_out), found, strict=True):
            for key, pair in zip(keys, rows_of(pairs), strict=False):
                row = int(train[pair["training"]])
                seconds = float(pair["shift"]) / real.records.spec.rate
                yield key, _Near((place, row), str(table["record"].iloc[row]), float(pair["similarity"]), seconds)


def _taken(sets: Sequence[Set], keys: Sequence[Key]) -> Records:
    signals = np.stack([np.asarray(sets[place].records.signals[row]) for place, row in keys])
    return Records(signals, sets[keys[0][0]].records.spec.rate)


def _heart_rates(store: Store) -> None:
    """Add the heart rate of lead II to each entry; None where fewer than three beats are found."""
    keys = list(store.entries)
    for place, own in enumerate(store.sets):
        mine = [key for key in keys if key[0] == place]
        if mine:
            spec = own.records.spec
            lead = np.stack([np.asarray(own.records.signals[row][spec.leads.index("II")]) for _, row in mine])
            rates = beat_figures(r_peaks(lead, spec.rate), spec.rate)[:, 0]
            for key, rate in zip(mine, rates, strict=True):
                store.entries[key]["rate"] = None if math.isnan(rate) else round(float(rate))


def viewer_data(inputs: Inputs, budget: float) -> dict[str, Any] | None:
    """Return what the viewer shows, JSON-serialisable; None if there are no synthetic records.

    Args:
        inputs: the study's results.
        budget: bytes that the records may take in the page.
    """
    names, sets = sets_of(inputs)
    if not sets:
        return None
    pairs = _pairs(inputs, names, sets)
    cells = _cells(inputs, names, sets)
    counted: dict[tuple[int, int], int] = {}
    first: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for pair in pairs:
        cell = pair["synthetic"][0], pair["training"][0]
        counted[cell] = counted.get(cell, 0) + 1
        (first if counted[cell] <= _FIRST_PAIRS else rest).append(pair)
    ends = [[pair[end] for pair in some for end in ("synthetic", "training")] for some in (first, rest)]
    near = dict(_nearest(sets, cells))
    training = [own.key for own in sorted(near.values(), key=lambda own: -own.similarity)]
    wanted = list(dict.fromkeys([*ends[0], *cells, *training, *ends[1]]))
    store = _stored(sets, wanted, budget)
    shown = [key for key in cells if key in store.entries]
    store.entries = {key: store.entries[key] for key in dict.fromkeys([*shown, *store.entries])}
    _add_nearest(store, {key: near[key] for key in shown if key in near})
    _heart_rates(store)
    return _as_json(names, inputs, store, pairs, len(shown))


def _add_nearest(store: Store, near: dict[Key, _Near]) -> None:
    """Add its nearest training record to each entry: its index, or its name if it is not there; similarity; shift."""
    index = {key: i for i, key in enumerate(store.entries)}
    for key, own in near.items():
        store.entries[key]["near"] = [index.get(own.key, own.name), round(own.similarity, 3), round(own.shift, 2)]


def _as_json(
    names: Sequence[str], inputs: Inputs, store: Store, pairs: Sequence[dict[str, Any]], shown: int
) -> dict[str, Any]:
    """Return the page's form of the store: records by index, the ``shown`` first ones in the cells."""
    index = {key: i for i, key in enumerate(store.entries)}
    spec = store.sets[0].records.spec
    there = [
        {**pair, "synthetic": index[pair["synthetic"]], "training": index[pair["training"]]}
        for pair in pairs
        if pair["synthetic"] in index and pair["training"] in index
    ]
    records = list(store.entries.values())
    counts = pd.Series([(entry["set"], entry["class"]) for entry in records[:shown]]).value_counts()
    return {
        "rate": spec.rate,
        "length": spec.length,
        "step": store.step,
        "leads": len(INDEPENDENT),
        "classes": list(spec.classes),
        "datasets": [{"name": name, "simulated": name in inputs.simulated} for name in names],
        "sets": [{"dataset": own.dataset, "name": own.name, "real": own.real} for own in store.sets],
        "most": int(counts.max()) if len(counts) else 0,
        "shown": shown,
        "records": records,
        "pairs": there,
        "unshown_pairs": len(pairs) - len(there),
        "unshown_nearest": sum(isinstance(entry["near"][0], str) for entry in records[:shown] if "near" in entry),
    }
