"""The kinds of jobs of a study: each Snakemake rule that makes results, described once.

Rules take their paths, log, benchmark, environment and resources from here. So do the layout of a study, the code
digests, ``ecgpipe plan`` and the tests of the cluster profiles. A new stage adds its line to :data:`JOBS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ecgpipe.config.derived import LABEL_MAPS

RESULTS = "results"
"""Folder of all results, relative to the working directory, of a study that has no folder of its own."""
CHECKSUMS = "SHA256SUMS"
"""File beside the results of a job that names the SHA-256 of each of them."""
PROVENANCE = "provenance.json"
"""File beside the results of a job that says what made them; it is written last."""


@dataclass(frozen=True)
class JobKind:
    """One kind of job. Paths are templates with the rule's wildcards: ``{dataset}``, ``{generator}``, ``{other}``.

    Attributes:
        rule: Snakemake rule.
        name: of a job, below ``logs`` and ``benchmarks`` in the folder of results. Its first part is the stage in
            ``runtime.parquet``.
        folder: of its results, below :attr:`results`.
        script: script in ``workflow_scripts/``, without its suffix.
        environment: conda environment in ``envs/``, without its suffix.
        mem_mb: memory in MB asked for at the first attempt.
        runtime: minutes asked for.
        prefix: stands before ``provenance.json`` and ``SHA256SUMS`` where several jobs share a folder.
        networks: it trains or samples networks: it can use a GPU and resumes from a checkpoint.
        data_files: files below ``ecgpipe/`` that its code reads beside itself.
        rough: seconds that such a job takes at all, and for each thing that :meth:`ecgpipe.workflow.plan.Planner.size`
            counts; used for a first estimate. From the default study, ``configs/matrix.yaml`` and
            ``benchmarks/full_scale.py`` on two slow cores, without the network of a download.
        results: folder of the study's results.
    """

    rule: str
    name: str
    folder: str
    script: str
    environment: str
    mem_mb: int
    runtime: int
    prefix: str = ""
    networks: bool = False
    data_files: tuple[str, ...] = ()
    rough: tuple[float, float] | None = None
    results: str = RESULTS

    @property
    def stage(self) -> str:
        """First part of the names of its jobs."""
        return self.name.split("/")[0]

    @property
    def log(self) -> str:
        """Plain-text log."""
        return f"{self.results}/logs/{self.name}.log"

    @property
    def benchmark(self) -> str:
        """Snakemake's measurements, JSON lines."""
        return f"{self.results}/benchmarks/{self.name}.jsonl"

    @property
    def conda(self) -> str:
        """Conda environment, relative to ``rules/``."""
        return f"../envs/{self.environment}.yaml"

    @property
    def provenance(self) -> str:
        """What made the results."""
        return self.path(self.prefix + PROVENANCE)

    @property
    def checksums(self) -> str:
        """Checksums of the results. What depends on them compares this small file."""
        return self.path(self.prefix + CHECKSUMS)

    def path(self, file: str) -> str:
        """Return the path of one of the results."""
        return f"{self.results}/{self.folder}/{file}"

    def outputs(self, **files: str | list[str]) -> dict[str, str | list[str]]:
        """Return the outputs of the rule by name.

        Args:
            files: names of result files in the job's folder; a list stands for several under one name.
        """
        named = {
            name: [self.path(f) for f in file] if isinstance(file, list) else self.path(file)
            for name, file in files.items()
        }
        return {**named, "provenance": self.provenance, "checksums": self.checksums}

    @property
    def message(self) -> str:
        """What Snakemake says when a job starts, in place of all its files: rule and wildcards."""
        wildcards = "/".join(f"{{wildcards.{name}}}" for name in re.findall(r"{(\w+)}", self.name))
        return f"{self.rule} {wildcards}".rstrip()

    def provenances(self, results: Path) -> Iterator[Path]:
        """Yield the provenance of all jobs of this kind that have run."""
        pattern = Path(self.provenance).relative_to(self.results).as_posix()
        for wildcard in ("{dataset}", "{generator}", "{other}"):
            pattern = pattern.replace(wildcard, "*")
        yield from sorted(results.glob(pattern))


_LABEL_MAPS = tuple(f"preprocess/{name}.csv" for name in LABEL_MAPS)
_PAGE = tuple(
    f"report/{name}"
    for name in (
        *("template.html.j2", "closeness.html.j2", "viewer.html.j2", "blind.html.j2", "style.css", "viewer.css"),
        *("page.js", "ecg.js", "pane.js", "viewer.js", "blind.js"),
    )
)


def _classifier(rule: str, folder: str) -> JobKind:
    name, folder = f"classify/{folder}", f"classifiers/{folder}"
    return JobKind(rule, name, folder, "classify", "torch", mem_mb=4000, runtime=1440, networks=True)


