"""The validated configuration, the study it describes, and what all rules share."""

import gc
import os
import sys

# A plan is made of millions of objects that stay. To search them for garbage as often as Python does by default takes a
# tenth of the time of planning thousands of jobs.
gc.set_threshold(100_000, 50, 50)

# Jobs run under the Python that runs Snakemake, unless a conda environment is activated over it.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
)
sys.path.insert(0, workflow.basedir)
sys.path.append(str(Path.cwd()))

from snakemake.exceptions import WorkflowError

from ecgpipe.config import ConfigError, validate
from ecgpipe.vocabulary import REAL_ON_SYNTHETIC
from ecgpipe.workflow.checksums import ChangedFileError
from ecgpipe.workflow.jobs import JOBS
from ecgpipe.workflow.layout import one_of
from ecgpipe.workflow.study import Study

SCRIPTS = Path(workflow.basedir) / "workflow_scripts"

try:
    STUDY = Study(validate(config), SCRIPTS)
    if workflow.is_main_process:
        STUDY.check_generators(Path(".snakemake") / "checked")
        STUDY.check_results(Path(".snakemake") / "checked" / "results.json")
except (ConfigError, ChangedFileError) as error:
    raise WorkflowError(str(error)) from None

# What a job needs to find things but must not be compared by: another checkout or mirror reruns nothing.
os.environ.update(ECGPIPE_SCRIPTS=str(SCRIPTS), ECGPIPE_PLACES=STUDY.places)

THREADS = STUDY.config.compute.threads
PROCESSES = STUDY.config.compute.processes

# A job depends on the checksums of what other jobs made, which Snakemake compares by content. The files themselves are
# `ancient`: they must be there, and their time stamps, which a copy changes, count for nothing.
DATA = JOBS["preprocess"].checksums
DATA_FILES = [
    "results/data/{dataset}/signals.npy",
    "results/data/{dataset}/records.parquet",
]
SAMPLES = JOBS["sample"].checksums
SAMPLE_FILES = [
    "results/samples/{dataset}/{generator}/signals.npy",
    "results/samples/{dataset}/{generator}/records.parquet",
]


def for_other(paths):
    """Return paths of the dataset {other} in place of {dataset}."""
    if isinstance(paths, str):
        return paths.replace("{dataset}", "{other}")
    return [for_other(path) for path in paths]


def members_sets(wildcards, files):
    """Return files of the sets that a merged dataset's synthetic set is the union of."""
    return expand(
        files,
        dataset=STUDY.members(wildcards.dataset),
        generator=wildcards.generator,
    )


def resources(job, **more):
    """Return a job's resources. It gets more memory at each attempt, where a profile has `retries`."""
    return dict(
        mem_mb=lambda wildcards, attempt: job.mem_mb * attempt,
        runtime=job.runtime,
        **more,
    )


def command(job, *flags):
    """Return the shell command of a job, one flag a line, with the flags that all jobs have."""
    if job.networks:
        flags += (
            "--state results/state",
            "--threads {threads}",
            "--gpu {resources.gpu}",
        )
    flags += (
        "--provenance {output.provenance:q}",
        "--outputs {output:q}",
        "--code {params.code}",
        "--log {log:q}",
    )
    return " \\\n    ".join(
        ['python "${{ECGPIPE_SCRIPTS}}/%s.py"' % job.script, *flags]
    )


wildcard_constraints:
    dataset=one_of(STUDY.datasets),
    generator=one_of(STUDY.sources),
    other=one_of(STUDY.datasets),
