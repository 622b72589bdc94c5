"""What a study would take before it is started: ``ecgpipe plan``; and afterwards what it took: ``ecgpipe took``.

Trainings and sampling are estimated from a short calibration on this machine. All other jobs are estimated from what
such jobs took when they last ran in this folder, which their provenance says, and before that roughly, from what they
took elsewhere.
"""

from __future__ import annotations

import functools
import logging
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.run import plan_download
from ecgpipe.classify.grid import count_trainings
from ecgpipe.config import Config, GeneratorSettings
from ecgpipe.config.derived import is_partial, record_length
from ecgpipe.files import read_json, write_json
from ecgpipe.generate.training import pick_device
from ecgpipe.preprocess.splits import rotation
from ecgpipe.prose import conclusions as say
from ecgpipe.tables.prospects import count_tested, expected_error, prospects
from ecgpipe.tables.resampling import detectable
from ecgpipe.tables.rotations import inflation
from ecgpipe.vocabulary import POOLED
from ecgpipe.workflow.calibrate import GeneratorSpeed, classifier_seconds, generator_speed
from ecgpipe.workflow.estimates import PLAN, STARTING
from ecgpipe.workflow.jobs import JOBS, RESULTS
from ecgpipe.workflow.layout import Layout
from ecgpipe.workflow.pending import Job

log = logging.getLogger(__name__)

TRAINING_SHARE = 0.8
"""Share of a set's records that trains, unless a dataset says another; records that will be excluded are not known."""
RECORDS = {"ptb-xl": 21799, "ecg-arrhythmia": 45152}
"""Records of the projects whose number is known without asking."""


@dataclass(frozen=True)
class Estimate:
    """What one job would take.

    Attributes:
        rule: its rule.
        name: dataset and generator.
        trainings: networks it trains.
        seconds: wall time on one device; None if nothing is known.
        provenance: where it will say what it took.
        basis: where the seconds come from: ``CPU`` or ``GPU`` (calibrated on it), ``past`` or ``rough``; empty if
            nothing is known.
    """

    rule: str
    name: str
    trainings: int
    seconds: float | None
    provenance: str
    basis: str


def trainings(script: str | None, settings: Any, real: int | None = None, synthetic: int = 0) -> int:
    """Count the networks that a job trains.

    Args:
        script: of the job.
        settings: of the job.
        real: training records of its dataset, if they are known.
        synthetic: training records of the synthetic set that it adds.
    """
    if script == "generate":
        return 1
    return count_trainings(settings, real, synthetic) if script == "classify" else 0


def records(config: Config, dataset: str) -> int | None:
    """Return the records that a dataset starts from; None if its source must be asked."""
    settings = config.dataset_settings[dataset]
    if settings.merge is not None:
        parts = [records(config, member) for member in settings.merge]
        return None if None in parts else sum(part for part in parts if part is not None)
    source = settings.source
    if source is None:
        return None
    if source.kind == "simulated":
        return source.records
    if source.kind != "physionet":
        return None
    return source.limit or (len(source.records) if source.records else RECORDS.get(source.slug))


def split_records(config: Config, dataset: str) -> tuple[int, int] | None:
    """Return the records that a dataset learns from and those it holds out, before exclusions.

    Training records that ``training_share`` leaves out are neither. None if its source must be asked.
    """
    settings = config.dataset_settings[dataset]
    if settings.merge is not None:
        parts = [split_records(config, member) for member in settings.merge]
        known = [part for part in parts if part is not None]
        return (sum(a for a, _ in known), sum(b for _, b in known)) if len(known) == len(parts) else None
    whole, share = records(config, dataset), TRAINING_SHARE
    if settings.folds is not None:
        share = len(settings.folds.train) / 10
    if settings.shares is not None:
        share = settings.shares.train
    if settings.rotate is not None:
        share = len(rotation(1, settings.rotate)["train"]) / 10
    if whole is None:
        return None
    return round(share * whole * (settings.training_share or 1)), whole - round(share * whole)


def training_records(config: Config, dataset: str) -> int | None:
    """Return the records that a dataset learns from, before exclusions; None if its source must be asked."""
    parts = split_records(config, dataset)
    return None if parts is None else parts[0]


