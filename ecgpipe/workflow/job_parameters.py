"""What each job depends on: its section of the configuration and the digest of its code. A change of either reruns it.

Rules ask for these parameters, so that each job knows just the part of the config that it uses.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

from ecgpipe import plugins
from ecgpipe.config import Config, FolderSource, OwnClassifierSettings, PhysioNetSource, canonical
from ecgpipe.config.derived import is_partial, is_simulated
from ecgpipe.generate.registry import module_of
from ecgpipe.redaction import hide, redacted
from ecgpipe.vocabulary import ALL_SYNTHETIC, AUGMENTED
from ecgpipe.workflow.arguments import ByFile
from ecgpipe.workflow.code_digest import digest
from ecgpipe.workflow.layout import Layout
from ecgpipe.workflow.source_state import STATE, FolderState

PLACES = {"physionet": ("base_url", "connections", "transport"), "folder": ("path",), "simulated": ()}
"""How the files of each kind of source are reached: compared with nothing, for checksums pin the data."""


def own_seed(seed: int, *names: str) -> int:
    """Return a seed below 2^48 that follows from the study's ``seed`` and from what it is for."""
    return int.from_bytes(hashlib.sha256(canonical([seed, *names]).encode()).digest()[:6], "big")


def parameters(values: object) -> ByFile:
    """Return settings of a job as the text that Snakemake compares; its command names a file of it."""
    return ByFile(canonical(values))


