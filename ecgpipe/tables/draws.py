"""The bootstrap of a study: the same draws of seeds and patients for every cell of a dataset, so that they pair."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from ecgpipe.tables.cells import Cell, Key
from ecgpipe.tables.influence import Influences, Rhythms, influences
from ecgpipe.tables.resampling import over_seeds, patient_weights, seed_weights
from ecgpipe.tables.weighted import metric_names, weighted_table


@dataclass(frozen=True)
class Draw:
    """Bootstrap draws of a cell's metrics (``m``, in the order of ``names``) over seeds and patients.

    Where a generator was repeated, its repetitions are drawn, each with all of the seeds that learnt from it.
    """

    names: list[tuple[str, str]]
    """(class, metric); class also ``macro`` and ``all``."""
    values: np.ndarray
    """Mean over the drawn seeds on the drawn patients, ``(b, m)``."""
    observed: np.ndarray
    """Each seed on all patients, ``(s, m)``, or the mean of each repetition's seeds, ``(r, m)``."""
    repetitions: int
    """Of the generator; 1 also where no synthetic record was learnt from."""


class Draws:
    """Bootstrap draws of cells, computed once for each cell and kept.

    Args:
        number: draws.
        seed: of the random draws; they also depend on the names of dataset and test set, and on nothing else.
        repetitions: of each generator; seeds in ascending order take turns.
    """

    def __init__(self, number: int, seed: int, repetitions: int = 1) -> None:
        self.number = number
        self.seed = seed
        self.repetitions = repetitions
        self._patients: dict[str, np.ndarray] = {}
        self._done: dict[Key, Draw] = {}
        self._influences: dict[Key, Influences] = {}

    def rng(self, *names: object) -> np.random.Generator:
        """Return a source of randomness of its own for each sequence of names."""
        return np.random.default_rng([self.seed, *(zlib.crc32(str(name).encode()) for name in names)])

    def of(self, cell: Cell) -> Draw:
        """Return the draws of a cell."""
        if cell.key not in self._done:
            self._done[cell.key] = self._compute(cell)
        return self._done[cell.key]

    def influences(self, cell: Cell) -> Influences:
        """Return how a cell's compared metrics hang on the test patients."""
        if cell.key not in self._influences:
            rhythms = Rhythms.of(cell.patients, cell.labels, cell.classes)
            self._influences[cell.key] = influences(cell.labels, cell.probabilities, cell.patients, rhythms.ids)
        return self._influences[cell.key]

    def weights(self, cell: Cell) -> np.ndarray:
        """Return the weights of a cell's test records, ``(draws, n)``."""
        if cell.tested not in self._patients:
            rng = self.rng(cell.tested, "patients")
            self._patients[cell.tested] = patient_weights(cell.patients, cell.labels, self.number, rng)
        return self._patients[cell.tested]

    def _compute(self, cell: Cell) -> Draw:
        repetitions = self.repetitions if cell.has_synthetic else 1
        number = len(cell.seeds)
        sampled = repetitions if repetitions > 1 else number
        weights = seed_weights(sampled, self.number, self.rng(cell.dataset, "seeds"))
        turns = np.arange(number) % sampled
        seeds = weights[:, turns] * (sampled / number)
        table = weighted_table(cell.labels, cell.probabilities, self.weights(cell))
        observed = weighted_table(cell.labels, cell.probabilities, np.ones((1, len(cell.labels))))[0]
        observed = over_seeds(observed[None], (turns == np.arange(sampled)[:, None]).astype(float))
        return Draw(metric_names(cell.classes), over_seeds(table, seeds), observed, repetitions)