def _seconds(script: str, provenances: Iterable[Path]) -> Iterator[float]:
    """Yield the seconds that jobs of a script took when they last ran."""
    for path in provenances:
        made = read_json(path)
        if made["job"] == script:  # a merged dataset lies where another one's preprocessing would
            yield made["seconds"]


class Planner:
    """Estimates of the jobs of one study.

    Args:
        config: the study.
        past: folder of results whose provenance tells how long jobs took.
    """

    def __init__(self, config: Config, past: Path) -> None:
        self.config = config
        self._results = past
        self._past = {rule: list(_seconds(kind.script, kind.provenances(past))) for rule, kind in JOBS.items()}
        self._past["acquire"] = list(_seconds("acquire", Path(config.raw_dir).expanduser().glob("*.provenance.json")))
        self._device = "GPU" if pick_device("auto") == "cuda" else "CPU"
        self._speed = functools.cache(self._measure)

    def _measure(self, generator: str, dataset: str) -> GeneratorSpeed:
        given, signal = self.config.generator(generator), self.config.signal
        train = {**given.train, **given.train_by_dataset.get(dataset, {})}
        log.info("calibrating %s", generator)
        return generator_speed(
            generator,
            GeneratorSettings(class_=given.class_, train=train, sample=given.sample),
            signal.rate,
            record_length(signal),
            self.config.compute.threads,
        )

    @functools.cached_property
    def _classifier(self) -> dict[str, float]:
        """Seconds of one training, by dataset."""
        signal, found = self.config.signal, {}
        for name in self.config.datasets:
            settings = self.config.classifiers[self.config.dataset_settings[name].classifier]
            log.info("calibrating the classifier of %s", name)
            found[name] = classifier_seconds(
                settings,
                signal.rate,
                record_length(signal),
                records(self.config, name) or 1,
                len(self.config.experiments.seeds),
                self.config.compute.stacked,
            )
        return found

    def _trainings(self, job: Job) -> int:
        """Count the networks that a job trains, with the records that its dataset and its synthetic set will have."""
        if "generator" not in job.wildcards:
            return trainings(job.script, job.settings)
        dataset = Layout.dataset_of(job.wildcards["dataset"])
        real = training_records(self.config, dataset)
        drawn = self._drawn(dataset, job.wildcards["generator"])
        return trainings(job.script, job.settings, real, round(TRAINING_SHARE * drawn))

    def _drawn(self, dataset: str, generator: str) -> int:
        """Count the records of a synthetic set."""
        samples, merge = self.config.samples, self.config.dataset_settings[dataset]
        sets = len(self.config.generators) if generator == POOLED else 1
        sets *= len(merge.merge) if merge.merge is not None and merge.synthetic == "union" else 1
        return sets * (samples.number if samples.counts is None else sum(samples.counts.values()))

    def size(self, job: Job, trained: int) -> int | None:
        """Count what the time of a job grows with: records, or cells of the study, or all its trainings.

        Args:
            job: one whose kind has a rough estimate.
            trained: trainings of the whole study.

        Returns:
            Their number; None if it is not known.
        """
        if job.rule == "result_tables":
            return trained
        if job.rule in ("closeness_tables", "report_page"):
            return len(self.config.datasets) * len(self.config.generators)
        dataset = Layout.dataset_of(job.wildcards["dataset"])
        parts = split_records(self.config, dataset)
        if not job.rule.startswith("closeness") or parts is None:
            return records(self.config, dataset)
        closeness, (train, held_out) = self.config.closeness, parts
        if closeness.measures == "full":
            return None
        controls = job.rule == "closeness_controls"
        other = train if controls else self._drawn(dataset, job.wildcards["generator"])
        return min(held_out, closeness.records) + min(other, closeness.records)

    def estimates(self, jobs: Sequence[Job]) -> list[Estimate]:
        """Estimate jobs."""
        numbers = [self._trainings(job) for job in jobs]
        return [self._estimate(job, number, sum(numbers)) for job, number in zip(jobs, numbers, strict=True)]

    def _estimate(self, job: Job, number: int, trained: int) -> Estimate:
        settings, script = job.settings, job.script
        seconds: float | None = None
        basis = self._device
        dataset = Layout.dataset_of(job.wildcards.get("dataset", ""))
        if script == "generate":
            seconds = STARTING + self._speed(Layout.generator_of(job.wildcards["generator"]), dataset).training
        elif script == "sample":
            each = self._speed(Layout.generator_of(job.wildcards["generator"]), dataset).record
            seconds = STARTING + settings["number"] * each
        elif script == "classify":
            seconds = STARTING + number * self._classifier[dataset]
        elif took := self._past[job.rule]:
            seconds, basis = statistics.median(took), "past"
        elif (rough := JOBS[job.rule].rough) is not None and (size := self.size(job, trained)) is not None:
            seconds, basis = STARTING + rough[0] + rough[1] * size, "rough"
        return Estimate(job.rule, job.name, number, seconds, str(job.provenance), basis if seconds is not None else "")

    def disk(self) -> float | None:
        """Return the bytes of all arrays of records and samples; None if a dataset's records are not known."""
        numbers = [records(self.config, name) for name in self.config.datasets]
        if None in numbers:
            return None
        repeated = len(self.config.generators) * self.config.experiments.generator_repetitions
        cells = sum(self.config.dataset_settings[name].rotate or 1 for name in self.config.datasets) * repeated
        all_records = sum(n for n in numbers if n is not None) + cells * self.config.samples.number
        return float(all_records * 12 * record_length(self.config.signal) * 4)

    def _test_patients(self, dataset: str, rotations: bool = True) -> dict[str, int] | None:
        """Count the test patients of each rhythm, of all rotations or the first; None without the dataset."""
        path = self._results / "data" / dataset / "records.parquet"
        if not path.exists():
            return None
        every = rotations and self.config.dataset_settings[dataset].rotate is not None
        return count_tested(pd.read_parquet(path, columns=["split", "label", "patient"]), every)

    @property
    def _sampled(self) -> int:
        """Repetitions of generators, where there are several, or else of trainings: what a comparison averages."""
        repetitions = self.config.experiments.generator_repetitions
        return repetitions if repetitions > 1 else len(self.config.experiments.seeds)

    def rotations(self) -> list[str]:
        """Say of each dataset whose folds rotate what that costs, and what it gains."""
        lines, alpha = [], 1 - self.config.statistics.confidence
        for name in self.config.datasets:
            if (number := self.config.dataset_settings[name].rotate) is None:
                continue
            once, every = (self._test_patients(name, rotations) for rotations in (False, True))
            gain = say.NOT_KNOWN_BEFORE_THE_DATA
            if once is not None and every is not None:
                errors = [
                    expected_error(list(counts.values()), self._sampled, factor)
                    for counts, factor in ((once, 1.0), (every, inflation(number)))
                ]
                effects = [None if error is None else detectable(*error, alpha) for error in errors]
                gain = say.rotation_gains(sum(once.values()), sum(every.values()), *effects)
            lines.append(f"{name}: {say.rotation_costs(number)} {gain}")
        return lines

    def claims(self) -> list[str]:
        """Say what each of the paper's claims could show with the test patients that there are."""
        config = self.config
        # No claim is about a dataset of which training records are left out.
        whole = [name for name in config.datasets if not is_partial(config.dataset_settings, name)]
        patients = {name: self._test_patients(name) for name in whole}
        merged = [name for name in whole if config.dataset_settings[name].merge is not None]
        full = bool(config.experiments.transfer.fractions) and max(config.experiments.transfer.fractions) == 1
        inflations = {name: inflation(config.dataset_settings[name].rotate or 1) for name in whole}
        level = config.statistics.confidence
        return prospects(patients, merged, config.generators, self._sampled, full, level, inflations)

    def downloads(self) -> list[str]:
        """Say for each dataset what would be fetched."""
        lines = []
        for name, settings in self.config.dataset_settings.items():
            if settings.source is None or settings.source.kind == "simulated":
                continue
            try:
                plan = plan_download(settings, self.config.signal, Path(self.config.raw_dir) / name)
                lines.append(f"{name}: {plan}")
            except AcquireError as error:
                lines.append(f"{name}: not known ({error})")
        return lines


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.2f} h" if seconds >= 360 else f"{seconds:,.0f} s"


