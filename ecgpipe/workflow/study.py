"""One study, as the Snakefile and the command line see it: what is checked before any job starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ecgpipe.config import ConfigError, OwnClassifierSettings, canonical
from ecgpipe.config.derived import record_length
from ecgpipe.files import write_text
from ecgpipe.generate.registry import module_of
from ecgpipe.leads import LEADS
from ecgpipe.sample.names import SAMPLING
from ecgpipe.workflow.checksums import (
    ChangedFileError,
    KnownFiles,
    checksum_file,
    damaged,
    damaged_raw,
    renew_stale,
)
from ecgpipe.workflow.code_digest import find_module
from ecgpipe.workflow.distributed import processes_of
from ecgpipe.workflow.generator_check import PATIENCE, Asked, AskedClassifier, faults
from ecgpipe.workflow.job_parameters import JobParameters


class Study(JobParameters):
    """A study: its layout, its jobs' parameters, and the checks of its results, generators and sources."""

    @property
    def provenances(self) -> list[Path]:
        """Provenance files of the jobs of this study that have run and whose results other jobs read."""
        tables = [self.jobs[rule].provenance for rule in ("closeness_tables", "result_tables")]
        found = [Path(path) for path in (*(provenance for _, provenance in self.measured), *tables)]
        return [path for path in found if path.exists()]

    def damaged_results(self) -> list[str]:
        """Read all results and raw records of this study; return what is changed, missing or without provenance."""
        jobs = [
            *self.table_jobs,
            *((self.jobs[rule], {}) for rule in ("closeness_tables", "result_tables", "report_page")),
        ]
        found, provenances = [], []
        for kind, wildcards in jobs:
            provenance = Path(self.own(kind.provenance).format(**wildcards))
            if provenance.exists():
                provenances.append(provenance)
            elif checksum_file(provenance).exists():
                found.append(
                    f"{provenance} is missing: the results beside it cannot be checked; make them again: "
                    f"snakemake --cores 1 --forcerun {kind.rule} {checksum_file(provenance)}"
                )
        sources = [self.source_folder(name) for name in self.sourced]
        manifests = [Path(self.raw) / f"{name}.parquet" for name in self.sourced]
        return [
            *found,
            *damaged(provenances),
            *(line for manifest in manifests if manifest.exists() for line in damaged_raw(manifest)),
            *(said for source in sources if source is not None and (said := source.changed(read_all=True)) is not None),
        ]

    def changed_results(self, known: KnownFiles) -> dict[Path, str]:
        """Return the results of this study that were changed after their job had ended, with what to do about each."""
        return known.changed(self.provenances)

    def check_results(self, known: KnownFiles) -> None:
        """Make sure that every result is still what its job wrote, and that none was made from others' former results.

        Raises:
            ChangedFileError: naming the files that were changed.
        """
        provenances = self.provenances
        if changed := known.changed(provenances):
            raise ChangedFileError("\n".join(changed.values()))
        renew_stale(provenances)

    def remember_results(self, known: KnownFiles, since: float) -> None:
        """Remember results of jobs that ended after ``since``, in seconds since the epoch, as sound."""
        known.remember(path for path in self.provenances if path.stat().st_mtime >= since)
        known.save()

    def keep_sampling(self, folder: Path) -> None:
        """Write beside each model of this study how the study draws from it.

        It is no job's result: another setting of sampling retrains nothing.

        Args:
            folder: of all generators.
        """
        for dataset, name in self.trainings:
            generator, model = self.generator_of(name), folder / dataset / name
            kept = canonical({"generator": generator, "sample": self.config.generator(generator).sample}) + "\n"
            path = model / SAMPLING
            if (model / "model.json").exists() and not (path.exists() and path.read_bytes() == kept.encode()):
                write_text(path, kept)

    def check_classes(self, remembered: Path, patience: float = PATIENCE, gpus: int = 0) -> None:
        """Validate the settings of every active generator, and of classifiers of a user's own, by importing them.

        That is done in a process of its own. Imports take seconds (torch), so a check that passed leaves a mark in the
        folder ``remembered`` and is not done again for the same settings and code.

        Args:
            remembered: folder of these marks.
            patience: seconds that the imports may take.
            gpus: how many a job may have (``--resources gpu=``); 0 computes on the CPU.

        Raises:
            ConfigError: naming the key and what is allowed.
        """
        names = sorted({*self.config.generators, *self.config.generator_settings})
        sections = {name: self.config.generator(name).model_dump(mode="json") for name in names}
        classifiers = self._own_classifiers()
        try:
            code = {name: self.generator_code("generate", name) for name in self.config.generators}
            code |= {one.key: self.code("classify", one.module) for one in classifiers}
        except ValueError:
            code = {}  # a module that is not there: load_class says so
        processes = processes_of(self.config.compute.processes, gpus)
        decisive = [sections, [asdict(one) for one in classifiers], code, processes]
        mark = remembered / hashlib.sha256(canonical(decisive).encode()).hexdigest()
        if mark.exists():
            return
        lines = list(self._unknown_generators())
        asked: list[Asked | AskedClassifier] = []
        for name in self.config.generators:
            given = self.config.generator(name)
            trainings = [given.train, *({**given.train, **other} for other in given.train_by_dataset.values())]
            asked.append(Asked(name, given.class_, trainings, given.sample, processes))
        if lines := [*lines, *faults([*asked, *classifiers], patience)]:
            raise ConfigError("\n".join(lines))
        write_text(mark, "")

    def _unknown_generators(self) -> Iterator[str]:
        """Name settings of generators that are neither active nor there."""
        for name, given in self.config.generator_settings.items():
            if name not in self.config.generators and find_module(module_of(name, given.class_)) is None:
                yield (
                    f"`generator_settings.{name}` is no generator: active are {', '.join(self.config.generators)}, "
                    f"and there is no module {module_of(name, given.class_)}"
                )

    def _own_classifiers(self) -> list[AskedClassifier]:
        """Return the classifiers of the user's own that some active dataset uses, with the form of their signals."""
        signal = self.config.signal
        used = dict.fromkeys(dataset.classifier for dataset in self.datasets.values())
        return [
            AskedClassifier(name, settings.class_, settings.network, self._form(signal.rate, record_length(signal)))
            for name in used
            if isinstance(settings := self.config.classifiers[name], OwnClassifierSettings)
        ]

    @staticmethod
    def _form(rate: float, length: int) -> dict[str, Any]:
        """Return the form of signals that a classifier is tried on; the study's classes are not known yet."""
        return {"rate": rate, "length": length, "classes": [f"class {n}" for n in range(7)], "leads": list(LEADS)}

    def check_sources(self) -> None:
        """Compare the sources that are folders with what was taken of them.

        Raises:
            ChangedFileError: if one of them no longer can be used.
        """
        _ = self.states
