"""The validated configuration, the study it describes, and what all rules share."""

import os
import sys

# Jobs run under the Python that runs Snakemake, unless a conda environment is activated over it.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
)
sys.path.insert(0, workflow.basedir)
sys.path.append(str(Path.cwd()))

from snakemake.exceptions import WorkflowError

from ecgpipe.config import ConfigError, canonical, validate
from ecgpipe.workflow.study import Study, one_of

SCRIPTS = Path(workflow.basedir) / "workflow_scripts"

try:
    STUDY = Study(validate(config), SCRIPTS)
    if workflow.is_main_process:
        STUDY.check_generators(Path(".snakemake") / "checked")
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RAW = STUDY.raw
PLACES = STUDY.places
THREADS = STUDY.config.compute.threads


wildcard_constraints:
    dataset=one_of(STUDY.datasets),
    generator=one_of(STUDY.config.generators),