def _rules(estimates: Sequence[Estimate], basis: str) -> list[str]:
    """Return the rules that have jobs estimated on this basis."""
    return list(dict.fromkeys(e.rule for e in estimates if e.basis == basis))


def table(estimates: Sequence[Estimate]) -> str:
    """Say what the jobs of each rule would take, and all together."""
    lines = [f"{'':<24}{'jobs':>6}{'trainings':>11}{'time':>12}"]
    for rule in dict.fromkeys(e.rule for e in estimates):
        mine = [e for e in estimates if e.rule == rule]
        known = [e.seconds for e in mine if e.seconds is not None]
        time = _hours(sum(known)) if known else "not known"
        lines.append(f"{rule:<24}{len(mine):>6}{sum(e.trainings for e in mine):>11}{time:>12}")
    total = sum(e.seconds for e in estimates if e.seconds is not None)
    together = "in all, where known" if _rules(estimates, "") else "in all"
    lines.append(f"{together:<24}{len(estimates):>6}{sum(e.trainings for e in estimates):>11}{_hours(total):>12}")
    on_gpu = sum(e.seconds for e in estimates if e.basis == "GPU" and e.seconds is not None)
    lines.append(f"{'of that on GPUs':<24}{'':>6}{'':>11}{_hours(on_gpu):>12}")
    for title, rules in (
        ("Only roughly, until they have run once in this folder", _rules(estimates, "rough")),
        ("Without an estimate, and not in the time, until they have run once in this folder", _rules(estimates, "")),
    ):
        if rules:
            lines.append(f"{title}: {', '.join(rules)}.")
    return "\n".join(lines)


