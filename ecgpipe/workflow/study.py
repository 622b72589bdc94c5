"""What each job of a study depends on: its section of the configuration and the digest of its code.

Rules ask a :class:`Study` for their inputs, parameters and code digests, so that every file name follows from the
config and each job knows just the part of the config that it uses.
"""

from __future__ import annotations

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ecgpipe.config import Config, ConfigError, PhysioNetSource, canonical
from ecgpipe.config.derived import is_simulated
from ecgpipe.files import write_text
from ecgpipe.generate.registry import GeneratorError, check_settings, module_of
from ecgpipe.redaction import without_passwords
from ecgpipe.vocabulary import ALL_SYNTHETIC, AUGMENTED
from ecgpipe.workflow.checksums import ChangedFileError, changed_since
from ecgpipe.workflow.code import digest
from ecgpipe.workflow.layout import Layout

PLACES = ("base_url", "connections", "transport")
"""How files of a PhysioNet source are reached: compared with nothing, for checksums pin the data."""


def own_seed(seed: int, *names: str) -> int:
    """Return a seed below 2^48 that follows from the study's ``seed`` and from what it is for."""
    return int.from_bytes(hashlib.sha256(canonical([seed, *names]).encode()).digest()[:6], "big")


class Study(Layout):
    """One study: its layout, and what each job depends on.

    Args:
        config: a validated configuration.
        scripts: folder of the workflow's scripts.
    """

    def __init__(self, config: Config, scripts: Path) -> None:
        super().__init__(config)
        self.scripts = scripts

    def check_results(self, remembered: Path) -> None:
        """Make sure that every result is still what its job wrote.

        Args:
            remembered: JSON file of what was checked before.

        Raises:
            ChangedFileError: naming the files that were changed.
        """
        if changed := changed_since(self.provenances, remembered):
            raise ChangedFileError("\n".join(changed))

    def check_generators(self, remembered: Path) -> None:
        """Validate every active generator's own settings, by importing it.

        Imports take seconds (torch), so a check that passed leaves a mark in the folder ``remembered`` and is not done
        again for the same settings and code.

        Raises:
            ConfigError: naming the key and what is allowed.
        """
        sections = {
            name: self.config.generator(name).model_dump(mode="json")
            for name in {*self.config.generators, *self.config.generator_settings}
        }
        try:
            code = {name: self.generator_code("generate", name) for name in self.config.generators}
        except ValueError:
            code = {}  # a module that is not there: load_class says so
        mark = remembered / hashlib.sha256(canonical([sections, code]).encode()).hexdigest()
        if mark.exists():
            return
        lines: list[str] = []
        for name, given in self.config.generator_settings.items():
            if name not in self.config.generators and find_spec(module_of(name, given.class_)) is None:
                lines.append(
                    f"`generator_settings.{name}` is no generator: active are {', '.join(self.config.generators)}, "
                    f"and there is no module {module_of(name, given.class_)}"
                )
        for name in self.config.generators:
            given = self.config.generator(name)
            trainings = [given.train, *({**given.train, **other} for other in given.train_by_dataset.values())]
            for train in trainings:
                try:
                    check_settings(name, given.class_, train, given.sample)
                except GeneratorError as error:
                    lines.append(str(error))
        if lines:
            raise ConfigError("\n".join(dict.fromkeys(lines)))
        write_text(mark, "")

    def code(self, script: str, *modules: str) -> str:
        """Return the digest of a script's code together with that of modules which it imports by name."""
        return digest(self.scripts / f"{script}.py", modules)

    def generator_code(self, script: str, generator: str) -> str:
        """Return the digest of a script's code together with one generator's."""
        return self.code(script, module_of(generator, self.config.generator(generator).class_))

    @property
    def described(self) -> str:
        """The whole configuration, for the report: without the passwords that an address may hold."""
        return without_passwords(canonical(self.config))

    @property
    def places(self) -> str:
        """How files of each PhysioNet source are reached: not part of any job's parameters, for sums pin the data."""
        return canonical(
            {
                name: {place: getattr(d.source, place) for place in PLACES}
                for name, d in self.datasets.items()
                if isinstance(d.source, PhysioNetSource)
            }
        )

    def _wanted(self, dataset: str) -> dict[str, Any]:
        """Settings of a dataset with a source: what to get, not from where, nor what is done with it later."""
        settings = self.datasets[dataset].model_dump(mode="json", include={"format", "source", "subset", "folder"})
        for place in PLACES if settings["source"]["kind"] == "physionet" else ():
            settings["source"].pop(place, None)
        return settings

    def acquisition(self, dataset: str) -> str:
        """Parameters of a dataset's acquisition."""
        return canonical({"dataset": self._wanted(dataset), "signal": self.config.signal.model_dump(mode="json")})

    @property
    def acquisitions(self) -> str:
        """Parameters of all acquisitions, by dataset."""
        return canonical({name: json.loads(self.acquisition(name)) for name in self.sourced})

    def preprocessing(self, dataset: str) -> str:
        """Parameters of a dataset's preprocessing."""
        return canonical(
            {
                "dataset": self._wanted(dataset),
                "signal": self.config.signal.model_dump(mode="json"),
                "preprocess": self.config.preprocess.model_dump(mode="json"),
            }
        )

    def training(self, dataset: str, generator: str) -> str:
        """Parameters of one generator's training."""
        given = self.config.generator(generator)
        train: dict[str, Any] = {**given.train, **given.train_by_dataset.get(dataset, {})}
        return canonical({"name": generator, "class": given.class_, "train": train, "seed": self.config.seed})

    def sampling(self, dataset: str, generator: str) -> str:
        """Parameters of drawing one generator's samples.

        Each set has a seed of its own: two generators started from the same noise give records that resemble each other
        one by one, and the union of two datasets' samples would hold each nearly twice.
        """
        samples, given = self.config.samples, self.config.generator(generator)
        return canonical(
            {
                "class": given.class_,
                "sample": given.sample,
                "number": samples.number if samples.counts is None else sum(samples.counts.values()),
                "labels": samples.labels if samples.counts is None else samples.counts,
                "chunk": samples.chunk,
                "seed": own_seed(self.config.seed, dataset, generator),
            }
        )

    def classification(self, dataset: str, experiment: str) -> str:
        """Parameters of one classification job: ``real``, ``augmentation``, ``cross`` or ``transfer``."""
        experiments = self.config.experiments
        fractions = {"real": self.real_fractions, "transfer": list(experiments.transfer.fractions)}
        values: dict[str, Any] = {
            "classifier": self._classifier(dataset),
            "fractions": fractions.get(experiment, list(experiments.fractions)),
            "seeds": list(experiments.seeds),
        }
        if experiment == "augmentation":
            values |= {"settings": self.synthetic_settings, "ratios": list(experiments.ratios)}
        if experiment == "cross":
            values |= {"settings": [AUGMENTED], "ratios": [ALL_SYNTHETIC]}
        if experiment == "transfer":
            values["methods"] = list(experiments.transfer.methods)
        return canonical(values)

    def pretraining(self, dataset: str) -> str:
        """Parameters of training ``dataset``'s classifier on another one's real records, at the largest share."""
        fractions, seeds = self.real_fractions[-1:], list(self.config.experiments.seeds)
        return canonical({"classifier": self._classifier(dataset), "fractions": fractions, "seeds": seeds})

    def closeness(self) -> str:
        """Parameters of every comparison of synthetic with real records."""
        closeness = self.config.closeness
        return canonical(
            {
                "level": closeness.measures,
                "most": closeness.records,
                "draws": closeness.bootstrap,
                "confidence": self.config.statistics.confidence,
                "seed": self.config.seed,
            }
        )

    def tables(self) -> str:
        """Parameters of the result tables."""
        experiments = self.config.experiments
        return canonical(
            {
                "statistics": self.config.statistics.model_dump(mode="json"),
                "settings": list(experiments.settings),
                "fractions": list(experiments.fractions),
                "transfer": list(experiments.transfer.fractions),
                "merged": [name for name in self.merged if name in self.config.datasets],
                "simulated": [
                    name for name in self.config.datasets if is_simulated(self.config.dataset_settings, name)
                ],
                "seed": self.config.seed,
            }
        )

    @property
    def report_sources(self) -> str:
        """Parameters of the report beside the configuration: :attr:`shown`."""
        return canonical(self.shown)
