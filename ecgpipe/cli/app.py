"""The command ``ecgpipe``: its groups of commands, and how each of them ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from ecgpipe.cli import blind, bundle, compare, doctor, ecgs, inspect, judge, report, run, start, study

HELP = "Do synthetic 12-lead ECGs help a rhythm classifier? Studies of this question, and tools for anybody's ECGs."
EXPECTED = (OSError, ValueError)
"""Errors that say what a user can do. The package's own are named in :func:`_is_expected`."""

app = typer.Typer(
    name="ecgpipe",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (run, study, doctor, report, compare, bundle, blind, inspect, ecgs, judge, start):
    group.add_to(app)


def _versions(asked: bool) -> None:
    if not asked:
        return
    for package in ("ecgpipe", "snakemake", "torch"):
        with contextlib.suppress(PackageNotFoundError):
            print(package, version(package))
    print("python", sys.version.split()[0])
    raise typer.Exit


@app.callback()
def _root(
    asked: Annotated[
        bool, typer.Option("--version", callback=_versions, is_eager=True, help="Print the versions and end.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the trace of an error; works behind any command.")
    ] = False,
) -> None:
    pass


def _is_expected(error: Exception) -> bool:
    """Say whether an error's message was written for users: it is an input's fault and not this program's."""
    return isinstance(error, EXPECTED) or type(error).__module__.startswith("ecgpipe.")


def _paragraph(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if _is_expected(error):
        return str(error)
    return f"{type(error).__name__}: {error} (not foreseen by ecgpipe: please report it with what --debug shows)"


@contextlib.contextmanager
def _ending(debug: bool) -> Iterator[None]:
    """End with one paragraph on stderr and exit code 2 for an error, quietly where nobody reads on (``| head``)."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered goes nowhere, instead of a second error when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        print(f"ERROR: {_paragraph(error)}", file=sys.stderr)
        sys.exit(2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        arguments: words behind ``ecgpipe``; those of this process if not given.

    Raises:
        SystemExit: always: 0, 2 for an error, and what jobs ended with.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    with _ending(debug):
        app(args=[word for word in words if word != "--debug"], prog_name="ecgpipe")
