"""``ecgpipe bundle`` and ``ecgpipe blind make``: what a finished run gives to others, and what it keeps."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rocrate.rocrate import ROCrate

from ecgpipe.blind.scoring import score
from ecgpipe.bundle import PROFILES, write_ro_crate
from ecgpipe.cli.app import main
from ecgpipe.config import Config, canonical, validate
from ecgpipe.dataset import Dataset
from ecgpipe.files import read_json, write_json, write_text
from ecgpipe.report import packing

LICENCE = "https://spdx.org/licenses/MIT"


@pytest.fixture(scope="module")
def finished(results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder whose results have what jobs write beside them."""
    folder = tmp_path_factory.mktemp("study")
    root = shutil.copytree(results.root, folder / "results")
    spec = Dataset.load(root / "data" / "a").spec
    facts = {"class": "x:Gen", "settings": {}, "signals": spec.to_json(), "training_records": {"SR": 3}}
    write_json(root / "generators" / "a" / "gen" / "model.json", facts)
    (root / "generators" / "a" / "gen" / "model.safetensors").write_bytes(b"weights")
    settings = json.loads(canonical(results.config))
    for second, place in enumerate(("data/a", "samples/a/gen", "generators/a/gen", "tables", "report")):
        made = {
            "settings": settings if place == "report" else {},
            "seconds": 5.0,
            "seed": 1,
            "device": "CPU",
            "code": {"digest": "abc"},
            "versions": {"torch": "2"},
        }
        write_json(root / place / "provenance.json", {**made, "ended": f"2026-01-02T03:04:1{second}+00:00"})
        write_text(root / place / "SHA256SUMS", "")
    write_json(root / "raw" / "a.provenance.json", {"seconds": 60.0, "ended": "2026-01-02T03:00:00+00:00"})
    return folder


@pytest.fixture(scope="module")
def archive(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "run.zip"
    write_ro_crate(finished, path, licence=LICENCE, author="Anna Example")
    return path


@pytest.fixture(scope="module")
def unpacked(archive: Path) -> Path:
    folder = archive.parent / "unpacked"
    with zipfile.ZipFile(archive) as found:
        found.extractall(folder)
    return folder


def test_a_crate_that_rocrate_reads_describes_every_file_and_the_run(archive: Path, unpacked: Path) -> None:
    crate = ROCrate(archive)
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    described = {entity.id for entity in crate.data_entities}
    assert files - described == {"ro-crate-metadata.json"}
    assert described <= files
    assert {profile.id for profile in crate.root_dataset["conformsTo"]} == {url for url, _, _ in PROFILES}
    workflow, (action,) = crate.mainEntity, [e for e in crate.get_entities() if e.type == "CreateAction"]
    assert workflow.id == "workflow/Snakefile"
    assert {"File", "SoftwareSourceCode", "ComputationalWorkflow"} == set(workflow.type)
    assert {part.id for part in workflow["hasPart"]} == {name for name in files if name.startswith("workflow/rules/")}
    assert action["instrument"] == workflow
    assert crate.root_dataset["mentions"] == action
    assert action["object"].id == "config.yaml"
    assert {"report/index.html", "report/tables/summary.parquet", "cards/models/a/gen.md"} <= {
        entity.id for entity in action["result"]
    }
    assert (action["startTime"], action["endTime"]) == ("2026-01-02T02:59:00+00:00", "2026-01-02T03:04:14+00:00")
    assert action["agent"]["name"] == "Anna Example"
    versions = {entity["name"]: entity["softwareVersion"] for entity in workflow["softwareRequirements"]}
    assert {"python", "ecgpipe", "snakemake", "torch"} <= set(versions)


def test_a_crate_of_a_crate_is_the_same(archive: Path, unpacked: Path, tmp_path: Path) -> None:
    ROCrate(archive).write(tmp_path / "again")
    first, again = (read_json(folder / "ro-crate-metadata.json") for folder in (unpacked, tmp_path / "again"))
    assert sorted(map(json.dumps, again["@graph"])) == sorted(map(json.dumps, first["@graph"]))


def test_the_configuration_that_ran_is_in_it(unpacked: Path, results: Any) -> None:
    assert validate(yaml.safe_load((unpacked / "config.yaml").read_text())) == results.config
    assert (unpacked / "constraints.txt").exists()
    names = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    assert {"cards/datasets/a.md", "cards/samples/a/gen.md", "provenance/raw/a.provenance.json"} <= names


def test_no_signal_is_in_it_and_it_says_so(unpacked: Path, finished: Path) -> None:
    allowed = {".md", ".json", ".yaml", ".txt", ".smk", ".html", ".parquet", ".csv", ".tex", ".bib", ".svg", ".pdf", ""}
    files = [path for path in unpacked.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= allowed
    assert not [path for path in files if path.name.startswith("blind")]
    page = (unpacked / "report" / "index.html").read_text()
    assert 'id="ecg-data"' not in page
    assert "This copy of the report shows no records" in page
    real = Dataset.load(finished / "results" / "data" / "a")
    assert packing.pack(np.asarray(real.signals[0]), 0.01)["data"][:200] not in page
    for text in ((unpacked / "README.md").read_text(), ROCrate(unpacked).description):
        assert "No signals are in this bundle" in text


def _ends(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say how to bundle: --ro-crate"),
        (["--ro-crate", "--out", "x.tar"], "x.tar must end in .zip"),
        (["--ro-crate", "--license", "MIT"], "'MIT' is no address"),
        (["--ro-crate", "--results", "nowhere"], "nowhere holds no finished study"),
    ],
)
def test_what_cannot_be_bundled_is_told(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _ends("bundle", *words) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_the_folder_for_readers_holds_no_key_and_can_be_scored(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _ends("blind", "make", "--results", finished, "--each", 1, "--seed", 5, "--out", "readers") == 0
    said = capsys.readouterr().out
    assert "--key readers_key.json" in said
    assert [path.name for path in Path("readers").iterdir()] == ["blind.html"]
    key = read_json(Path("readers_key.json"))
    assert f"shows {len(key['items'])} ECGs" in said
    assert sum(not item["real"] for item in key["items"].values()) == 3  # one of each of the three rhythms
    answers = [{"item": n, "verdict": "real", "rhythm": i["rhythm"]} for n, i in key["items"].items()]
    found = {"format": "ecgpipe blind answers 1", "test": key["test"], "reader": "anna", "answers": answers}
    write_json(Path("anna.json"), found)
    assert len(score([Path("anna.json")], Path("readers_key.json"), 0.95).scores)
    assert _ends("blind", "make", "--results", finished, "--out", "readers") == 2
    assert "readers is there already" in capsys.readouterr().err
    assert _ends("blind", "make", "--results", finished, "--each", 1, "--seed", 6, "--out", "others") == 0
    assert read_json(Path("others_key.json"))["test"] != key["test"]


def test_a_run_without_samples_has_no_blind_test(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(finished, tmp_path / "study")
    shutil.rmtree(folder / "results" / "samples")
    assert _ends("blind", "make", "--results", folder, "--out", tmp_path / "out") == 2
    assert "has no synthetic ECGs: run the study first" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert isinstance(validate(read_json(folder / "results/report/provenance.json")["settings"]), Config)
