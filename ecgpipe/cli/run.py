"""``ecgpipe run``: a study from its set-up check to its answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ecgpipe.cli.options import CONFIG, PAGE, SNAKEMAKE, STUDY, ConfigFile
from ecgpipe.cli.study import require_config

if TYPE_CHECKING:
    from ecgpipe.config import Config
    from ecgpipe.workflow.pending import Job

PARTS = {"download_plan", "data", "generators", "samples", "wfdb", "classifiers", "closeness", "tables"}
"""Targets that do not end in the report."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    example = "ecgpipe run --configfile configs/physionet.yaml --cores 8"
    app.command(rich_help_panel=STUDY, context_settings=SNAKEMAKE, epilog=f"Example: {example}")(run)


def _cores(text: str) -> int:
    if text == "all":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not (text.isdigit() and int(text) > 0):
        raise typer.BadParameter(f"{text} is neither a number of cores nor `all`")
    return int(text)


def run(
    context: typer.Context,
    configfile: ConfigFile = CONFIG,
    cores: Annotated[str, typer.Option(help="CPU cores to use: a number, or `all`.")] = "all",
) -> None:
    """Check a study, run it with an estimate of what is left, and end with its answer.

    Further arguments are targets and options of Snakemake, as `samples` or `--keep-going`.
    """
    from ecgpipe.config import load
    from ecgpipe.files import write_json
    from ecgpipe.workflow import console
    from ecgpipe.workflow.estimates import estimates
    from ecgpipe.workflow.layout import Layout
    from ecgpipe.workflow.pending import pending, snakefile

    number = _cores(cores)
    config = load(require_config(configfile))
    asked = [*(context.args or ["all"]), "--configfile", str(configfile)]
    # With another target, the tables and the report may be those of an earlier config.
    answers_too = not PARTS & set(context.args) or bool({"all", "report"} & set(context.args))
    print("Checking the study and what is left to do ...", flush=True)
    jobs = pending(asked)
    if not jobs:
        print("Nothing to do: every result is what the config and the code ask for.")
        if answers_too:
            _answer(config)
        return
    known = estimates(jobs, results=Layout(config).results)
    print(_beginning(jobs, [seconds for seconds in known if seconds is not None], number), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "jobs.json"
        named = [{"rule": j.rule, "name": j.name, "seconds": s} for j, s in zip(jobs, known, strict=True)]
        write_json(plan, {"cores": number, "jobs": named})
        # By its path: the package is then imported from beside the Snakefile.
        command = [sys.executable, "-P", console.__file__, str(plan), "--cores", str(number), *snakefile(), *asked]
        code = _wait(subprocess.Popen(command))
    if code:
        how = "ended with an error; remove the cause" if code > 0 else "was interrupted"
        print(f"The run {how}. The same command goes on from there: what is done is kept.", file=sys.stderr)
        raise typer.Exit(code if code > 0 else 128 - code)
    if answers_too:
        _answer(config)


def _beginning(jobs: list[Job], known: list[float], cores: int) -> str:
    from ecgpipe.workflow.console import duration

    number = f"{len(jobs)} job{'s' if len(jobs) > 1 else ''} on {cores} core{'s' if cores > 1 else ''}"
    if 2 * len(known) < len(jobs):
        return f"{number}. `ecgpipe plan` would estimate the time."
    whole = sum(known) / len(known) * len(jobs) / cores
    return f"{number}, about {duration(max([whole, *known]))}."


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for Snakemake, which gets an interrupt of the terminal too and ends its jobs; pass on a request to end.

    Returns:
        Its exit code, or the negative number of the signal that this process got meanwhile.
    """
    asked: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        asked.append(number)
        process.terminate()

    before = signal.signal(signal.SIGTERM, end)
    try:
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                asked.append(signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)
    return -asked[0] if code and asked else code  # Snakemake ends with 1 after an interrupt


def _answer(config: Config) -> None:
    """Print the study's answers and where its report is, if there are some."""
    import pandas as pd

    from ecgpipe.report.answers import answers_of
    from ecgpipe.workflow.layout import Layout

    results = Path(Layout(config).results)
    comparisons, verdicts = (results / "tables" / f"{name}.parquet" for name in ("comparisons", "verdicts"))
    report = results / PAGE
    if not (comparisons.exists() and verdicts.exists() and report.exists()):
        return
    print()
    for answer in answers_of(config, pd.read_parquet(comparisons), pd.read_parquet(verdicts)):
        print(" ".join(part for part in (answer.question, answer.headline, answer.fewer) if part))
    print(f"The report: {report.resolve().as_uri()}")
