"""What generators share: presets, the lead layout, the recorded scale, and the model file.

A model is two files: ``model.safetensors`` (weights) and ``model.json`` (class, settings, what the signals mean, scale,
versions, and the SHA-256 of the weights). Never pickle.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ecgpipe.dataset import SignalSpec
from ecgpipe.files import atomic_path, read_json, sha256, write_json
from ecgpipe.generate.protocol import Generator, Settings, Signals
from ecgpipe.generate.registry import load_class
from ecgpipe.leads import LEADS, independent_from_twelve, twelve_from_independent

FORMAT = 3
"""Version of the model file; one of another version is refused."""

Leads = Literal["independent8", "all12"]


class ModelFileError(ValueError):
    """A model file that cannot be used; the message names the file and what to do."""


class PresetSettings(Settings):
    """Settings with named presets: keys that are given replace those of the preset, also within a section.

    A subclass gives ``PRESETS`` (name to values), and its own ``preset`` field, a Literal of those names.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}

    preset: str = Field("small", description="Named set of values that all other keys start from.")

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        name = given.get("preset", cls.model_fields["preset"].default)
        preset = cls.preset_values(name, given) if isinstance(name, str) else {}
        sections = {
            key: {**value, **given[key]}
            for key, value in preset.items()
            if isinstance(value, Mapping) and isinstance(given.get(key), Mapping)
        }
        return {**preset, **given, **sections}

    @classmethod
    def preset_values(cls, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a preset; ``given`` are the keys that are set besides."""
        return cls.PRESETS.get(name, {})


def batches(signals: Signals, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield all records in order, ``size`` at a time, as :meth:`Signals.batch` reads them."""
    for first in range(0, len(signals), size):
        yield signals.batch(np.arange(first, min(first + size, len(signals))))


class LeadLayout:
    """Which leads a network sees, and the one number its signals are divided by.

    ``independent8`` models I, II, V1-V6 and derives the other four, so that the limb-lead identities hold exactly;
    ``all12`` models all twelve. The scale is the same for every lead: ratios between leads are physiology.
    """

    def __init__(self, leads: Leads, spec: SignalSpec) -> None:
        """Take the layout's name and the specification of the signals.

        Raises:
            ValueError: if the signals do not have the twelve leads in standard order.
        """
        if spec.leads != LEADS:
            raise ValueError(
                f"signals must have the leads {', '.join(LEADS)} in this order, not {', '.join(spec.leads)}"
            )
        self.leads = leads
        self.channels = 8 if leads == "independent8" else 12
        self._rows = (
            torch.from_numpy(independent_from_twelve(np.arange(12)[:, None])[:, 0]) if leads == "independent8" else None
        )

    def pick(self, signals: torch.Tensor) -> torch.Tensor:
        """Keep the modelled leads: ``(b, 12, length)`` to ``(b, channels, length)``."""
        return signals if self._rows is None else signals[:, self._rows.to(signals.device)]

    def twelve(self, signals: np.ndarray) -> np.ndarray:
        """Give all twelve leads: ``(b, channels, length)`` to ``(b, 12, length)``."""
        return signals if self._rows is None else twelve_from_independent(signals)

    def deviation(self, signals: Signals, batch: int = 256) -> float:
        """Return the standard deviation, in mV, of all modelled leads of all records, read a batch at a time.

        Raises:
            ValueError: if there are no records, or the signals are constant or not finite.
        """
        number, total, squares = 0, 0.0, 0.0
        for records, _ in batches(signals, batch):
            x = self.pick(records).double()
            number, total, squares = number + x.numel(), total + float(x.sum()), squares + float(x.square().sum())
        variance = squares / number - (total / number) ** 2 if number else 0.0
        if not (np.isfinite(variance) and variance > 0):
            raise ValueError(
                f"the {len(signals)} training records have the variance {variance:g} mV²;"
                " a generator needs finite signals that vary"
            )
        return float(np.sqrt(variance))


def training_records(train: Signals) -> dict[str, int]:
    """Return the number of training records of each class; models keep it as ``training_records``."""
    counts = np.bincount(train.labels, minlength=len(train.spec.classes))
    return dict(zip(train.spec.classes, counts.tolist(), strict=True))


def absent_classes(train: Signals) -> list[str]:
    """Return the classes without a training record, of which a generator cannot draw any."""
    return [name for name, count in training_records(train).items() if count == 0]


def check_drawable(labels: np.ndarray, spec: SignalSpec, facts: Mapping[str, Any]) -> None:
    """Refuse to draw a class that the training set did not hold.

    Args:
        labels: class ids ``(n,)``.
        spec: of the generator.
        facts: ``training_records`` says how many records each class had.

    Raises:
        ValueError: naming the classes.
    """
    known: dict[str, int] = facts.get("training_records", {})
    asked = [spec.classes[i] for i in np.unique(labels)]
    if strange := [name for name in asked if known.get(name) == 0]:
        raise ValueError(f"this generator saw no training record of class {', '.join(strange)}: it cannot draw one")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def class_path_of(cls: type) -> str:
    """Return ``package.module:Class``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def save_model(
    folder: Path,
    generator: object,
    settings: Settings,
    spec: SignalSpec,
    tensors: dict[str, torch.Tensor],
    facts: dict[str, Any],
) -> None:
    """Write ``model.safetensors`` and ``model.json``.

    Args:
        folder: made if it is not there.
        generator: whose class is recorded.
        settings: all that :func:`load_model`'s caller needs to build the network again.
        spec: what the signals are.
        tensors: weights.
        facts: anything else (scale, training facts), JSON-serialisable.
    """
    weights = Path(folder) / "model.safetensors"
    with atomic_path(weights) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary)
    write_json(
        Path(folder) / "model.json",
        {
            "format": FORMAT,
            "class": class_path_of(type(generator)),
            "settings": settings.model_dump(mode="json"),
            "signals": spec.to_json(),
            **facts,
            "versions": {name: _version(name) for name in ("ecgpipe", "torch")},
            "sha256": sha256(weights),
        },
    )


def load_model(folder: Path, cls: type[Any]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read what :func:`save_model` wrote, as (contents of ``model.json``, tensors).

    Raises:
        ModelFileError: if a file is missing, damaged, of another format or class, if its class has other settings by
            now, or if the two do not belong together.
    """
    description, weights = Path(folder) / "model.json", Path(folder) / "model.safetensors"
    for path in (description, weights):
        if not path.exists():
            raise ModelFileError(f"{path} is missing: {folder} is not a trained generator; train it first")
    facts = read_json(description)
    _check_format(description, facts)
    if absent := [name for name in ("class", "settings", "signals", "sha256") if name not in facts]:
        raise ModelFileError(f"{description} does not say its `{absent[0]}`; train the generator again")
    if facts["class"] != class_path_of(cls):
        raise ModelFileError(f"{description} is a model of {facts['class']}, not of {class_path_of(cls)}")
    if not all(isinstance(facts.get(name, {}), dict) for name in ("settings", "training_records")):
        raise ModelFileError(
            f"{description}: `settings` and `training_records` must be mappings; train the generator again"
        )
    if other := set(facts["settings"]) ^ set(cls.Settings.model_fields):
        raise ModelFileError(
            f"{description} was written by ecgpipe {_writer(facts)}, whose {cls.__name__} has other settings"
            f" ({', '.join(sorted(other))}); train the generator again"
        )
    if sha256(weights) != facts["sha256"]:
        raise ModelFileError(
            f"{weights} is not the file that {description} describes (its SHA-256 differs: truncated, damaged or of"
            " another training); train the generator again"
        )
    try:
        return facts, load_file(weights)
    except SafetensorError as error:
        raise ModelFileError(f"{weights} cannot be read ({error}); train the generator again") from error


def _writer(facts: dict[str, Any]) -> str:
    versions = facts.get("versions")
    known = versions if isinstance(versions, dict) else {}
    return str(known.get("ecgpipe", "of an unknown version"))


def _check_format(description: Path, facts: Any) -> None:
    found = facts.get("format") if isinstance(facts, dict) else None
    if found != FORMAT:
        raise ModelFileError(
            f"{description} is of format {found}, this version of ecgpipe reads format {FORMAT};"
            " train the generator again"
        )


def load_generator(name: str, folder: Path, spec: SignalSpec) -> Generator:
    """Read a trained generator of any class, as recorded in its ``model.json``.

    Args:
        name: the generator's name in the configuration, for messages.
        folder: of the model.
        spec: what the signals are to be.

    Raises:
        ModelFileError: if the file does not say its class, or the model is for other signals.
        GeneratorError: if the class cannot be had.
    """
    description = Path(folder) / "model.json"
    if not description.exists():
        raise ModelFileError(f"{description} is missing: {folder} is not a trained generator; train it first")
    facts = read_json(description)
    _check_format(description, facts)
    for entry, kind in (("class", str), ("signals", dict)):
        if not isinstance(facts.get(entry), kind):
            raise ModelFileError(f"{description} does not say its `{entry}`; train the generator again")
    for key, wanted in spec.to_json().items():
        if (found := facts["signals"].get(key)) != wanted:
            raise ModelFileError(
                f"{description} is a model of signals whose {key} is {found}, here it is {wanted};"
                " train a generator on this dataset"
            )
    return load_class(name, facts["class"]).load(Path(folder))


class NeuralGenerator:
    """Base of generators whose network is one torch module: settings, leads, scale, saving and loading.

    A subclass gives ``Settings`` (with a ``leads`` field) and ``SampleSettings``, builds ``self.module`` in its
    constructor, and writes ``fit`` and ``sample``.
    """

    Settings: ClassVar[type[Any]]
    SampleSettings: ClassVar[type[Any]]

    module: torch.nn.Module

    def __init__(self, settings: Any, spec: SignalSpec) -> None:
        self.settings = settings
        self.spec = spec
        self.layout = LeadLayout(settings.leads, spec)
        self.scale: float | None = None
        """Millivolts to one unit of the network; set by ``fit``, travels with the model."""
        self.facts: dict[str, Any] = {}
        """What the model file says about the training."""

    def measure_training_set(self, train: Signals, data_deviation: float, seed: int) -> None:
        """Set :attr:`scale`, so that scaled signals have the deviation ``data_deviation``, and :attr:`facts`.

        Raises:
            ValueError: if the signals do not vary.
        """
        self.scale = self.layout.deviation(train) / data_deviation
        self.facts = {"seed": seed, "training_records": training_records(train)}

    def to_network(self, signals: torch.Tensor) -> torch.Tensor:
        """Pick and scale: ``(b, 12, length)`` mV to ``(b, channels, length)``."""
        return self.layout.pick(signals) / self._fitted_scale()

    def to_millivolts(self, signals: torch.Tensor) -> np.ndarray:
        """Undo :meth:`to_network`: ``(b, channels, length)`` to ``(b, 12, length)`` mV, float32."""
        return self.layout.twelve((signals * self._fitted_scale()).float().cpu().numpy())

    def _fitted_scale(self) -> float:
        if self.scale is None:
            raise ValueError(f"this {type(self).__name__} is not trained: call fit or load first")
        return self.scale

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what the weights file holds."""
        return dict(self.module.state_dict())

    def load_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take what :meth:`tensors` gave."""
        self.module.load_state_dict(tensors)

    def save(self, folder: Path) -> None:
        """Write the model file; see :func:`save_model`."""
        save_model(
            folder,
            self,
            self.settings,
            self.spec,
            self.tensors(),
            {"scale": self._fitted_scale(), **self.facts},
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model file.

        Raises:
            ModelFileError: see :func:`load_model`; also if the weights do not fit the settings.
        """
        stored, tensors = load_model(folder, cls)
        try:
            out = cls(cls.Settings.model_validate(stored["settings"]), SignalSpec.from_json(stored["signals"]))
            out.load_tensors(tensors)
            out.scale = float(stored["scale"])
            out.facts = {k: stored[k] for k in ("seed", "training_records")}
            out.facts |= {k: stored[k] for k in ("draft", "records_without_draft") if k in stored}
        except RuntimeError as error:  # torch's message lists every weight
            raise ModelFileError(
                f"{Path(folder) / 'model.safetensors'} holds the weights of another network than {cls.__name__} builds"
                f" from {Path(folder) / 'model.json'}, written by ecgpipe {_writer(stored)}; train the generator again"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelFileError(
                f"{Path(folder) / 'model.json'} does not fit this version of {cls.__name__} ({error});"
                " train the generator again"
            ) from error
        out.module.eval()
        return out
