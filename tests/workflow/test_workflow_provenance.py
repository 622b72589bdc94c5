"""Beside every artefact stands what made it, and the code it declares is the code it ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from checkout import Checkout

from ecgpipe.files import sha256
from ecgpipe.workflow import code_digest, provenance

ROOT = Path(__file__).resolve().parents[2]
in_workflow = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

MADE = [
    "raw/demo_ptbxl.provenance.json",
    *(
        f"{folder}/provenance.json"
        for folder in (
            "data/demo_ptbxl",
            "data/demo_merged",
            "generators/demo_chapman/diffwave",
            "samples/demo_ptbxl/diffwave",
            "samples/demo_merged/diffwave",
            "classifiers/demo_ptbxl/real",
            "classifiers/demo_ptbxl/diffwave/augmentation",
            "classifiers/demo_ptbxl/diffwave/transfer",
            "closeness/demo_ptbxl/diffwave",
            "closeness/demo_ptbxl",
            "report",
        )
    ),
    "tables/closeness.provenance.json",
    "tables/tables.provenance.json",
]


@pytest.mark.parametrize("name", MADE)
class TestFinishedStudy:
    pytestmark = in_workflow

    def test_provenance_says_what_made_it(self, finished: Checkout, name: str) -> None:
        made = json.loads((finished.folder / "results" / name).read_text())
        assert made["code"]["parts"] == code_digest.parts(
            finished.folder / "workflow_scripts" / f"{made['job']}.py", made["code"]["by_name"]
        )
        assert bool(made["inputs"]) == (made["job"] != "acquire")
        for path, digest in made["inputs"].items():
            assert sha256(finished.folder / path) == digest, path
        assert made["versions"]["pandas"]
        assert made["device"] in ("CPU, threads 1", "CPU, threads 2")
        assert made["seconds"] > 0

    def test_what_is_imported_is_declared(self, finished: Checkout, name: str) -> None:
        job = json.loads((finished.folder / "results" / name).read_text())["job"]
        logs = [p for p in finished.folder.glob("results/logs/**/*.log") if f"/{job}.py" in p.read_text()]
        assert logs
        for path in logs:
            assert "not part of the code digest" not in path.read_text()
            assert "the code was edited" not in path.read_text()


def test_an_undeclared_import_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    script = ROOT / "workflow_scripts" / "merge.py"
    imported = ["ecgpipe.preprocess.run", "ecgpipe.classify.cnn", "numpy", "json"]
    assert provenance.undeclared(script, [], imported) == ["ecgpipe.classify.cnn"]
    provenance.write(
        tmp_path / "provenance.json",
        script=script,
        modules=[],
        code="0" * 16,
        settings={"seed": 7},
        inputs={},
        outputs={},
        imported=imported,
        threads=1,
        gpu=0,
        seconds=1.0,
        start_up_seconds=0.5,
        cpu_seconds=1.0,
    )
    assert "ecgpipe.classify.cnn" in caplog.text
    assert "the code was edited" in caplog.text
    assert json.loads((tmp_path / "provenance.json").read_text())["seed"] == 7