def save(estimates: Sequence[Estimate], folder: Path, results: str = RESULTS) -> None:
    """Keep a plan in the folder of results, to be compared with what the jobs take."""
    write_json(folder / results / PLAN, [asdict(estimate) for estimate in estimates])


@dataclass(frozen=True)
class Comparison:
    """What was estimated for some jobs of a plan, beside what they took.

    Attributes:
        name: their rule, or what they have in common.
        jobs: their number.
        done: how many of them have run since the plan.
        estimated: seconds estimated for those that have run; None if nothing was known of one of them.
        took: seconds that those took.
    """

    name: str
    jobs: int
    done: int
    estimated: float | None
    took: float


def compare(folder: Path, results: str = RESULTS) -> list[Comparison]:
    """Compare the plan kept in ``folder`` with what its jobs took, rule by rule, and at last all that had an estimate.

    Raises:
        FileNotFoundError: if no plan is kept there.
    """
    path = folder / results / PLAN
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `ecgpipe plan` before the study")
    estimates = [Estimate(**row) for row in read_json(path)]
    planned_at = path.stat().st_mtime
    real = {
        e: float(read_json(p)["seconds"])
        for e in estimates
        if (p := folder / e.provenance).exists() and p.stat().st_mtime > planned_at
    }
    rows = {rule: [e for e in estimates if e.rule == rule] for rule in dict.fromkeys(e.rule for e in estimates)}
    rows["all with an estimate"] = [e for e in estimates if e.seconds is not None]
    found = []
    for name, mine in rows.items():
        done = [e for e in mine if e in real]
        known = [e.seconds for e in done if e.seconds is not None]
        estimated = sum(known) if len(known) == len(done) else None
        found.append(Comparison(name, len(mine), len(done), estimated, sum(real[e] for e in done)))
    return found


def took(folder: Path, results: str = RESULTS) -> str:
    """Say for each rule of the plan kept for the study in ``folder`` what was estimated and what it took.

    Raises:
        FileNotFoundError: if no plan is kept there.
    """
    lines = [f"{'':<24}{'done':>10}{'estimated':>12}{'took':>12}"]
    for row in compare(folder, results):
        estimated = "not known" if row.estimated is None else _hours(row.estimated)
        lines.append(f"{row.name:<24}{f'{row.done} of {row.jobs}':>10}{estimated:>12}{_hours(row.took):>12}")
    return "\n".join(lines)