_KINDS = (
    JobKind(
        rule="acquire",
        name="acquire/{dataset}",
        folder="raw",
        script="acquire",
        environment="data",
        mem_mb=1000,
        runtime=720,
        prefix="{dataset}.",
        rough=(1.0, 0.005),
    ),
    JobKind(
        rule="preprocess",
        name="preprocess/{dataset}",
        folder="data/{dataset}",
        script="preprocess",
        environment="data",
        mem_mb=2000,
        runtime=120,
        data_files=_LABEL_MAPS,
        rough=(2.0, 0.0015),
    ),
    JobKind(
        rule="merge",
        name="merge/{dataset}",
        folder="data/{dataset}",
        script="merge",
        environment="data",
        mem_mb=1000,
        runtime=60,
        rough=(2.5, 0.0003),
    ),
    JobKind(
        rule="rotate",
        name="rotate/{dataset}",
        folder="data/{dataset}",
        script="rotate",
        environment="data",
        mem_mb=1000,
        runtime=60,
        rough=(1.0, 0.0),
    ),
    JobKind(
        rule="generate",
        name="generate/{dataset}/{generator}",
        folder="generators/{dataset}/{generator}",
        script="generate",
        environment="torch",
        mem_mb=4000,
        runtime=1440,
        networks=True,
    ),
    JobKind(
        rule="sample",
        name="sample/{dataset}/{generator}",
        folder="samples/{dataset}/{generator}",
        script="sample",
        environment="torch",
        mem_mb=4000,
        runtime=480,
        networks=True,
    ),
    JobKind(
        rule="pool",
        name="pool/{dataset}/{generator}",
        folder="samples/{dataset}/{generator}",
        script="pool",
        environment="data",
        mem_mb=1000,
        runtime=60,
        rough=(1.0, 0.0),
    ),
    JobKind(
        rule="pool_generators",
        name="pool/{dataset}/all",
        folder="samples/{dataset}/all",
        script="pool",
        environment="data",
        mem_mb=1000,
        runtime=60,
        rough=(1.0, 0.0),
    ),
    JobKind(
        rule="export_wfdb",
        name="export_wfdb/{dataset}/{generator}",
        folder="wfdb/{dataset}",
        script="export_wfdb",
        environment="data",
        mem_mb=1000,
        runtime=120,
        prefix="{generator}.",
        data_files=_LABEL_MAPS,
    ),
    _classifier("classify_real", "{dataset}/real"),
    _classifier("classify_baselines", "{dataset}/real/baselines"),
    _classifier("classify_real_for_another", "{dataset}/real/for_{other}"),
    _classifier("classify_from_real", "{dataset}/real/from_{other}"),
    _classifier("classify_augmentation", "{dataset}/{generator}/augmentation"),
    _classifier("classify_transfer", "{dataset}/{generator}/transfer"),
    _classifier("classify_cross", "{dataset}/{generator}/with_{other}"),
    JobKind(
        rule="closeness_generator",
        name="closeness/{dataset}/{generator}",
        folder="closeness/{dataset}/{generator}",
        script="closeness",
        environment="closeness",
        mem_mb=3000,
        runtime=240,
        rough=(6.0, 0.018),
    ),
    JobKind(
        rule="closeness_controls",
        name="closeness/{dataset}/controls",
        folder="closeness/{dataset}",
        script="closeness",
        environment="closeness",
        mem_mb=3000,
        runtime=240,
        rough=(5.0, 0.038),
    ),
    JobKind(
        rule="closeness_tables",
        name="closeness/tables",
        folder="tables",
        script="closeness",
        environment="closeness",
        mem_mb=1000,
        runtime=30,
        prefix="closeness.",
        rough=(1.0, 1.2),
    ),
    JobKind(
        rule="result_tables",
        name="tables",
        folder="tables",
        script="tables",
        environment="report",
        mem_mb=6000,
        runtime=720,
        prefix="tables.",
        rough=(8.0, 0.068),
    ),
    JobKind(
        rule="report_page",
        name="report",
        folder="report",
        script="report",
        environment="report",
        mem_mb=3000,
        runtime=60,
        data_files=_PAGE,
        rough=(0.0, 2.0),
    ),
)

JOBS = {kind.rule: kind for kind in _KINDS}
"""All kinds, by rule, in the order of the data's flow, with the paths of a study that has no folder of its own."""


def data_files(script: str) -> tuple[str, ...]:
    """Return the files below ``ecgpipe/`` that a script's code reads beside itself."""
    return tuple(dict.fromkeys(name for kind in _KINDS if kind.script == script for name in kind.data_files))
