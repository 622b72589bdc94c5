"""The networks that transfer learning starts from: one file with every repetition's weights and standardiser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ecgpipe.classify.inputs import Standardizer
from ecgpipe.classify.network import Network
from ecgpipe.classify.training import build
from ecgpipe.config import AnyClassifier, ClassifierTraining, classifier_settings
from ecgpipe.dataset import SignalSpec, require_same_form
from ecgpipe.files import atomic_path

_KEY = "ecgpipe"


def network_tensors(model: Network, standardizer: Standardizer) -> dict[str, Tensor]:
    """Return what rebuilds a trained network and the z-score of its training records (mean, deviation in mV)."""
    tensors = {f"weights.{name}": value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    tensors["standardizer.mean"] = torch.tensor(standardizer.mean)
    tensors["standardizer.deviation"] = torch.tensor(standardizer.deviation)
    return tensors


@dataclass(frozen=True)
class Pretrained:
    """Trained networks of one generator and dataset, or of a dataset's real records.

    Attributes:
        dataset: name of the dataset whose real records they were tested on.
        generator: name of the generator whose samples they were trained on; ``none`` for real records.
        fraction: share of the real training records they were trained on.
        spec: form of the signals they read.
        settings: their architecture and how they were trained.
        networks: for each seed, what :func:`network_tensors` returns.
    """

    dataset: str
    generator: str
    fraction: float
    spec: SignalSpec
    settings: AnyClassifier
    networks: dict[int, dict[str, Tensor]]

    def save(self, path: str | Path) -> None:
        """Write all networks to one safetensors file; everything else travels as JSON in its metadata."""
        metadata = {
            "dataset": self.dataset,
            "generator": self.generator,
            "fraction": self.fraction,
            "spec": self.spec.to_json(),
            "settings": self.settings.model_dump(mode="json", by_alias=True),
            "seeds": list(self.networks),
        }
        tensors = {
            f"{seed}.{name}": value for seed, network in self.networks.items() for name, value in network.items()
        }
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, {_KEY: json.dumps(metadata, sort_keys=True)})

    @classmethod
    def load(cls, path: str | Path) -> Pretrained:
        """Read a file written by :meth:`save`.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is damaged, or a safetensors file of another kind.
        """
        try:
            return cls._read(path)
        except (SafetensorError, KeyError) as error:
            raise ValueError(
                f"{path} is damaged or cut short ({error}): delete it and run again, which makes it again"
            ) from error

    @classmethod
    def _read(cls, path: str | Path) -> Pretrained:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            if text is None:
                raise ValueError(
                    f"{path} holds no pre-trained classifiers of ecgpipe: delete it and run the classifiers again"
                )
            metadata = json.loads(text)
            networks: dict[int, dict[str, Tensor]] = {seed: {} for seed in metadata["seeds"]}
            for key in file.keys():  # noqa: SIM118  # a safetensors file is not iterable
                seed, name = key.split(".", 1)
                networks[int(seed)][name] = file.get_tensor(key)
        return cls(
            metadata["dataset"],
            metadata["generator"],
            metadata["fraction"],
            SignalSpec.from_json(metadata["spec"]),
            classifier_settings(metadata["settings"]),
            networks,
        )

    def network(self, seed: int) -> Network:
        """Return a fresh copy of one repetition's network, in evaluation mode."""
        model = build(self.spec, self.settings, seed)
        prefix = "weights."
        weights = {
            name.removeprefix(prefix): value for name, value in self.networks[seed].items() if name.startswith(prefix)
        }
        model.load_state_dict(weights)
        model.eval()
        return model

    def standardizer(self, seed: int) -> Standardizer:
        """Return the z-score of the records one repetition's network was trained on."""
        network = self.networks[seed]
        return Standardizer(
            np.asarray(network["standardizer.mean"].numpy()), np.asarray(network["standardizer.deviation"].numpy())
        )


def load_matching(
    path: str | Path, data: str | Path, spec: SignalSpec, settings: AnyClassifier, seeds: Sequence[int]
) -> Pretrained:
    """Read networks that must be of these settings' architecture, for these signals and of these seeds.

    Args:
        path: written by :meth:`Pretrained.save`.
        data: folder of the dataset whose signals they are to read, for messages.
        spec: form of these signals.
        settings: the classifier; how it is trained may differ.
        seeds: those that must be there.

    Raises:
        FileNotFoundError, ValueError: naming what is missing or does not match.
    """
    found = Pretrained.load(path)
    require_same_form({str(data): spec, str(path): found.spec})
    for key in ("kind", *(key for key in type(settings).model_fields if key not in ClassifierTraining.model_fields)):
        trained = getattr(found.settings, key, None)
        if getattr(settings, key) != trained:
            raise ValueError(
                f"{path} was trained with {key} {trained}, the settings say {getattr(settings, key)}: "
                "run the experiment it comes from again"
            )
    if missing := sorted(set(seeds) - set(found.networks)):
        raise ValueError(
            f"{path} has no network of seed {', '.join(map(str, missing))}: run the experiment it comes from with them"
        )
    return found
