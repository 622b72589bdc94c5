"""What a configuration asks for: the datasets, models, samples and classifiers, and where their files lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ecgpipe.closeness.names import TABLES as CLOSENESS_TABLES
from ecgpipe.config import Config, ConfigError, DatasetSettings
from ecgpipe.config.checks import STUDIES
from ecgpipe.numbered import numbered, unnumbered
from ecgpipe.vocabulary import POOLED, REAL, SYNTHETIC
from ecgpipe.workflow.jobs import JOBS, RESULTS, JobKind

NOTHING = r"(?!)"
"""A wildcard constraint that no name meets."""


def one_of(names: Iterable[str]) -> str:
    """Return a wildcard constraint that just these names meet."""
    return "|".join(sorted(names)) or NOTHING


class Layout:
    """The datasets, models, samples and classifiers of one study.

    Args:
        config: a validated configuration.

    Raises:
        ConfigError: if `raw_dir` names a user that there is not.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        try:
            self.raw = str(Path(config.raw_dir).expanduser())
        except RuntimeError:
            raise ConfigError(
                f"`raw_dir`: {config.raw_dir!r} names the home of a user that there is not; write the whole path"
            ) from None

    @property
    def results(self) -> str:
        """Folder of the study's results, relative to the working directory."""
        study = self.config.study
        return f"{STUDIES}/{study.name}" if study.own_folder else RESULTS

    @cached_property
    def jobs(self) -> dict[str, JobKind]:
        """All kinds of jobs, by rule, with the paths of this study."""
        return {rule: replace(kind, results=self.results) for rule, kind in JOBS.items()}

    @cached_property
    def datasets(self) -> dict[str, DatasetSettings]:
        """Active datasets and the members of active merges, by name."""
        names = list(self.config.datasets)
        for name in self.config.datasets:
            names += [m for m in self.config.dataset_settings[name].merge or [] if m not in names]
        return {name: self.config.dataset_settings[name] for name in names}

    def rotated(self, dataset: str) -> list[str]:
        """Names of a dataset's rotations: its own name is the first, ``ptbxl-2`` the second."""
        return numbered(dataset, self.datasets[dataset].rotate or 1)

    @property
    def rotations(self) -> list[str]:
        """Names of all rotations of datasets but the first ones."""
        return [name for dataset in self.datasets for name in self.rotated(dataset)[1:]]

    @property
    def tested(self) -> list[str]:
        """Active datasets with all their rotations."""
        return [name for dataset in self.config.datasets for name in self.rotated(dataset)]

    @staticmethod
    def dataset_of(rotation: str) -> str:
        """Return the dataset of which a name is a rotation."""
        return unnumbered(rotation)

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
        """Datasets, and rotations of them, on which generators are trained."""
        return [name for name in [*self.datasets, *self.rotations] if name not in self.pooled]

    def members(self, dataset: str) -> list[str]:
        """Datasets that a merge is made of."""
        return list(self.datasets[self.dataset_of(dataset)].merge or [])

    @cached_property
    def cells(self) -> list[tuple[str, str]]:
        """Active (dataset, generator) pairs."""
        return [(dataset, generator) for dataset in self.config.datasets for generator in self.config.generators]

    @property
    def pooled_generators(self) -> list[str]:
        """The name of the generators' samples together, if the study asks for it."""
        return [POOLED] if self.config.experiments.pooled else []

    @property
    def sources(self) -> list[str]:
        """Names of the synthetic sets of a dataset: the generators, and ``all``."""
        return [*self.config.generators, *self.pooled_generators]

    def repeated(self, source: str) -> list[str]:
        """Names of a generator's repetitions: its own name is the first, ``diffwave-2`` the second."""
        number = 1 if source == POOLED else self.config.experiments.generator_repetitions
        return numbered(source, number)

    @property
    def repetitions(self) -> list[str]:
        """Names of all repetitions of all generators."""
        return [name for generator in self.config.generators for name in self.repeated(generator)]

    @staticmethod
    def generator_of(repetition: str) -> str:
        """Return the generator of which a name is a repetition."""
        return unnumbered(repetition)

    @cached_property
    def models(self) -> list[tuple[str, str]]:
        """(dataset, generator) pairs that are trained for the active cells."""
        names: list[str] = []
        for dataset in self.config.datasets:
            names += [n for n in (self.members(dataset) if dataset in self.pooled else [dataset]) if n not in names]
        return [(name, generator) for name in names for generator in self.config.generators]

    @property
    def trainings(self) -> list[tuple[str, str]]:
        """(dataset, generator) pairs of all trainings of generators, with rotations and repetitions."""
        return [(rotation, name) for d, g in self.models for rotation in self.rotated(d) for name in self.repeated(g)]

    @cached_property
    def real_fractions(self) -> list[float]:
        """Shares of the real training records on which classifiers are trained from scratch."""
        experiments = self.config.experiments
        return sorted({*experiments.fractions, *experiments.transfer.fractions})

    @property
    def synthetic_settings(self) -> list[str]:
        """Settings with synthetic records. TrSTeR is always among them: transfer starts from its networks."""
        wanted = {str(setting) for setting in self.config.experiments.settings} - {REAL}
        if wanted or self.config.experiments.transfer.fractions:
            wanted.add(SYNTHETIC)
        return sorted(wanted)

    def others(self, dataset: str) -> list[str]:
        """Other datasets with a source that are crossed with this one."""
        sourced = [name for name in self.config.datasets if name in self.sourced]
        return [name for name in sourced if name != dataset] if dataset in sourced else []

    def crossed(self, dataset: str) -> list[str]:
        """Datasets whose synthetic records are added to this one's real ones; its networks are tested on them too."""
        return self.others(dataset) if self.config.experiments.cross else []

    def real_pretraining_sets(self, dataset: str) -> list[str]:
        """Other datasets with a source whose real records pre-train this one's classifier."""
        transfer = self.config.experiments.transfer
        return self.others(dataset) if transfer.from_real and transfer.fractions else []

    def _classifier(self, dataset: str) -> dict[str, Any]:
        settings = self.datasets[self.dataset_of(dataset)]
        return self.config.classifiers[settings.classifier].model_dump(mode="json", by_alias=True)

    def _share_classifier(self, one: str, other: str) -> bool:
        return self._classifier(one) == self._classifier(other)

    def pretrained_on(self, other: str, dataset: str) -> str:
        """Return the folder of ``dataset``'s classifier trained on the real records of ``other``.

        With the same classifier that is the real experiment of ``other``; without, it is trained for this alone.
        """
        kind = self.jobs["classify_real" if self._share_classifier(other, dataset) else "classify_real_for_another"]
        return kind.path("").format(dataset=other, other=dataset).rstrip("/")

    @property
    def classifier_jobs(self) -> list[tuple[JobKind, dict[str, str]]]:
        """Kind and wildcards of all classifier jobs whose predictions are in the tables."""
        found: list[tuple[str, dict[str, str]]] = []
        transfer = self.config.experiments.transfer.fractions
        for dataset in self.tested:
            found.append(("classify_real", {"dataset": dataset}))
            found += [("classify_baselines", {"dataset": dataset})] if self.config.experiments.baselines else []
            found += [
                ("classify_from_real", {"dataset": dataset, "other": o}) for o in self.real_pretraining_sets(dataset)
            ]
            for source in self.sources:
                cell = {"dataset": dataset, "generator": source}
                found += [("classify_augmentation", cell)] if self.synthetic_settings else []
                found += [("classify_transfer", cell)] if transfer else []
                found += [("classify_cross", {**cell, "other": other}) for other in self.crossed(dataset)]
        return [(self.jobs[rule], wildcards) for rule, wildcards in found]

    @property
    def pretraining_jobs(self) -> list[tuple[JobKind, dict[str, str]]]:
        """Kind and wildcards of the classifier jobs that only pre-train another dataset's classifier."""
        pairs = [(other, dataset) for dataset in self.config.datasets for other in self.real_pretraining_sets(dataset)]
        return [
            (self.jobs["classify_real_for_another"], {"dataset": other, "other": dataset})
            for other, dataset in pairs
            if not self._share_classifier(other, dataset)
        ]

    @property
    def closeness_parts(self) -> dict[str, list[str]]:
        """Files that each table of the closeness stage is joined from."""
        cells, datasets, real = [f"{d}/{g}" for d, g in self.cells], self.config.datasets, self.control_parts
        return {
            table: [f"{self.results}/closeness/{cell}/{table}.parquet" for cell in cells]
            + [f"{self.results}/closeness/{d}/{real[table]}.parquet" for d in datasets if table in real]
            for table in CLOSENESS_TABLES
        }

    @property
    def control_parts(self) -> dict[str, str]:
        """Names of a dataset's own files of the tables that have rows of controls or of real records."""
        privacy = {"privacy": "privacy"} if self.config.closeness.measures == "full" else {}
        return {"closeness": "controls", "curves": "curves", "points": "points", **privacy}

    @property
    def table_jobs(self) -> list[tuple[JobKind, dict[str, str]]]:
        """Kind and wildcards of all jobs before the tables, in the order of ``runtime.parquet``."""
        cells, active = self.cells, self.config.datasets
        found: list[tuple[str, dict[str, str]]] = []
        found += [(rule, {"dataset": d}) for d in self.sourced for rule in ("acquire", "preprocess")]
        found += [("merge", {"dataset": d}) for d in self.merged]
        found += [("rotate", {"dataset": d}) for d in self.rotations]
        models = [{"dataset": d, "generator": g} for d, g in self.trainings]
        found += [(rule, model) for model in models for rule in ("generate", "sample")]
        pooled = [(d, g) for d, g in cells if d in self.pooled]
        found += [("pool", {"dataset": d, "generator": name}) for d, g in pooled for name in self.repeated(g)]
        found += [("pool_generators", {"dataset": d}) for d in self.tested for _ in self.pooled_generators]
        compared = [("closeness_controls", {"dataset": d}) for d in active]
        compared += [("closeness_generator", {"dataset": d, "generator": g}) for d, g in cells]
        before, after = ([(self.jobs[rule], wildcards) for rule, wildcards in jobs] for jobs in (found, compared))
        return [*before, *self.classifier_jobs, *self.pretraining_jobs, *after]

    @property
    def measured(self) -> list[tuple[str, str]]:
        """Paths of benchmark and provenance of :attr:`table_jobs`."""
        return [
            (kind.benchmark.format(**wildcards), self.own(kind.provenance).format(**wildcards))
            for kind, wildcards in self.table_jobs
        ]

    def own(self, path: str) -> str:
        """Return a path of a job's description with the folder of raw records that this study uses."""
        return path.replace(f"{self.results}/raw/", f"{self.raw}/", 1)

    def classified(self, file: str) -> list[str]:
        """Return this file of all classifier jobs whose predictions are in the tables."""
        return [kind.path(file).format(**wildcards) for kind, wildcards in self.classifier_jobs]

    @property
    def shown(self) -> dict[str, list[list[str]]]:
        """What the report shows beside the tables: names and folder of each dataset, synthetic set and model."""
        return {
            "data": [[d, f"{self.results}/data/{d}"] for d in self.datasets],
            "samples": [[d, g, f"{self.results}/samples/{d}/{g}"] for d, g in self.cells],
            "models": [[d, g, f"{self.results}/generators/{d}/{g}"] for d, g in self.models],
        }
