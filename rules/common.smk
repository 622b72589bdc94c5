"""The validated configuration, the study it describes, and what all rules share."""

import gc
import os
import sys

# A plan is made of millions of objects that stay. To look through them for garbage as often as Python does by default takes
# a tenth of the time of planning thousands of jobs.
gc.set_threshold(100_000, 50, 50)

# Jobs run under the Python that runs Snakemake, unless a conda environment is activated over it.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
)
sys.path.insert(0, workflow.basedir)
sys.path.append(str(Path.cwd()))

from snakemake.exceptions import WorkflowError

from ecgpipe.config import ConfigError, validate
from ecgpipe.workflow.study import Study, one_of

SCRIPTS = Path(workflow.basedir) / "workflow_scripts"

try:
    STUDY = Study(validate(config), SCRIPTS)
    if workflow.is_main_process:
        STUDY.check_generators(Path(".snakemake") / "checked")
except ConfigError as error:
    raise WorkflowError(str(error)) from None

# What a job needs to find things but must not be compared by: another checkout or mirror reruns nothing.
os.environ.update(ECGPIPE_SCRIPTS=str(SCRIPTS), ECGPIPE_PLACES=STUDY.places)

RAW = STUDY.raw
THREADS = STUDY.config.compute.threads
PROCESSES = STUDY.config.compute.processes


def growing(megabytes):
    """Ask for more memory at each attempt, where a profile has `retries`."""
    return lambda wildcards, attempt: megabytes * attempt


wildcard_constraints:
    dataset=one_of(STUDY.datasets),
    generator=one_of(STUDY.sources),
    other=one_of(STUDY.datasets),
