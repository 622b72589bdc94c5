"""Questions about a study, asked in its folder: check, plan, why, took."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ecgpipe.cli.options import CONFIG, SNAKEMAKE, STUDY, ConfigFile


class NoStudyError(Exception):
    """There is no study in this folder; the message says what to do."""


def require_config(configfile: Path) -> Path:
    """Return a configuration's path; modules beside it, such as a generator of one's own, can be imported then.

    Raises:
        NoStudyError: if there is no such file.
    """
    if not configfile.exists():
        where = Path.cwd()
        advice = "go to the study's folder, name a file with --configfile, or make a study with `ecgpipe init`"
        raise NoStudyError(f"there is no {configfile} in {where}: {advice}")
    sys.path.append(str(Path.cwd()))
    return configfile


def results_of(configfile: Path = CONFIG) -> Path:
    """Return the folder of results of the study in this folder: `results`, or its own if its configuration says so."""
    from ecgpipe.config import ConfigError, load
    from ecgpipe.workflow.jobs import RESULTS
    from ecgpipe.workflow.layout import Layout

    try:
        return Path(Layout(load(configfile)).results)
    except (ConfigError, FileNotFoundError):
        return Path(RESULTS)  # a report can be read whatever has become of the configuration


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for function, settings, example in (
        (check, {}, "ecgpipe check --results"),
        (plan, SNAKEMAKE, "ecgpipe plan --configfile configs/physionet.yaml"),
        (why, SNAKEMAKE, "ecgpipe why samples"),
        (took, {}, "ecgpipe took"),
    ):
        app.command(rich_help_panel=STUDY, context_settings=settings, epilog=f"Example: {example}")(function)


def check(
    configfile: ConfigFile = CONFIG,
    results: Annotated[bool, typer.Option("--results", help="Read all results and compare their checksums.")] = False,
) -> None:
    """Say whether the configuration is right, and with --results whether any result was changed."""
    from ecgpipe.config import load
    from ecgpipe.workflow.checksums import ChangedFileError
    from ecgpipe.workflow.code_digest import PACKAGE_ROOT
    from ecgpipe.workflow.study import Study
    from ecgpipe.workflow.surroundings import check_surroundings

    study = Study(load(require_config(configfile)), PACKAGE_ROOT / "workflow_scripts")
    check_surroundings(study)
    study.check_classes(Path(".snakemake") / "checked")
    print(f"{configfile}: every key is known and every value allowed.")
    if not results:
        return
    if found := study.damaged_results():
        raise ChangedFileError("\n".join(found))
    print("Every result is what its job wrote, and every raw record is what was fetched.")


def plan(context: typer.Context, configfile: ConfigFile = CONFIG) -> None:
    """Estimate jobs, trainings, hours, disk and download of a run, after a short calibration of this machine.

    Further arguments are targets and options of Snakemake.
    """
    import logging

    from ecgpipe.config import load
    from ecgpipe.workflow import plan as planning  # imports torch
    from ecgpipe.workflow.layout import Layout
    from ecgpipe.workflow.pending import pending

    config = load(require_config(configfile))
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("ecgpipe.workflow").setLevel(logging.INFO)
    jobs = pending([*(context.args or ["all"]), "--configfile", str(configfile)])
    results = Layout(config).results
    planner = planning.Planner(config, Path(results))
    estimates = planner.estimates(jobs)
    planning.save(estimates, Path(), results)
    print(planning.table(estimates))
    disk = planner.disk()
    print(f"Arrays on disk: {'not known' if disk is None else f'{disk / 1e9:,.2f} GB'}")
    for line in planner.downloads():
        print(f"Download of {line}")
    for line in planner.rotations():
        print(f"Rotation of {line}")
    print("What the paper's claims could show (macro F1):")
    for line in planner.claims():
        print(f"  {line}")


def why(context: typer.Context, configfile: ConfigFile = CONFIG) -> None:
    """Say what a run would do again, and which setting or module has changed.

    Further arguments are targets and options of Snakemake.
    """
    from ecgpipe.config import load
    from ecgpipe.workflow.code_digest import PACKAGE_ROOT
    from ecgpipe.workflow.pending import pending
    from ecgpipe.workflow.study import Study
    from ecgpipe.workflow.why import explain

    study = Study(load(require_config(configfile)), PACKAGE_ROOT / "workflow_scripts")
    jobs = pending([*(context.args or ["all"]), "--configfile", str(configfile)])
    print(explain(jobs, study=study))


def took(configfile: ConfigFile = CONFIG) -> None:
    """Compare what the jobs of the last plan took with the estimate."""
    from ecgpipe.workflow.plan import took as comparison

    print(comparison(Path(), str(results_of(configfile))))
