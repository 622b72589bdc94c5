"""One prediction for each record of a dataset whose folds rotate: the test records of all rotations together.

Each rotation has networks and generators of its own, which saw none of the patients that it tests. Networks of the same
seed are taken for one: what it answers on a record is what the network of the rotation answers that tested the record.

The training records of rotations overlap, and a test record of one is a training record of the others. So what the
choice of patients does to a difference is more than it is with a test set apart (:func:`inflation`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ecgpipe.numbered import numbered
from ecgpipe.preprocess.splits import TEST, TRAIN, rotation
from ecgpipe.tables.cells import Cell, Key, read_all

log = logging.getLogger(__name__)


def inflation(number: int) -> float:
    """Return by how much patients add more to the variance of a difference than their answers tell.

    It is Nadeau and Bengio's correction (Inference for the generalization error, Machine Learning 52:239, 2003), who
    take the correlation of two rotations for the share of records that is tested: the variance of a mean over k
    rotations is (1/k + n_test / n_train) times that of one, in place of 1/k.

    Args:
        number: of rotations; one has a test set apart, whose training records are taken as they are.
    """
    if number == 1:
        return 1.0
    folds = [rotation(place, number) for place in range(1, number + 1)]
    return 1.0 + sum(len(parts[TEST]) / len(parts[TRAIN]) for parts in folds)


def by_dataset(files: Mapping[str, Sequence[Path]], rotate: Mapping[str, int]) -> dict[str, list[list[Path]]]:
    """Sort files of predictions by dataset and rotation.

    Args:
        files: by name of the dataset, or of the rotation.
        rotate: number of rotations of each dataset; one where it is not named.
    """
    further = {name: dataset for dataset, number in rotate.items() for name in numbered(dataset, number)[1:]}
    found: dict[str, list[list[Path]]] = {}
    for name in sorted(files, key=lambda name: name in further):
        found.setdefault(further.get(name, name), []).append(list(files[name]))
    return found


def with_rotation(training: pd.DataFrame, rotate: Mapping[str, int]) -> pd.DataFrame:
    """Name the dataset in rows of its rotations; the column ``rotation`` says which, from 1.

    Args:
        training: a row a training.
        rotate: number of rotations of each dataset; one where it is not named.
    """
    places = {
        name: (dataset, place)
        for dataset, number in rotate.items()
        for place, name in enumerate(numbered(dataset, number), 1)
    }
    named = [places.get(name, (name, 1)) for name in training["dataset"]]
    table = training.assign(dataset=[dataset for dataset, _ in named])
    table.insert(1, "rotation", [place for _, place in named])
    return table


def read_rotations(rotations: Sequence[Sequence[Path]], dataset: str, number: int = 1) -> list[Cell]:
    """Read the predictions of all rotations of a dataset, and pool them.

    Args:
        rotations: files of each.
        dataset: its name.
        number: of rotations that it has; without all of them, as after a run in which jobs failed, there are no cells.

    Raises:
        FileNotFoundError, ValueError: as :func:`ecgpipe.tables.cells.read_all` and :func:`pooled`.
    """
    if len(rotations) < number:
        log.warning("%s is left out: %d of its %d rotations have been tested", dataset, len(rotations), number)
        return []
    cells = [read_all(paths) for paths in rotations]
    return cells[0] if len(cells) == 1 else pooled([[_renamed(cell, dataset) for cell in mine] for mine in cells])


def _renamed(cell: Cell, dataset: str) -> Cell:
    """Name the dataset in place of its rotation."""
    tested = cell.tested.replace(cell.dataset, dataset, 1) if cell.tested.split("/")[0] == cell.dataset else cell.tested
    return replace(cell, dataset=dataset, tested=tested)


def pooled(rotations: Sequence[Sequence[Cell]]) -> list[Cell]:
    """Put the test records of all rotations together, seed by seed.

    Synthetic test records are those of the first rotation: the others' are other records. What not all rotations have,
    as a ratio for which one of them has too few synthetic records, is left out with a warning.

    Args:
        rotations: cells of each rotation, with the name of the dataset.

    Raises:
        ValueError: if a patient was tested in two rotations, or rotations differ in seeds or classes.
    """
    first, *others = [{cell.key: cell for cell in cells} for cells in rotations]
    found = []
    for key, cell in first.items():
        same = [other[key] for other in others if key in other]
        if not cell.at_home:
            found.append(cell)
        elif len(same) == len(others):
            found.append(_together([cell, *same]))
    every: set[Key] = set(first).union(*others)
    kept = {cell.key for cell in found}
    for key in sorted(key for key in every - kept if key[0] == key[-1]):
        log.warning("%s: not all rotations have it, so that it is left out", ", ".join(map(str, key)))
    return found


def _together(cells: Sequence[Cell]) -> Cell:
    cell = cells[0]
    for other in cells:
        if (other.seeds, other.classes) != (cell.seeds, cell.classes):
            raise ValueError(
                f"rotations of ({cell}) have other seeds or classes: {list(cell.seeds)}, {list(other.seeds)}; "
                f"delete the classifier results of {cell.dataset} and run again"
            )
    tested = pd.concat(
        [pd.DataFrame({"record": c.records, "patient": c.patients, "rotation": n}) for n, c in enumerate(cells)],
        ignore_index=True,
    )
    several = tested.groupby("patient")["rotation"].nunique()
    if (several > 1).any():
        raise ValueError(
            f"({cell}): patient {several.idxmax()} was tested in more than one rotation; delete the classifier results "
            f"of {cell.dataset} and run again"
        )
    order = tested.sort_values(["record", "patient"], kind="stable").index.to_numpy()
    return replace(
        cell,
        records=tested["record"].to_numpy()[order],
        patients=tested["patient"].to_numpy()[order],
        labels=np.concatenate([c.labels for c in cells])[order],
        probabilities=np.concatenate([c.probabilities for c in cells], axis=1)[:, order],
    )
