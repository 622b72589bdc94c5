"""``ecgpipe doctor``: whether this machine and this folder are ready for a study, and what to mend."""

from __future__ import annotations

from pathlib import Path

import typer

from ecgpipe.cli.options import CONFIG, STUDY, ConfigFile


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=STUDY, epilog="Example: ecgpipe doctor --configfile configs/physionet.yaml")(doctor)


def doctor(configfile: ConfigFile = CONFIG) -> None:
    """Look at environment, GPU, disk, data and study, and say what to mend; exit code 1 if something has to be."""
    from ecgpipe.workflow.health import FAULT, examine

    findings = examine(Path(), configfile)
    for finding in findings:
        print(f"{finding.state:<6}{finding.what}: {finding.found}" + (f". {finding.mend}" if finding.mend else ""))
    if any(finding.state == FAULT for finding in findings):
        raise typer.Exit(1)
