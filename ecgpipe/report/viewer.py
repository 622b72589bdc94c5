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
from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.packing import pack

PER_CELL = 20
"""Records of a cell, where there are as many."""
STEPS = (0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.025)
"""Quantisation steps, mV: the finest at which all records fit is taken. The last is 0.25 mm at 10 mm/mV."""
_FIRST_PAIRS = 5
"""Pairs of the privacy audit that come before all other records, for each dataset and generator."""
_ENTRY = 320
"""Bytes that a record takes beside its samples, at most about."""
_TRIED = 3
"""Records of each set whose size at each step is measured."""


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
    entries: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    used: int = 0

    def add(self, place: int, row: int) -> bool:
        """Pack a record, unless it is there; return whether it is there now."""
        if (place, row) in self.entries:
            return True
        mine = self.sets[place].records
        table = mine.records.iloc[row]
        packed = pack(np.asarray(mine.signals[row]), self.step)
        size = len(packed["data"]) + _ENTRY + len(str(table["record"]).encode())
        if self.used + size > self.budget:
            return False
        self.used += size
        self.entries[place, row] = {
            "set": place,
            "class": mine.spec.classes.index(table["label"]),
            "name": str(table["record"]),
            "split": str(table["split"]),
            "shown": False,
            **packed,
        }
        return True


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


def _step(sets: Sequence[Set], count: int, budget: float) -> float:
    """Return the finest step at which ``count`` records of ``sets`` fit into the budget, about."""
    some = [np.asarray(own.records.signals[row]) for own in sets for row in range(min(_TRIED, len(own.records)))]
    for step in STEPS[:-1]:
        size = np.mean([len(pack(signal, step)["data"]) for signal in some]) + _ENTRY
        if size * count <= 0.97 * budget:
            return step
    return STEPS[-1]


def _cells(inputs: Inputs, names: Sequence[str], sets: Sequence[Set]) -> list[tuple[int, int]]:
    """Return the records of all cells, the first of each cell before the second of any."""
    wanted = [
        (rank, place, int(row))
        for place, own in enumerate(sets)
        if has_own_samples(inputs, names[own.dataset])
        for label in own.records.spec.classes
        for rank, row in enumerate(own.cell(label)[:PER_CELL])
    ]
    return [(place, row) for _, place, row in sorted(wanted)]


def _nearest(store: Store) -> Iterator[tuple[tuple[int, int], tuple[int, int], float, float]]:
    """Find the training record most like each shown record that is not itself one.

    Yields:
        The record, the training record, their similarity, and the shift between them in seconds.
    """
    for place, real in enumerate(store.sets):
        train = np.flatnonzero((real.records.records["split"] == "train").to_numpy())
        if not real.real or not len(train):
            continue
        shown = [
            key for key, entry in store.entries.items() if entry["shown"] and store.sets[key[0]].dataset == real.dataset
        ]
        synthetic = [key for key in shown if not store.sets[key[0]].real]
        held_out = [key for key in shown if key[0] == place and store.entries[key]["split"] != "train"]
        if not synthetic:
            continue
        training = Records.of(real.records, ["train"])
        found = find_copies(_taken(store, synthetic), _taken(store, held_out or synthetic), training)
        for keys, pairs in zip((synthetic, held_out), found, strict=True):
            for key, pair in zip(keys, rows_of(pairs), strict=False):
                seconds = float(pair["shift"]) / real.records.spec.rate
                yield key, (place, int(train[pair["training"]])), float(pair["similarity"]), seconds


def _taken(store: Store, keys: Sequence[tuple[int, int]]) -> Records:
    signals = np.stack([np.asarray(store.sets[place].records.signals[row]) for place, row in keys])
    return Records(signals, store.sets[keys[0][0]].records.spec.rate)


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
    store = Store(sets, _step(sets, len({*ends[0], *cells}), budget), budget)
    for key in (*ends[0], *cells, *ends[1]):
        store.add(*key)
    shown = {key: store.entries[key] | {"shown": True} for key in cells if key in store.entries}
    store.entries = shown | {key: entry for key, entry in store.entries.items() if key not in shown}
    for key, training, similarity, shift in sorted(_nearest(store), key=lambda found: -found[2]):
        store.add(*training)
        name = str(sets[training[0]].records.records["record"].iloc[training[1]])
        store.entries[key]["near"] = {"key": training, "name": name, "similarity": similarity, "shift": shift}
    _heart_rates(store)
    return _as_json(names, inputs, store, pairs)


def _as_json(names: Sequence[str], inputs: Inputs, store: Store, pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the page's form of the store: records by index."""
    index = {key: i for i, key in enumerate(store.entries)}
    for entry in store.entries.values():
        if near := entry.get("near"):
            entry["near"] = {
                "name": near["name"],
                "record": index.get(near["key"]),
                "similarity": round(near["similarity"], 3),
                "shift": round(near["shift"], 2),
            }
    spec = store.sets[0].records.spec
    shown = [
        {**pair, "synthetic": index[pair["synthetic"]], "training": index[pair["training"]]}
        for pair in pairs
        if pair["synthetic"] in index and pair["training"] in index
    ]
    counts = pd.Series([(e["set"], e["class"]) for e in store.entries.values() if e["shown"]]).value_counts()
    return {
        "rate": spec.rate,
        "length": spec.length,
        "step": store.step,
        "classes": list(spec.classes),
        "datasets": [{"name": name, "simulated": name in inputs.simulated} for name in names],
        "sets": [{"dataset": own.dataset, "name": own.name, "real": own.real} for own in store.sets],
        "most": int(counts.max()) if len(counts) else 0,
        "records": list(store.entries.values()),
        "pairs": shown,
        "unshown_pairs": len(pairs) - len(shown),
    }
