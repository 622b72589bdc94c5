"""What all scripts share: the repository on the import path, arguments, a plain-text log, one clear error."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import functools
import gc
import hashlib
import importlib
import json
import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

_LOADED = time.perf_counter()
KEPT = "made by the start that was waited for: kept"

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.append(os.getcwd())  # a user's own generator may lie in the study's folder


def parser(description: str | None, *, results: bool = True) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every script has, or every script that makes results."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--log", type=Path, required=True, help="plain-text log of what happened")
    if not results:
        return result
    result.add_argument("--provenance", type=Path, required=True, help="JSON to write: what made the outputs")
    result.add_argument("--code", required=True, help="digest of the code this job depends on")
    return result


def reached(name: str, dataset: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset's settings with how the files of its source are reached.

    That comes by the environment: it is no part of a job's parameters or command line.
    """
    place = json.loads(os.environ.get("ECGPIPE_PLACES", "{}")).get(name, {})
    return {**dataset, "source": {**dataset["source"], **place}}


def add_training_arguments(result: argparse.ArgumentParser) -> None:
    """Add what every job that trains or samples has."""
    result.add_argument("--threads", type=int, required=True, help="threads of this job")
    result.add_argument("--gpu", type=int, default=0, help="GPUs granted to this job; 0 computes on the CPU")
    result.add_argument("--state", type=Path, required=True, help="folder of states to resume from")


@functools.cache
def _sum(path: Path) -> str:
    from ecgpipe.files import sha256

    return sha256(path)


def _sums(paths: Sequence[Path]) -> dict[str, str]:
    """Return the sums of a job's inputs, by name, as they stand in its provenance."""
    return {str(path): _sum(path) for path in paths}


def divide(args: argparse.Namespace, *inputs: Path) -> None:
    """Give way to torchrun and ``args.processes`` processes of this script, if there are to be several.

    They share the job's threads; on GPUs there are no more of them than GPUs. If another start of this job has just made
    its result, from these inputs, there is nothing to do.
    """
    number = min(args.processes, args.gpu) if args.gpu else args.processes
    args.threads = max(1, args.threads // number)
    if number > 1 and "LOCAL_RANK" not in os.environ:
        args.log.parent.mkdir(parents=True, exist_ok=True)
        began = time.time()
        # The lock falls with this program, in the next lines; the first of the processes takes it anew.
        if _wait_for_other_starts(args.log) and _made_since(began, args, _sums(inputs)):
            print(KEPT, file=sys.stderr)
            sys.exit()
        args.log.write_text("", encoding="utf-8")
        claim_gpus(args.gpu)
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
        os.execv(sys.executable, [sys.executable, *torchrun, "--", *sys.argv])  # noqa: S606 - no shell


def state_folder(args: argparse.Namespace, *inputs: Path) -> Path:
    """Return the folder for this job's checkpoints.

    It is named by what decides the result (output, settings, code, bytes of the inputs), so that a job never goes on
    from the state of another.
    """
    parts = [str(args.out), args.settings, args.code, *map(_sum, inputs)]
    return Path(args.state) / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:20]