class JobParameters(Layout):
    """The layout of a study, and what each of its jobs is compared by.

    Args:
        config: a validated configuration.
        scripts: folder of the workflow's scripts.
    """

    def __init__(self, config: Config, scripts: Path) -> None:
        super().__init__(config)
        self.scripts = scripts
        for dataset in config.dataset_settings.values():
            if isinstance(dataset.source, PhysioNetSource) and dataset.source.base_url is not None:
                hide(dataset.source.base_url)

    def code(self, script: str, *modules: str) -> str:
        """Return the digest of a script's code together with that of modules which it imports by name."""
        return digest(self.scripts / f"{script}.py", modules)

    def generator_code(self, script: str, generator: str) -> str:
        """Return the digest of a script's code together with one generator's."""
        name = self.generator_of(generator)
        return self.code(script, module_of(name, self.config.generator(name).class_))

    def classifier_modules(self, dataset: str) -> list[str]:
        """Return the module that holds a dataset's classifier, if it is a user's own."""
        settings = self.config.classifiers[self.datasets[self.dataset_of(dataset)].classifier]
        return [plugins.module_of(settings.class_)] if isinstance(settings, OwnClassifierSettings) else []

    def classifier_code(self, script: str, dataset: str) -> str:
        """Return the digest of a script's code together with that of a dataset's classifier, if it is a user's own."""
        return self.code(script, *self.classifier_modules(dataset))

    @property
    def described(self) -> ByFile:
        """The whole configuration, for the report: without the passwords that an address may hold."""
        return parameters(redacted(json.loads(canonical(self.config))))

    @property
    def places(self) -> str:
        """How the files of each source are reached: not part of any job's parameters."""
        return canonical(
            {
                name: {place: getattr(d.source, place) for place in PLACES[d.source.kind]}
                for name, d in self.datasets.items()
                if d.source is not None
            }
        )

    @property
    def counts(self) -> str:
        """Number of samples by class, where it is asked for: it changes no training, but may make one useless."""
        return canonical(self.config.samples.counts)

    def _wanted(self, dataset: str) -> dict[str, Any]:
        """Settings of a dataset with a source: what to get, not from where, nor what is done with it later."""
        settings = self.datasets[dataset].model_dump(mode="json", include={"format", "source", "subset", "folder"})
        for place in PLACES[settings["source"]["kind"]]:
            settings["source"].pop(place)
        return settings

    def source_folder(self, dataset: str) -> FolderState | None:
        """Return the source of a dataset, to be compared with what was taken of it; None if it is no folder."""
        settings = self.datasets[dataset]
        if not isinstance(settings.source, FolderSource):
            return None
        return FolderState(settings, self.config.signal, Path(self.raw) / dataset)

    @cached_property
    def states(self) -> dict[str, Any]:
        """The state of each source that is a folder, by dataset."""
        return {name: source.parameter() for name in self.sourced if (source := self.source_folder(name)) is not None}

    def _acquisition(self, dataset: str) -> dict[str, Any]:
        return {"dataset": self._wanted(dataset), "signal": self.config.signal.model_dump(mode="json")}

    def acquisition(self, dataset: str) -> ByFile:
        """Parameters of a dataset's acquisition."""
        state = {STATE: self.states[dataset]} if dataset in self.states else {}
        return parameters({**self._acquisition(dataset), **state})

    @property
    def acquisitions(self) -> ByFile:
        """Parameters of all acquisitions, by dataset."""
        return parameters({name: self._acquisition(name) for name in self.sourced})

    def preprocessing(self, dataset: str) -> ByFile:
        """Parameters of a dataset's preprocessing."""
        splits = self.datasets[dataset].model_dump(mode="json", include={"folds", "shares", "training_share", "rotate"})
        return parameters(
            {
                "dataset": {**self._wanted(dataset), **splits},
                "signal": self.config.signal.model_dump(mode="json"),
                "leads": self.config.leads.model_dump(mode="json"),
                "preprocess": self.config.preprocess.model_dump(mode="json"),
            }
        )

    def rotation(self, dataset: str) -> list[int]:
        """Parameters of a rotation of a dataset: its number, and of how many."""
        names = self.rotated(self.dataset_of(dataset))
        return [names.index(dataset) + 1, len(names)]

    def training(self, dataset: str, generator: str) -> ByFile:
        """Parameters of one generator's training; each repetition has a seed of its own."""
        name, seed = self.generator_of(generator), self.config.seed
        given = self.config.generator(name)
        seed = seed if generator == name else own_seed(seed, "training", dataset, generator)
        train: dict[str, Any] = {**given.train, **given.train_by_dataset.get(self.dataset_of(dataset), {})}
        return parameters({"name": name, "class": given.class_, "train": train, "seed": seed})

    def sampling(self, dataset: str, generator: str) -> ByFile:
        """Parameters of drawing one generator's samples.

        Each set has a seed of its own: two generators started from the same noise give records that resemble each other
        one by one, and the union of two datasets' samples would hold each nearly twice.
        """
        samples, given = self.config.samples, self.config.generator(self.generator_of(generator))
        return parameters(
            {
                "class": given.class_,
                "sample": given.sample,
                "number": samples.number if samples.counts is None else sum(samples.counts.values()),
                "labels": samples.labels if samples.counts is None else samples.counts,
                "chunk": samples.chunk,
                "seed": own_seed(self.config.seed, dataset, generator),
            }
        )

    def classification(self, dataset: str, experiment: str) -> ByFile:
        """Parameters of one classification job: ``real``, ``baselines``, ``augmentation``, ``cross``, ``transfer``."""
        experiments = self.config.experiments
        fractions = {"real": self.real_fractions, "transfer": list(experiments.transfer.fractions)}
        values: dict[str, Any] = {
            "classifier": self._classifier(dataset),
            "fractions": fractions.get(experiment, list(experiments.fractions)),
            "seeds": list(experiments.seeds),
        }
        if experiment == "baselines":
            values["baselines"] = list(experiments.baselines)
        if experiment == "augmentation":
            values |= {"settings": self.synthetic_settings, "ratios": list(experiments.ratios)}
        if experiment == "cross":
            values |= {"settings": [AUGMENTED], "ratios": [ALL_SYNTHETIC]}
        if experiment == "transfer":
            values["methods"] = list(experiments.transfer.methods)
        return parameters(values)

    def pretraining(self, dataset: str) -> ByFile:
        """Parameters of training ``dataset``'s classifier on another one's real records, at the largest share."""
        fractions, seeds = self.real_fractions[-1:], list(self.config.experiments.seeds)
        return parameters({"classifier": self._classifier(dataset), "fractions": fractions, "seeds": seeds})

    def closeness(self) -> ByFile:
        """Parameters of every comparison of synthetic with real records."""
        closeness = self.config.closeness
        return parameters(
            {
                "level": closeness.measures,
                "most": closeness.records,
                "draws": closeness.bootstrap,
                "confidence": self.config.statistics.confidence,
                "seed": self.config.seed,
            }
        )

    def tables(self) -> ByFile:
        """Parameters of the result tables."""
        experiments = self.config.experiments
        return parameters(
            {
                "statistics": self.config.statistics.model_dump(mode="json"),
                "settings": list(experiments.settings),
                "baselines": list(experiments.baselines),
                "repetitions": experiments.generator_repetitions,
                "fractions": list(experiments.fractions),
                "transfer": list(experiments.transfer.fractions),
                "rotate": {name: len(self.rotated(name)) for name in self.config.datasets},
                "merged": [name for name in self.merged if name in self.config.datasets],
                "partial": [name for name in self.config.datasets if is_partial(self.config.dataset_settings, name)],
                "simulated": [
                    name for name in self.config.datasets if is_simulated(self.config.dataset_settings, name)
                ],
                "seed": self.config.seed,
            }
        )

    @property
    def report_sources(self) -> ByFile:
        """Parameters of the report beside the configuration: :attr:`shown`."""
        return parameters(self.shown)
