"""What the report is made of: configuration, tables and folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from ecgpipe.config import Config
from ecgpipe.config.derived import is_simulated
from ecgpipe.dataset import SignalSpec
from ecgpipe.files import read_parquet_metadata
from ecgpipe.prose import methods
from ecgpipe.report.provenance import GitState

Model = tuple[str, str]
"""Dataset and generator."""


@dataclass(frozen=True)
class Inputs:
    """What the report is made of.

    Attributes:
        config: the study.
        tables: folder of the tables.
        data: folder of each dataset.
        samples: folder of the samples of each (dataset, generator).
        models: folder of each trained (dataset, generator).
        git: state of the checkout; None if there is none.
        ecgs: whether records are shown.
    """

    config: Config
    tables: Path
    data: Mapping[str, Path]
    samples: Mapping[Model, Path]
    models: Mapping[Model, Path]
    git: GitState | None
    ecgs: bool = True
    _read: dict[str, pd.DataFrame] = field(default_factory=dict)

    def table(self, name: str) -> pd.DataFrame:
        """Read a table, once.

        Raises:
            FileNotFoundError: if it is missing.
        """
        if name not in self._read:
            path = self.tables / f"{name}.parquet"
            if not path.exists():
                raise FileNotFoundError(f"{path} is missing: make the tables before the report")
            self._read[name] = pd.read_parquet(path)
        return self._read[name]

    @cached_property
    def drawn(self) -> dict[Model, Path]:
        """Samples that are there."""
        return {cell: folder for cell, folder in self.samples.items() if (folder / "signals.npy").exists()}

    @cached_property
    def simulated(self) -> list[str]:
        """Datasets in which a record is simulated."""
        return [name for name in self.data if is_simulated(self.config.dataset_settings, name)]

    def patients_known(self, name: str) -> bool:
        """Say whether a dataset names its patients. Where it does not, each record counts as one of its own."""
        return methods.patients_known(self.config, name)

    def in_order(self, names: pd.Series) -> list[str]:
        """Return the datasets among ``names``, in the order of ``data``."""
        return [name for name in self.data if name in set(names)]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return SignalSpec.from_json(read_parquet_metadata(next(iter(self.data.values())) / "records.parquet")).classes
