"""What all scripts share: the repository on the import path, arguments, a plain-text log, one clear error."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.append(os.getcwd())  # a user's own generator may lie in the study's folder


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every script has."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--log", type=Path, required=True, help="plain-text log of what happened")
    return result


def reached(dataset: dict[str, Any], place: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset's settings with how the files of its source are reached."""
    return {**dataset, "source": {**dataset["source"], **place}}


def add_training_arguments(result: argparse.ArgumentParser) -> None:
    """Add what every job that trains or samples has."""
    result.add_argument("--threads", type=int, required=True, help="threads of this job")
    result.add_argument("--gpu", type=int, default=0, help="GPUs granted to this job; 0 computes on the CPU")
    result.add_argument("--state", type=Path, required=True, help="folder of states to resume from")
    result.add_argument("--code", required=True, help="digest of the code this job depends on")


def divide(args: argparse.Namespace) -> None:
    """Give way to torchrun and ``args.processes`` processes of this script, if there are to be several.

    They share the job's threads; on GPUs there are no more of them than GPUs.
    """
    number = min(args.processes, args.gpu) if args.gpu else args.processes
    args.threads = max(1, args.threads // number)
    if number > 1 and "LOCAL_RANK" not in os.environ:
        args.log.parent.mkdir(parents=True, exist_ok=True)
        args.log.write_text("", encoding="utf-8")
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
        os.execv(sys.executable, [sys.executable, *torchrun, "--", *sys.argv])  # noqa: S606 - no shell


def state_folder(args: argparse.Namespace, *inputs: Path) -> Path:
    """Return the folder for this job's checkpoints.

    It is named by what decides the result (output, settings, code, bytes of the inputs), so that a job never goes on
    from the state of another.
    """
    from ecgpipe.files import sha256

    parts = [str(args.out), args.settings, args.code, *(sha256(path) for path in inputs)]
    return Path(args.state) / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def device(args: argparse.Namespace) -> str:
    """Return the device of this job: the first GPU it was granted, else the CPU."""
    return "cuda" if args.gpu else "cpu"


class _Formatter(logging.Formatter):
    """Writes no password that stands in an address, wherever in a message or a traceback it is."""

    def format(self, record: logging.LogRecord) -> str:
        from ecgpipe.redaction import without_passwords

        return without_passwords(super().format(record))


@contextlib.contextmanager
def running(log: Path, threads: int = 1) -> Iterator[None]:
    """Log to ``log`` and to the terminal; turn an exception into one line there and a full account in the log."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    log.parent.mkdir(parents=True, exist_ok=True)
    # Processes of one job share a log, which is empty when they start.
    process = os.environ.get("LOCAL_RANK")
    to_file = logging.FileHandler(log, mode="w" if process is None else "a", encoding="utf-8")
    place = "" if process is None else f" process {process}:"
    to_file.setFormatter(_Formatter(f"%(asctime)s %(levelname)s{place} %(message)s"))
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(_Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_file, to_terminal])
    logging.captureWarnings(True)
    logging.info("started: %s", " ".join(sys.argv))
    try:
        yield
    except Exception as error:
        logging.debug("", exc_info=True)
        to_terminal.setLevel(logging.CRITICAL)
        logging.exception("failed")
        from ecgpipe.redaction import without_passwords

        print(f"ERROR: {without_passwords(str(error))}\n(the full account is in {log})", file=sys.stderr)
        sys.exit(1)
    logging.info("done")
