"""The console command ``ecgpipe``: questions about a study, asked in its folder, and scores of its blind test."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ecgpipe.config import ConfigError, load
from ecgpipe.workflow.checksums import ChangedFileError
from ecgpipe.workflow.code_digest import PACKAGE_ROOT
from ecgpipe.workflow.pending import DryRunError, pending
from ecgpipe.workflow.study import Study
from ecgpipe.workflow.surroundings import check_surroundings
from ecgpipe.workflow.why import explain


def _plan(configfile: Path, snakemake: Sequence[str]) -> None:
    from ecgpipe.workflow import plan  # imports torch

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("ecgpipe.workflow").setLevel(logging.INFO)
    jobs = pending([*snakemake, "--configfile", str(configfile)])
    planner = plan.Planner(load(configfile), Path("results"))
    estimates = planner.estimates(jobs)
    plan.save(estimates, Path())
    print(plan.table(estimates))
    disk = planner.disk()
    print(f"Arrays on disk: {'not known' if disk is None else f'{disk / 1e9:,.2f} GB'}")
    for line in planner.downloads():
        print(f"Download of {line}")
    print("What the paper's claims could show (macro F1):")
    for line in planner.claims():
        print(f"  {line}")


def _check(configfile: Path, results: bool) -> None:
    study = Study(load(configfile), PACKAGE_ROOT / "workflow_scripts")
    check_surroundings(study)
    study.check_generators(Path(".snakemake") / "checked")
    print(f"{configfile}: every key is known and every value allowed.")
    if not results:
        return
    if found := study.damaged_results():
        raise ChangedFileError("\n".join(found))
    print("Every result is what its job wrote, and every raw record is what was fetched.")


def _blind(given: argparse.Namespace) -> None:
    from ecgpipe.blind.scoring import AnswersError, score, text
    from ecgpipe.files import write_text

    try:
        found = score(given.answers, given.key, given.confidence)
    except AnswersError as error:
        sys.exit(str(error))
    print(text(found))
    if given.csv:
        write_text(given.csv, found.scores.to_csv(index=False))


def _add_blind(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    blind = commands.add_parser("blind", help="the blind test: how well readers tell synthetic ECGs from real ones")
    score = blind.add_subparsers(dest="action", required=True).add_parser(
        "score", help="accuracy by generator and rhythm, and agreement between readers"
    )
    score.add_argument("answers", type=Path, nargs="+", help="files that the blind test saved, one a reader")
    score.add_argument(
        "--key",
        type=Path,
        default=Path("results/report/blind_key.json"),
        help="key that the report wrote (%(default)s)",
    )
    score.add_argument("--confidence", type=_confidence, default=0.95, help="of the intervals (%(default)s)")
    score.add_argument("--csv", type=Path, help="also write the scores to this file")


def _confidence(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the commands. Further arguments of ``why`` and ``plan`` are targets and options of Snakemake."""
    parser = argparse.ArgumentParser(prog="ecgpipe", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_ in (
        ("why", "what a run would do again, and why"),
        ("plan", "jobs, trainings, hours, disk and download of a run, after a short calibration of this machine"),
        ("took", "what the jobs of the last plan took, beside the estimate"),
        ("check", "whether the configuration is right, and with --results whether any result was changed"),
    ):
        command = commands.add_parser(name, help=help_)
        if name == "check":
            command.add_argument("--results", action="store_true", help="read all results and compare their checksums")
        command.add_argument("--configfile", type=Path, default=Path("config.yaml"), help="the study's configuration")
    _add_blind(commands)
    given, rest = parser.parse_known_args(arguments)
    if given.command == "blind":
        if rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        _blind(given)
        return
    snakemake = rest or ["all"]
    try:
        if given.command == "why":
            jobs = pending([*snakemake, "--configfile", str(given.configfile)])
            print(explain(jobs, study=Study(load(given.configfile), PACKAGE_ROOT / "workflow_scripts")))
        elif given.command == "plan":
            _plan(given.configfile, snakemake)
        elif given.command == "check":
            _check(given.configfile, given.results)
        else:
            from ecgpipe.workflow.plan import took

            print(took(Path()))
    except (DryRunError, ConfigError, ChangedFileError, FileNotFoundError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
