"""What surrounds the work of every job: lock, log, GPUs, inputs checked, one clear error, checksums and provenance."""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import importlib
import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ecgpipe.redaction import without_passwords
from ecgpipe.workflow import environment
from ecgpipe.workflow.distributed import local_rank
from ecgpipe.workflow.gpus import claim_gpus
from ecgpipe.workflow.jobs import PROVENANCE
from ecgpipe.workflow.locks import KEPT, made_since, wait_for_other_start
from ecgpipe.workflow.logs import start_logging, writable

_LOADED = time.perf_counter()


class EndedEarlyError(Exception):
    """Code of a job, such as a user's own generator, ended Python before the results were made."""


def state_folder(args: argparse.Namespace, *inputs: Path) -> Path:
    """Return the folder for a job's checkpoints.

    It is named by what decides the result (output, settings, code, bytes of the inputs), so that a job never resumes
    from the state of another.
    """
    from ecgpipe.workflow.checksums import verified

    parts = [str(args.out), args.settings, args.code, *verified(inputs).values()]
    return Path(args.state) / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


@contextlib.contextmanager
def running(
    args: argparse.Namespace, *, inputs: Sequence[Path] = (), modules: Sequence[str] = (), threads: int = 1
) -> Iterator[Callable[[], None]]:
    """Log to ``args.log``, turn an exception into one line on the terminal, and end with checksums and provenance.

    An interrupt (Ctrl-C) ends the process with code 130 and without a word.

    Args:
        args: the script's arguments.
        inputs: files whose checksums are checked and belong to the provenance.
        modules: modules that the job imports by name.
        threads: threads of the job.

    Yields:
        What the script calls when its imports are done. Until then it starts up, and no garbage is collected.
    """
    rank = local_rank()
    environment.clean(os.environ, launched=rank is not None, threads=threads)
    sys.path.append(os.getcwd())  # a user's own generator may lie in the study's folder
    # Processes of one job share a log, which is empty when they start.
    first = rank in (None, "0")
    began = time.time()
    with writable(args.log):
        waited = first and wait_for_other_start(args.log)
        terminal = start_logging(args.log, rank)
    logging.info("started: %s", " ".join(sys.argv))
    logging.info("settings: %s", getattr(args, "settings", None))
    gc.disable()
    try:
        # Imports pandas and Arrow: that is start-up, and not part of the checksums.
        checksums = importlib.import_module("ecgpipe.workflow.checksums")
        started = time.perf_counter()
        if first:
            _remove_half_written(args)
        claim_gpus(getattr(args, "gpu", 0))
        sums = checksums.verified(inputs)
        if waited and rank is None and made_since(began, args, sums):
            logging.info(KEPT)
            sys.exit()
        handed, ready = time.perf_counter(), list[float]()

        def is_ready() -> None:
            ready.append(time.perf_counter())
            # What imports made stays. Searching it for garbage takes a sixth of their time, and a second at the end.
            gc.freeze()
            gc.enable()

        with _ended_only_by_itself():
            yield is_ready
        if hasattr(args, "provenance") and first:
            start_up = started - _LOADED + ready[0] - handed
            _record(args, sums, modules, threads, start_up)
    except KeyboardInterrupt:
        logging.info("interrupted")
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        terminal.setLevel(logging.CRITICAL)
        logging.exception("failed")
        # numpy says how much it wrote, and not why it stopped.
        hint = "; is the disk full?" if isinstance(error, OSError) and error.errno is None else ""
        print(f"ERROR: {without_passwords(str(error))}{hint}\n(the full account is in {args.log})", file=sys.stderr)
        sys.exit(1)
    logging.info("done")


@contextlib.contextmanager
def _ended_only_by_itself() -> Iterator[None]:
    """Make an error of an end that code of a job brings about itself: it would count as success."""
    try:
        yield
    except SystemExit as end:
        raise EndedEarlyError(
            f"code of this job called sys.exit({end.code!r}) before its results were made: "
            "remove that call, of your own generator most likely"
        ) from end


def _remove_half_written(args: argparse.Namespace) -> None:
    """Remove what a killed run of this job was writing, from a folder that belongs to this job alone."""
    if getattr(args, "provenance", None) is not None and args.provenance.name == PROVENANCE:
        for half in args.provenance.parent.glob(".*.tmp"):
            half.unlink()


def _record(
    args: argparse.Namespace, inputs: dict[str, str], modules: Sequence[str], threads: int, start_up_seconds: float
) -> None:
    imported = frozenset(sys.modules)
    from ecgpipe.workflow import checksums, provenance

    outputs = checksums.write(args.provenance, args.outputs)
    provenance.write(
        args.provenance,
        script=Path(sys.argv[0]).resolve(),
        modules=modules,
        code=args.code,
        settings=json.loads(getattr(args, "settings", None) or "null"),
        inputs=inputs,
        outputs=outputs,
        imported=imported,
        threads=threads,
        gpu=getattr(args, "gpu", 0),
        seconds=time.perf_counter() - _LOADED,
        start_up_seconds=start_up_seconds,
        cpu_seconds=sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        ),
    )
