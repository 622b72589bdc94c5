"""A trained generator in a few lines: its class, weights and the study's sampling settings come from its folder.

>>> generator = load("results/generators/demo_ptbxl/diffwave")  # doctest: +SKIP
>>> ecgs = generator.sample("AFIB", 50, seed=1)  # doctest: +SKIP
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel
from tqdm import tqdm

from ecgpipe.dataset import SignalSpec
from ecgpipe.files import read_json
from ecgpipe.generate.base import ModelFileError, check_drawable, load_generator
from ecgpipe.generate.protocol import Generator
from ecgpipe.generate.registry import parse_settings
from ecgpipe.generate.training import pick_device
from ecgpipe.sample.draw import record_seeds
from ecgpipe.sample.names import SAMPLING

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator to draw from.

    Attributes:
        name: what its study calls it.
        generator: the trained object itself.
        spec: rate, length, leads and classes of what it draws.
        sampling: how it draws: the study's settings, or those of its class where the folder keeps none.
        facts: contents of ``model.json``.
    """

    name: str
    generator: Generator
    spec: SignalSpec
    sampling: BaseModel
    facts: Mapping[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; a class's number is its place here."""
        return self.spec.classes

    def class_ids(self, labels: Sequence[str | int]) -> np.ndarray:
        """Return the numbers ``(n,)``, int64, of classes that are given by name or number.

        Raises:
            ValueError: if there is no such class, or the generator saw no training record of it.
        """
        ids = np.array([self._class_id(label) for label in labels], dtype=np.int64)
        check_drawable(ids, self.spec, self.facts)
        return ids

    def _class_id(self, label: str | int) -> int:
        if isinstance(label, str) and label in self.classes:
            return self.classes.index(label)
        if isinstance(label, int | np.integer) and not isinstance(label, bool) and 0 <= label < len(self.classes):
            return int(label)
        known = ", ".join(f"{name} ({number})" for number, name in enumerate(self.classes))
        raise ValueError(f"{self.name} has no class {label!r}; it has {known}")

    def settings(self, changed: Mapping[str, Any]) -> BaseModel:
        """Return :attr:`sampling` with some of its values changed.

        Raises:
            GeneratorError: naming a key or value that the generator does not take.
        """
        if not changed:
            return self.sampling
        values = {**self.sampling.model_dump(mode="json"), **changed}
        return parse_settings(self.name, type(self.sampling), values, "sample")

    def draw(
        self,
        ids: np.ndarray,
        seeds: np.ndarray,
        settings: BaseModel | None = None,
        *,
        device: str = "auto",
        chunk: int = 64,
    ) -> np.ndarray:
        """Draw one record a label, ``(n, 12, length)`` in mV, float32.

        Args:
            ids: numbers of classes ``(n,)``.
            seeds: one a record ``(n,)``, int64: it alone decides the record's randomness.
            settings: how; :attr:`sampling` if not given.
            device: ``auto``, ``cpu``, ``cuda``.
            chunk: records drawn at a time.
        """
        where, used = pick_device(device), settings or self.sampling
        out = np.empty((len(ids), len(self.spec.leads), self.spec.length), dtype=np.float32)
        for start in tqdm(range(0, len(ids), chunk), desc=f"draw from {self.name}", unit="chunk", disable=None):
            rows = slice(start, start + chunk)
            out[rows] = self.generator.sample(ids[rows], settings=used, seeds=seeds[rows], device=where)
        if not np.isfinite(out).all():
            raise ValueError(f"{self.name} gave numbers that are not finite: it is not trained well enough")
        return out

    def sample(
        self, label: str | int, number: int = 1, *, seed: int = 0, device: str = "auto", chunk: int = 64, **changed: Any
    ) -> np.ndarray:
        """Draw ECGs of one class.

        Args:
            label: name of the class, or its number.
            number: how many.
            seed: same seed, same ECGs; the first of them do not depend on ``number``.
            device: ``auto``, ``cpu``, ``cuda``.
            chunk: ECGs drawn at a time; bounds memory, changes the result in rounding at most.
            **changed: settings of sampling to change, for instance ``guidance=1.0``.

        Returns:
            Signals ``(number, 12, length)`` in mV, float32, leads in the order of :data:`ecgpipe.leads.LEADS`.

        Raises:
            ValueError: if there is no such class, or no training record of it, or ``number`` is below 1.
            GeneratorError: naming a setting that the generator does not take.
        """
        if number < 1:
            raise ValueError(f"the number of ECGs to draw must be at least 1, got {number}")
        ids = self.class_ids([label] * number)
        return self.draw(ids, record_seeds(number, seed), self.settings(changed), device=device, chunk=chunk)


def load(folder: str | Path) -> TrainedGenerator:
    """Read a trained generator from its folder, with the sampling settings of its study.

    Args:
        folder: ``model.safetensors`` and ``model.json``, as ``results/generators/<dataset>/<generator>/`` has them; and
            ``sampling.json``, which a run of the study writes beside them. Without it the class's defaults are used,
            and a warning says so.

    Raises:
        ModelFileError: if a file is missing or damaged.
        GeneratorError: if the generator's class cannot be had.
    """
    folder = Path(folder)
    description = folder / "model.json"
    if not description.exists():
        raise ModelFileError(f"{description} is missing: {folder} is not the folder of a trained generator")
    facts = read_json(description)
    if not (isinstance(facts, dict) and isinstance(facts.get("signals"), dict)):
        raise ModelFileError(f"{description} does not say its `signals`; train the generator again")
    try:
        spec = SignalSpec.from_json(facts["signals"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{description}: `signals` is damaged ({error}); train the generator again") from error
    name, sample = _sampling(folder)
    generator = load_generator(name, folder, spec)
    return TrainedGenerator(
        name, generator, spec, parse_settings(name, generator.SampleSettings, sample, "sample"), facts
    )


def _sampling(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the generator's name and the study's settings of sampling."""
    path = folder / SAMPLING
    if not path.exists():
        log.warning(
            "%s is missing: the sampling settings are the defaults of the class, not a study's. A study writes the file"
            " when its run ends; run it to the end, or give the settings with --set",
            path,
        )
        return folder.resolve().name, {}
    kept = read_json(path)
    if not (isinstance(kept, dict) and isinstance(kept.get("sample"), dict) and isinstance(kept.get("generator"), str)):
        raise ModelFileError(f"{path} is damaged: delete it, and the next run of the study writes it again")
    return kept["generator"], kept["sample"]
