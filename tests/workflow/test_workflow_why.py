"""``ecgpipe why`` names the difference that makes a job run again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ENVIRONMENT, Checkout

from ecgpipe.workflow.pending import DryRunError, pending
from ecgpipe.workflow.why import differences

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]


def _why(checkout: Checkout) -> str:
    command = [sys.executable, "-m", "ecgpipe", "why", "all", "--configfile", checkout.config]
    return subprocess.run(
        command, cwd=checkout.folder, env=ENVIRONMENT, text=True, capture_output=True, check=True
    ).stdout


def test_a_finished_study_has_nothing_to_do(finished: Checkout) -> None:
    assert _why(finished).startswith("Nothing would run")


def test_edits_are_named(checkout: Checkout) -> None:
    checkout.edit("configs/tiny.yaml", "steps: 6", "steps: 7")
    checkout.edit("configs/tiny.yaml", "bootstrap: 100", "bootstrap: 101")
    checkout.edit("ecgpipe/generate/samplers.py", "\n\n\ndef ", "\n\n\nEDITED = 1\n\n\ndef ")
    (checkout.folder / "results/classifiers/demo_ptbxl/real/predictions.parquet").unlink()
    said = _why(checkout)
    generate = said[said.index("generate (2)") :].split("\n\n")[0]
    assert "demo_chapman/diffwave, demo_ptbxl/diffwave" in generate
    assert "code edited: ecgpipe.generate.samplers" in generate
    assert "setting generator_settings.diffwave.train.steps: 6 -> 7" in generate
    assert "setting statistics.bootstrap: 100 -> 101" in said[said.index("result_tables") :]
    assert "classify_real: demo_ptbxl\n    because its results are not there" in said
    assert "classify_transfer (3)" in said[said.index("because they use what") - 400 :]


def test_a_wrong_config_is_told(tmp_path: Path, finished: Checkout) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("datasets: []\n")
    with pytest.raises(DryRunError, match="dataset_settings"):
        pending(["--configfile", str(wrong)], finished.folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ["a.b: 1 -> 2"]),
        ({"a": 1}, {"b": 1}, ["a: no longer 1", "b: now 1"]),
        ([1], [1, 2], ["settings: [1] -> [1, 2]"]),
        ({"a": 1}, {"a": 1}, []),
        ({"a": "x" * 90}, {"a": None}, [f"a: '{'x' * 56}... -> None"]),
    ],
)
def test_differences(old: object, new: object, said: list[str]) -> None:
    assert list(differences(old, new)) == said
