"""A blind test for readers: a folder with its page, and the key beside the folder."""

from __future__ import annotations

from pathlib import Path

from ecgpipe.config import validate
from ecgpipe.files import read_json
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.run import write_blind_test
from ecgpipe.runs import finished
from ecgpipe.workflow.layout import Layout

PAGE = "blind.html"


class MakingError(Exception):
    """A blind test that cannot be made; the message says what to do."""


def make(folder: str | Path, out: str | Path, *, each: int, seed: int | None) -> tuple[int, Path, Path]:
    """Make a blind test of a finished run's real and synthetic ECGs.

    Args:
        folder: a study's folder, or its folder of results.
        out: folder to make. The key is written beside it, so that the folder can be given away as it is.
        each: synthetic ECGs of each generator and rhythm.
        seed: decides which ECGs are shown, and in which order; the study's if not given.

    Returns:
        The number of its ECGs, the page and the key.

    Raises:
        RunError: if there is no finished run.
        ConfigError: if its configuration is not one of this version of ecgpipe.
        MakingError: if the folder is there already, or the run has no synthetic ECGs.
    """
    out, results = Path(out), finished(Path(folder))
    key = out.with_name(f"{out.resolve().name}_key.json")
    if taken := next((path for path in (out, key) if path.exists()), None):
        raise MakingError(f"{taken} is there already: name another folder with --out, or remove it")
    config = validate(read_json(results / "report" / "provenance.json")["settings"])
    study = Layout(config)
    data = {name: results / "data" / name for name in study.datasets}
    samples = {(dataset, name): results / "samples" / dataset / name for dataset, name in study.cells}
    inputs = Inputs(config, results / "tables", data, samples, {}, None)
    if not inputs.drawn:
        raise MakingError(f"{results} has no synthetic ECGs: run the study first")
    return write_blind_test(inputs, out / PAGE, key, each=each, seed=seed), out / PAGE, key
