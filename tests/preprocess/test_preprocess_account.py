"""From a folder of one's own to a dataset: whatever was found is kept, or listed with a reason, or counted."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ecgpipe.acquire.run import acquire
from ecgpipe.closeness.reading import read_records
from ecgpipe.config import DatasetSettings, Preprocess, SignalSettings, SimulatedSource
from ecgpipe.files import read_json
from ecgpipe.preprocess.run import preprocess
from ecgpipe.simulator.run import simulate


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty simulated records, each a header and a ``.mat`` file, in one folder."""
    folder, flat = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("flat")
    simulate(SimulatedSource(kind="simulated", records=40, seed=11), "ecg_arrhythmia", 100, folder / "set")
    for path in (folder / "set").rglob("JS*"):
        shutil.copy(path, flat)
    return flat


def _prepared(folder: Path, out: Path, **more: object) -> tuple[dict[str, object], pd.DataFrame, pd.DataFrame]:
    source = {"kind": "folder", "path": str(folder), **more}
    dataset = DatasetSettings.model_validate({"format": "challenge", "source": source})
    manifest = acquire(dataset, SignalSettings(), out / "raw/set")
    done = out / "data"
    preprocess(out / "raw/set", manifest, dataset, SignalSettings(), Preprocess(), done, source_name="set", workers=1)
    tables = (pd.read_parquet(done / name) for name in ("records.parquet", "excluded.parquet"))
    return read_json(done / "summary.json"), *tables


def _whole(made: Path, tmp_path: Path) -> set[str]:
    _, records, excluded = _prepared(made, tmp_path / "whole")
    return {*records["record"], *excluded["record"]}


def test_every_record_of_a_mixed_folder_is_accounted_for(made: Path, tmp_path: Path) -> None:
    folder, disk = tmp_path / "in", tmp_path / "disk"
    disk.mkdir()
    shutil.copytree(made, folder)
    names = sorted(path.stem for path in folder.glob("*.hea"))
    for name in names[:5]:  # in a linked folder
        for end in ("hea", "mat"):
            (folder / f"{name}.{end}").rename(disk / f"{name}.{end}")
    (folder / "linked").symlink_to(disk)
    for name in names[5:8]:  # in capitals, as are the names in the header
        header = (folder / f"{name}.hea").read_text().replace(f"{name}.mat", f"{name}.MAT")
        (folder / f"{name}.hea").unlink()
        (folder / f"{name}.HEA").write_text(header)
        (folder / f"{name}.mat").rename(folder / f"{name}.MAT")
    for end in ("hea", "mat"):  # contents that were not fetched
        (folder / f"{names[8]}.{end}").unlink()
        (folder / f"{names[8]}.{end}").symlink_to("nowhere")
    summary, records, excluded = _prepared(folder, tmp_path / "out")
    assert {*records["record"], *excluded["record"]} == set(names) == _whole(made, tmp_path)
    assert {*names[:8]} <= {*records["record"], *excluded.loc[excluded["reason"] != "missing_data", "record"]}
    assert excluded.loc[excluded["reason"] == "not_taken", "record"].tolist() == [names[8]]
    assert summary["passed_over"] == {"a link that leads nowhere (No such file or directory)": 2}


def test_records_that_a_list_lacks_are_excluded_rows(made: Path, tmp_path: Path) -> None:
    import hashlib

    shutil.copytree(made, tmp_path / "in")
    files = sorted((tmp_path / "in").iterdir())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.name}\n" for path in files[:60]]
    (tmp_path / "in/SHA256SUMS.txt").write_text("".join(sums))
    summary, records, excluded = _prepared(tmp_path / "in", tmp_path / "out")
    assert len(records) + len(excluded) == 40
    assert (excluded["reason"] == "not_taken").sum() == 10
    assert summary["passed_over"] == {"not in the folder's SHA256SUMS.txt": 20}
    assert summary["not_requested"] == 0


def test_records_left_out_by_choice_are_counted(made: Path, tmp_path: Path) -> None:
    summary, records, excluded = _prepared(made, tmp_path / "out", limit=30)
    assert (len(records) + len(excluded), summary["not_requested"]) == (30, 10)


def test_closeness_reads_linked_folders_and_headers_in_capitals(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = sorted(path.stem for path in made.glob("*.hea"))[:3]
    (tmp_path / "in").mkdir()
    (tmp_path / "disk").mkdir()
    for name, place, end in ((names[0], "in", ".hea"), (names[1], "disk", ".hea"), (names[2], "in", ".HEA")):
        shutil.copy(made / f"{name}.hea", tmp_path / place / f"{name}{end}")
        shutil.copy(made / f"{name}.mat", tmp_path / place)
    (tmp_path / "in/there").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/back").symlink_to(tmp_path / "in")
    caplog.set_level(logging.WARNING)
    records = read_records(tmp_path / "in", 100, 10)
    assert sorted(map(records.name, range(3))) == sorted([names[0], f"there/{names[1]}", names[2]])
    assert "there/back" in caplog.text
