"""Generators, and classifiers of a user's own, imported and checked in a process of their own, before any job.

Either may be a user's own code. Whatever its import does, it raises, ends Python, or never ends, Snakemake goes on
and tells it in one sentence.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ecgpipe import plugins
from ecgpipe.generate.registry import GeneratorError, check_settings, module_of, settings_model

PATIENCE = 300.0
"""Seconds that the imports of all generators may take. Torch alone takes a minute from a cold network disk."""

_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from ecgpipe.workflow.generator_check import answer
answer(sys.argv[2], sys.argv[3])
"""


@dataclass(frozen=True)
class Asked:
    """One generator.

    Attributes:
        name: in the configuration.
        class_: dotted path of its class; None for the generator of that name in this package.
        train: its training settings: those of all datasets, and of each dataset that has its own.
        sample: its settings of sampling.
        processes: of each training, which must divide its batches.
    """

    name: str
    class_: str | None
    train: list[dict[str, Any]]
    sample: dict[str, Any]
    processes: int = 1

    @property
    def key(self) -> str:
        """The key whose value names the code."""
        return f"generator_settings.{self.name}.class" if self.class_ is not None else "generators"

    @property
    def module(self) -> str:
        """The module that is imported."""
        return module_of(self.name, self.class_)

    def faults(self) -> Iterator[str]:
        """Import the class, and hold its settings against it."""
        for train in self.train:
            try:
                check_settings(self.name, self.class_, train, self.sample)
                yield from _undivided(self, train)
            except GeneratorError as error:
                yield str(error)
            except BaseException as error:
                yield _ended(self, error)


@dataclass(frozen=True)
class AskedClassifier:
    """One classifier of a user's own.

    Attributes:
        name: in the configuration.
        class_: dotted path of its class.
        network: its own settings.
        spec: form of the signals, as JSON.
    """

    name: str
    class_: str
    network: dict[str, Any]
    spec: dict[str, Any]

    @property
    def key(self) -> str:
        """The key whose value names the code."""
        return f"classifiers.{self.name}.class"

    @property
    def module(self) -> str:
        """The module that is imported."""
        return plugins.module_of(self.class_)

    def faults(self) -> Iterator[str]:
        """Import the class, make a network of it, and look at what comes out of it."""
        from ecgpipe.classify.registry import ClassifierError, check_network, own_network
        from ecgpipe.dataset import SignalSpec

        key, spec = f"classifiers.{self.name}", SignalSpec.from_json(self.spec)
        try:
            check_network(own_network(self.class_, self.network, spec, key), spec, key)
        except ClassifierError as error:
            yield str(error)
        except BaseException as error:
            yield _ended(self, error)


def _ended(asked: Asked | AskedClassifier, error: BaseException) -> str:
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"`{asked.key}`: {_what(asked)} ended in {said}"


def faults(asked: Sequence[Asked | AskedClassifier], patience: float = PATIENCE) -> list[str]:
    """Return what is wrong with classes and their settings, one text each that names the key.

    Args:
        asked: generators and classifiers.
        patience: seconds that all of them together may take.
    """
    with tempfile.TemporaryDirectory() as folder:
        questions, answers, said = (Path(folder) / name for name in ("questions.json", "answers.jsonl", "said.txt"))
        questions.write_text(json.dumps([[type(one).__name__, asdict(one)] for one in asked]), encoding="utf-8")
        answers.touch()
        with open(said, "wb") as output:
            code = _run([json.dumps(sys.path), str(questions), str(answers)], output.fileno(), patience)
        told = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
        last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    found = [text for texts in told for text in texts]
    if len(told) < len(asked):
        guilty = asked[len(told)]
        how = f"took more than {patience:g} s" if code is None else f"ended Python (exit code {code})"
        found.append(
            f"`{guilty.key}`: {_what(guilty)} {how}"
            + (f"; the last it said was {last[0][:200]!r}" if last else "")
            + ". A module may define things when it is imported, and do nothing else"
        )
    return list(dict.fromkeys(found))


def _what(asked: Asked | AskedClassifier) -> str:
    return f"the import of {asked.module}, or the check of its settings,"


def _run(arguments: Sequence[str], output: int, patience: float) -> int | None:
    """Run :func:`answer` in a process; return its exit code, None if it took too long."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):  # with all that it has started
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answer(questions: str, answers: str) -> None:
    """Check classes one after the other, in this process; write a line with the faults of each, and end it.

    Args:
        questions: file of :class:`Asked` and :class:`AskedClassifier`, JSON.
        answers: file to append to.
    """
    kinds = {kind.__name__: kind for kind in (Asked, AskedClassifier)}
    with open(questions, encoding="utf-8") as handle:
        asked = [kinds[name](**values) for name, values in json.load(handle)]
    for one in asked:
        line = json.dumps(list(one.faults())) + "\n"
        with open(answers, "a", encoding="utf-8") as handle:
            handle.write(line)
    os._exit(0)  # threads that the code has started are not waited for


def _undivided(asked: Asked, train: dict[str, Any]) -> Iterator[str]:
    """Name batches that cannot be divided among the processes of a training."""
    from ecgpipe.generate.training import TrainingSettings

    def batches(settings: BaseModel, place: str) -> Iterator[tuple[str, int]]:
        if isinstance(settings, TrainingSettings):
            yield f"{place}.batch", settings.batch
        for name in type(settings).model_fields:
            if isinstance(inner := getattr(settings, name), BaseModel):
                if name == "draft_models" and getattr(settings, "draft", None) == "none":
                    continue  # these stages are not trained
                yield from batches(inner, f"{place}.{name}")

    model = settings_model(asked.name, asked.class_, "train")
    for key, batch in batches(model.model_validate(train), f"generator_settings.{asked.name}.train"):
        if batch % asked.processes:
            yield (
                f"`compute.processes`: batches of {batch} records (`{key}`) cannot be divided evenly among "
                f"{asked.processes} processes; change one of the two"
            )