def _free_gpus(devices: Sequence[str], number: int) -> dict[str, int]:
    """Lock up to ``number`` of these devices; return their names and locks."""
    claimed: dict[str, int] = {}
    for name in devices:
        place = Path(tempfile.gettempdir()) / f"ecgpipe-{os.getuid()}-gpu-{name}.lock"
        lock = os.open(place, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            claimed[name] = lock
            if len(claimed) == number:
                break
    return claimed


def claim_gpus(number: int, patience: float = 1.0) -> None:
    """Take GPUs that no other job of this machine has, and let this process see only them.

    Snakemake limits how many GPU jobs run, but gives none a device. A claim is a lock that ends with the process, killed
    or not. A scheduler that shows a job just its own devices (SLURM, Kubernetes) leaves nothing to claim.

    Args:
        number: GPUs granted to this job.
        patience: seconds between two looks for free ones.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    nodes = sorted(Path("/dev").glob("nvidia[0-9]*"), key=lambda path: int(path.name.removeprefix("nvidia")))
    devices = visible.split(",") if visible else [path.name.removeprefix("nvidia") for path in nodes]
    if not 0 < number < len(devices):
        return
    while len(claimed := _free_gpus(devices, number)) < number:
        for lock in claimed.values():  # holding some while waiting for others could wait for ever
            os.close(lock)
        time.sleep(patience)
    for lock in claimed.values():
        os.set_inheritable(lock, True)  # a launcher that takes this process's place keeps the claim
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(claimed)


def device(args: argparse.Namespace) -> str:
    """Return the device of this job: the first GPU it was granted, else the CPU."""
    return "cuda" if args.gpu else "cpu"


class _Formatter(logging.Formatter):
    """Writes no password that stands in an address, wherever in a message or a traceback it is."""

    def format(self, record: logging.LogRecord) -> str:
        from ecgpipe.redaction import without_passwords

        return without_passwords(super().format(record))


@contextlib.contextmanager
def running(
    args: argparse.Namespace, *, inputs: Sequence[Path] = (), modules: Sequence[str] = (), threads: int = 1
) -> Iterator[Callable[[], None]]:
    """Log to ``args.log`` and the terminal, turn an exception into one line there, and end with the provenance.

    Args:
        args: the script's arguments.
        inputs: files whose sums belong to the provenance.
        modules: modules that the job imports by name.
        threads: threads of the job.

    Yields:
        What the script calls when its imports are done: until then it starts up, and no garbage is collected.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    args.log.parent.mkdir(parents=True, exist_ok=True)
    # Processes of one job share a log, which is empty when they start.
    process = os.environ.get("LOCAL_RANK")
    began = time.time()
    waited = process in (None, "0") and _wait_for_other_starts(args.log)
    to_file = logging.FileHandler(args.log, mode="w" if process is None else "a", encoding="utf-8")
    place = "" if process is None else f" process {process}:"
    to_file.setFormatter(_Formatter(f"%(asctime)s %(levelname)s{place} %(message)s"))
    to_terminal = logging.StreamHandler()
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(_Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_file, to_terminal])
    logging.captureWarnings(True)
    logging.info("started: %s", " ".join(sys.argv))
    gc.disable()
    try:
        importlib.import_module("ecgpipe.files")  # pandas and Arrow: start-up, not part of the sums that need it
        started = time.perf_counter()
        if process in (None, "0"):
            _remove_halves(args)
        claim_gpus(getattr(args, "gpu", 0))
        sums = _sums(inputs)
        if waited and process is None and _made_since(began, args, sums):
            logging.info(KEPT)
            sys.exit()
        handed, ready = time.perf_counter(), list[float]()

        def is_ready() -> None:
            ready.append(time.perf_counter())
            # What imports made stays: it need not be searched for garbage, which takes a sixth of their time and a second at the end.
            gc.freeze()
            gc.enable()

        yield is_ready
        if hasattr(args, "provenance") and process in (None, "0"):
            start_up = started - _LOADED + ready[0] - handed
            _record(args, sums, modules, threads, time.perf_counter() - _LOADED, start_up)
    except Exception as error:
        to_terminal.setLevel(logging.CRITICAL)
        logging.exception("failed")
        from ecgpipe.redaction import without_passwords

        # numpy says how much it wrote, and not why it stopped.
        hint = "; is the disk full?" if isinstance(error, OSError) and error.errno is None else ""
        print(f"ERROR: {without_passwords(str(error))}{hint}\n(the full account is in {args.log})", file=sys.stderr)
        sys.exit(1)
    logging.info("done")


def _wait_for_other_starts(log: Path) -> bool:
    """Wait until no other start of this job runs, and say whether one did; none begins then before this process ends.

    Jobs outlive a Snakemake that is killed on a cluster, and are submitted again by the next. The lock is a hidden file beside the
    job's log, which Snakemake removes before a start. It belongs to this process alone (a worker that is left behind has none),
    and falls with it however it ends.
    """
    handle = os.open(log.with_name(f".{log.name}.lock"), os.O_CREAT | os.O_RDWR, 0o666)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows either
        print("another start of this job is running; waiting for its end", file=sys.stderr)
        fcntl.lockf(handle, fcntl.LOCK_EX)
        return True
    except OSError as error:
        print(
            f"WARNING: {log} cannot be locked ({error}): two starts of this job would not see each other",
            file=sys.stderr,
        )
    return False


def _made_since(began: float, args: argparse.Namespace, sums: dict[str, str]) -> bool:
    """Say whether another start made this very result after a time: its provenance, written last, is of these settings, code and inputs."""
    path = getattr(args, "provenance", None)
    if path is None or not path.exists() or path.stat().st_mtime < began:
        return False
    made = json.loads(path.read_text(encoding="utf-8"))
    settings = json.loads(getattr(args, "settings", None) or "null")
    return bool((made["code"]["digest"], made["settings"], made["inputs"]) == (args.code, settings, sums))


def _remove_halves(args: argparse.Namespace) -> None:
    """Remove what a killed run of this job was writing, from the folder that belongs to this job alone."""
    if getattr(args, "provenance", None) is not None and args.provenance.name == "provenance.json":
        for half in args.provenance.parent.glob(".*.tmp"):
            half.unlink()


def _record(
    args: argparse.Namespace,
    inputs: dict[str, str],
    modules: Sequence[str],
    threads: int,
    seconds: float,
    start_up_seconds: float,
) -> None:
    imported = frozenset(sys.modules)
    from ecgpipe.workflow import provenance

    provenance.write(
        args.provenance,
        script=Path(sys.argv[0]).resolve(),
        modules=modules,
        code=args.code,
        settings=json.loads(getattr(args, "settings", None) or "null"),
        inputs=inputs,
        imported=imported,
        threads=threads,
        gpu=getattr(args, "gpu", 0),
        seconds=seconds,
        start_up_seconds=start_up_seconds,
        cpu_seconds=sum(
            used.ru_utime + used.ru_stime
            for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        ),
    )
