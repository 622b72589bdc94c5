"""The validated configuration, the study it describes, and what all rules share."""

import gc
import os
import sys
import time

# A plan is made of millions of objects that stay. To search them for garbage as often as Python does by default takes a
# tenth of the time of planning thousands of jobs.
gc.set_threshold(100_000, 50, 50)

sys.path.insert(0, workflow.basedir)
sys.path.append(str(Path.cwd()))

from snakemake.exceptions import WorkflowError

from ecgpipe.workflow.environment import checkout_fault, clean, installed_first

if fault := checkout_fault(Path(workflow.basedir)):
    raise WorkflowError(fault)
clean(os.environ)
sys.path[1:] = installed_first(sys.path[1:], os.environ.get("PYTHONPATH", ""))
# Jobs run under the Python that runs Snakemake, unless a conda environment is activated over it.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
)

from ecgpipe.config import ConfigError, validate
from ecgpipe.config.files import check_bounds, check_keys
from ecgpipe.vocabulary import REAL_ON_SYNTHETIC
from ecgpipe.workflow.arguments import ByFile
from ecgpipe.workflow.checksums import ChangedFileError, KnownFiles
from ecgpipe.workflow.jobs import CHECKSUMS
from ecgpipe.workflow.layout import one_of
from ecgpipe.workflow.study import Study
from ecgpipe.workflow.surroundings import check_surroundings

STARTED = time.time()
KNOWN_FILES = KnownFiles(Path(".snakemake") / "checked" / "results.json")
# What only mends Snakemake's own bookkeeping must work whatever has happened to results.
CHECKS_RESULTS = os.environ.get("ECGPIPE_CHECK_RESULTS") != "0" and not {
    *("--unlock", "--touch", "-t", "--cleanup-metadata", "--cm")
}.intersection(sys.argv)
SCRIPTS = Path(workflow.basedir) / "workflow_scripts"


def gpus_of_a_job():
    """Return how many GPUs a job may have: the limit of `--resources gpu=`, 0 without one."""
    limits = workflow.global_resources
    limit = limits["gpu"] if "gpu" in limits else 0
    return getattr(
        limit, "value", limit
    )  # older versions of Snakemake hold the number itself


if not workflow.overwrite_configfiles:
    # Snakemake writes out all that aliases stand for, which could take hours.
    try:
        check_bounds(Path(workflow.basedir) / "config.yaml")
    except ConfigError as error:
        raise WorkflowError(str(error)) from None

    configfile: Path(workflow.basedir) / "config.yaml"


try:
    if workflow.is_main_process:
        for file in workflow.configfiles:
            check_keys(file)
    STUDY = Study(validate(config), SCRIPTS)
    if workflow.is_main_process:
        check_surroundings(STUDY)
        STUDY.check_classes(Path(".snakemake") / "checked", gpus=gpus_of_a_job())
        if CHECKS_RESULTS:
            STUDY.check_results(KNOWN_FILES)
        STUDY.check_sources()
except (ConfigError, ChangedFileError) as error:
    raise WorkflowError(str(error)) from None

# What a job needs to find things but must not be compared by: another checkout or mirror reruns nothing.
os.environ.update(
    ECGPIPE_SCRIPTS=str(SCRIPTS),
    ECGPIPE_PLACES=STUDY.places,
    ECGPIPE_COUNTS=STUDY.counts,
)


def at(path):
    """Return a path within the folder of the study's results."""
    return f"{STUDY.results}/{path}"


THREADS = STUDY.config.compute.threads
PROCESSES = STUDY.config.compute.processes

# A job depends on the checksums of what other jobs made, which Snakemake compares by content. The files themselves are
# `ancient`: they must be there, and their time stamps, which a copy changes, count for nothing.
JOBS = STUDY.jobs
DATA = JOBS["preprocess"].checksums
DATA_FILES = [
    at("data/{dataset}/signals.npy"),
    at("data/{dataset}/records.parquet"),
]
SAMPLES = JOBS["sample"].checksums
SAMPLE_FILES = [
    at("samples/{dataset}/{generator}/signals.npy"),
    at("samples/{dataset}/{generator}/records.parquet"),
]


def remember_results():
    """Note that what this run made is what its jobs wrote, so that the next start need not read it again."""
    if workflow.is_main_process:
        STUDY.keep_sampling(Path(at("generators")))
        STUDY.remember_results(KNOWN_FILES, STARTED)


def for_other(paths):
    """Return paths of the dataset {other} in place of {dataset}."""
    if isinstance(paths, str):
        return paths.replace("{dataset}", "{other}")
    return [for_other(path) for path in paths]


def classifier_modules(dataset):
    """Return the option that names the module of a dataset's classifier, if it is a user's own."""
    modules = STUDY.classifier_modules(dataset)
    return ["--modules", *modules] if modules else []


def members_sets(wildcards, files):
    """Return files of the sets that a merged dataset's synthetic set is the union of."""
    return expand(
        files,
        dataset=STUDY.members(wildcards.dataset),
        generator=wildcards.generator,
    )


def repetitions(wildcards, files):
    """Return files of a generator's synthetic sets, one for each of its repetitions."""
    names = {name: value for name, value in wildcards.items() if name != "generator"}
    return expand(files, generator=STUDY.repeated(wildcards.generator), **names)


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
            "--state {results}/state",
            "--threads {threads}",
            "--gpu {resources.gpu}",
        )
    flags += (
        "--provenance {output.provenance:q}",
        "--outputs {output:q}",
        "--code {params.code}",
        "--log {log:q}",
    )
    said = " \\\n    ".join(
        ['python "${{ECGPIPE_SCRIPTS}}/%s.py"' % job.script, *flags]
    )
    return said.replace("{results}", STUDY.results)


wildcard_constraints:
    dataset=one_of([*STUDY.datasets, *STUDY.rotations]),
    generator=one_of([*STUDY.sources, *STUDY.repetitions]),
    other=one_of(STUDY.datasets),
