"""What a configuration asks for: which datasets, models, samples and classifiers, and what each job depends on.

Rules ask a :class:`Study` for their inputs, parameters and code digests, so that every file name follows from the
config and each job knows just the part of the config that it uses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ecgpipe.closeness.names import TABLES as CLOSENESS_TABLES
from ecgpipe.config import Config, ConfigError, DatasetSettings, PhysioNetSource, canonical
from ecgpipe.files import write_text
from ecgpipe.generate.registry import GeneratorError, check_settings, module_of
from ecgpipe.redaction import without_passwords
from ecgpipe.workflow.code import digest

PLACES = ("base_url", "connections", "transport")
"""How files of a PhysioNet source are reached: compared with nothing, for sums pin the data."""

NOTHING = r"(?!)"
"""A wildcard constraint that no name meets."""


def one_of(names: Iterable[str]) -> str:
    """Return a wildcard constraint that just these names meet."""
    return "|".join(sorted(names)) or NOTHING


def own_seed(seed: int, *names: str) -> int:
    """Return a seed below 2^48 that follows from the study's ``seed`` and from what it is for."""
    return int.from_bytes(hashlib.sha256(canonical([seed, *names]).encode()).digest()[:6], "big")


class Study:
    """The plan of one study.

    Args:
        config: a validated configuration.
        scripts: folder of the workflow's scripts.
    """

    def __init__(self, config: Config, scripts: Path) -> None:
        self.config = config
        self.scripts = scripts
        self.raw = str(Path(config.raw_dir).expanduser())

    # -- which things there are ---------------------------------------------------------------------------------

    @cached_property
    def datasets(self) -> dict[str, DatasetSettings]:
        """Active datasets and the members of active merges, by name."""
        names = list(self.config.datasets)
        for name in self.config.datasets:
            names += [m for m in self.config.dataset_settings[name].merge or [] if m not in names]
        return {name: self.config.dataset_settings[name] for name in names}

    @property
    def sourced(self) -> list[str]:
        """Datasets that are read from a source."""
        return [name for name, dataset in self.datasets.items() if dataset.merge is None]

    @property
    def merged(self) -> list[str]:
        """Datasets that are the merge of others."""
        return [name for name, dataset in self.datasets.items() if dataset.merge is not None]

    @property
    def pooled(self) -> list[str]:
        """Merged datasets whose synthetic set is the union of their members' sets."""
        return [name for name in self.merged if self.datasets[name].synthetic == "union"]

    @property
    def trained(self) -> list[str]:
        """Datasets on which generators are trained."""
        return [name for name in self.datasets if name not in self.pooled]

    def members(self, dataset: str) -> list[str]:
        """Datasets that a merge is made of."""
        return list(self.datasets[dataset].merge or [])

    @cached_property
    def cells(self) -> list[tuple[str, str]]:
        """Active (dataset, generator) pairs."""
        return [(dataset, generator) for dataset in self.config.datasets for generator in self.config.generators]

    @property
    def pooled_generators(self) -> list[str]:
        """``all``, the generators' samples together, if the study asks for it."""
        return ["all"] if self.config.experiments.pooled else []

    @property
    def sources(self) -> list[str]:
        """Names of the synthetic sets of a dataset: the generators, and ``all``."""
        return [*self.config.generators, *self.pooled_generators]

    @cached_property
    def models(self) -> list[tuple[str, str]]:
        """(dataset, generator) pairs that are trained for the active cells."""
        names: list[str] = []
        for dataset in self.config.datasets:
            names += [n for n in (self.members(dataset) if dataset in self.pooled else [dataset]) if n not in names]
        return [(name, generator) for name in names for generator in self.config.generators]

    @cached_property
    def real_fractions(self) -> list[float]:
        """Shares of the real training records on which classifiers are trained from scratch."""
        experiments = self.config.experiments
        return sorted({*experiments.fractions, *experiments.transfer.fractions})

    @property
    def synthetic_settings(self) -> list[str]:
        """Settings with synthetic records. TrSTeR is always among them: transfer starts from its networks."""
        wanted = set(self.config.experiments.settings) - {"TrRTeR"}
        if wanted or self.config.experiments.transfer.fractions:
            wanted.add("TrSTeR")
        return sorted(wanted)

    def others(self, dataset: str) -> list[str]:
        """Other datasets with a source that are crossed with this one."""
        sourced = [name for name in self.config.datasets if name in self.sourced]
        return [name for name in sourced if name != dataset] if dataset in sourced else []

    def crossed(self, dataset: str) -> list[str]:
        """Datasets whose synthetic records are added to this one's real ones, and on which its networks are tested too."""
        return self.others(dataset) if self.config.experiments.cross else []

    def yardsticks(self, dataset: str) -> list[str]:
        """Other datasets with a source whose real records pre-train this one's classifier."""
        transfer = self.config.experiments.transfer
        return self.others(dataset) if transfer.from_real and transfer.fractions else []

    def _classifier(self, dataset: str) -> dict[str, Any]:
        return self.config.classifiers[self.datasets[dataset].classifier].model_dump(mode="json")

    def pretrained_on(self, other: str, dataset: str) -> str:
        """Folder, below ``results/classifiers``, of ``dataset``'s classifier trained on the real records of ``other``.

        With the same classifier that is the real experiment of ``other``; without, it is trained for this alone.
        """
        same = self._classifier(other) == self._classifier(dataset)
        return f"{other}/real" if same else f"{other}/real/for_{dataset}"

    @property
    def classifier_folders(self) -> list[str]:
        """Folders, below ``results/classifiers``, of all classifier results of this study."""
        folders = []
        for dataset in self.config.datasets:
            folders += [f"{dataset}/real", *(f"{dataset}/real/from_{other}" for other in self.yardsticks(dataset))]
            for source in self.sources:
                if self.synthetic_settings:
                    folders.append(f"{dataset}/{source}/augmentation")
                if self.config.experiments.transfer.fractions:
                    folders.append(f"{dataset}/{source}/transfer")
                folders += [f"{dataset}/{source}/with_{other}" for other in self.crossed(dataset)]
        return folders

    @property
    def closeness_parts(self) -> dict[str, list[str]]:
        """Files, below ``results/closeness`` and without their suffix, that each table of the closeness stage is joined from."""
        cells, datasets, real = [f"{d}/{g}" for d, g in self.cells], self.config.datasets, self.control_parts
        return {
            table: [f"{cell}/{table}" for cell in cells] + [f"{d}/{real[table]}" for d in datasets if table in real]
            for table in CLOSENESS_TABLES
        }

    @property
    def control_parts(self) -> dict[str, str]:
        """Names of the files, below ``results/closeness/<dataset>``, of each table with rows of controls or of real records."""
        privacy = {"privacy": "privacy"} if self.config.closeness.measures == "full" else {}
        return {"closeness": "controls", "curves": "curves", "points": "points", **privacy}

    @property
    def benchmarks(self) -> list[str]:
        """Names of the benchmark files of all jobs before the tables, below ``results/benchmarks``."""
        names = [f"{stage}/{d}" for d in self.sourced for stage in ("acquire", "preprocess")]
        names += [f"merge/{d}" for d in self.merged]
        names += [f"{stage}/{d}/{g}" for d, g in self.models for stage in ("generate", "sample")]
        names += [f"pool/{d}/{g}" for d, g in self.cells if d in self.pooled]
        names += [f"pool/{d}/{g}" for d in self.config.datasets for g in self.pooled_generators]
        folders = [
            *self.classifier_folders,
            *(self.pretrained_on(o, d) for d in self.config.datasets for o in self.yardsticks(d)),
        ]
        names += [f"classify/{folder}" for folder in dict.fromkeys(folders)]
        names += [f"closeness/{d}/controls" for d in self.config.datasets]
        return names + [f"closeness/{d}/{g}" for d, g in self.cells]

    # -- what each job depends on -------------------------------------------------------------------------------

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
                    f"`generator_settings.{name}` is no generator: active are {', '.join(self.config.generators)}, and there is no module {module_of(name, given.class_)}"
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
            values |= {"settings": ["TrRSTeR"], "ratios": ["all"]}
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
                "simulated": [name for name in self.config.datasets if self.config.is_simulated(name)],
                "seed": self.config.seed,
            }
        )
