"""Folders as the world hands them in, a row each: what is read, what is told, and what the message names."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from ecgpipe import manifest
from ecgpipe.acquire.copying import FolderCopy
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.run import acquire
from ecgpipe.config import DatasetSettings, FolderSource, SignalSettings
from ecgpipe.layouts import Format
from ecgpipe.preprocess import account


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def records(folder: Path, *names: str) -> None:
    write(folder, *(f"{name}.{end}" for name in names for end in ("hea", "mat")))


def ptbxl(folder: Path, *numbers: int, rows: int = 6) -> None:
    records(folder / "records100" / "00000", *(f"{number:05d}_lr" for number in numbers))
    write(folder, "scp_statements.csv")
    lines = [f"records100/00000/{n:05d}_lr,records500/00000/{n:05d}_hr" for n in range(1, rows + 1)]
    (folder / "ptbxl_database.csv").write_text("\n".join(["filename_lr,filename_hr", *lines]) + "\n")


def copied(path: Path | str, raw: Path, format: Format = "challenge", **more: object) -> pd.DataFrame:
    source = FolderSource.model_validate({"kind": "folder", "path": str(path), **more})
    return FolderCopy(source, format, 100, raw).fetch()


def taken(table: pd.DataFrame) -> list[str]:
    return sorted(path.removesuffix(".hea") for path in table["path"] if path.endswith(".hea"))


# B. What is found is taken, or told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cohort2.zip", "1 .zip"),
        ("cohort3.tar.gz", "1 .gz"),
        ("A2.hea.gz", "1 .gz"),
        ("muse.XML", "1 .xml"),
        ("A2.edf", "1 .edf"),
        ("dicom/1.dcm", "1 .dcm"),
        ("signals.npy", "1 .npy"),
        ("readme.txt", ""),
        ("Thumbs.db", ""),
        ("__MACOSX/._A1.hea", ""),
        ("A1.hea~", ""),
    ],
)
def test_what_may_hold_records_and_is_not_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, told: str
) -> None:
    records(tmp_path / "in", "A1")
    write(tmp_path / "in", name)
    assert taken(copied(tmp_path / "in", tmp_path / "raw")) == ["A1"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [f"not read: {told}; unpack archives" in line for line in warnings] == [True] * bool(told)


def _challenge(folder: Path) -> None:
    records(folder, "A1", "A2")
    (folder / "RECORDS").write_text("A1\nA2\nA3\n")


@pytest.mark.parametrize(
    ("make", "format", "missing"),
    [
        (lambda folder: ptbxl(folder, 1, 2, 3, 5), "ptbxl", ["records100/00000/00004_lr", "records100/00000/00006_lr"]),
        (lambda folder: ptbxl(folder, 1, 2, rows=2), "ptbxl", []),
        (_challenge, "challenge", ["A3"]),
    ],
)
def test_a_copy_that_was_cut_off_is_told(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[Path], None],
    format: Format,
    missing: list[str],
) -> None:
    make(tmp_path / "in")
    table = copied(tmp_path / "in", tmp_path / "raw", format)
    assert table.attrs[manifest.PASSED_OVER] == [[name, manifest.NAMED] for name in missing]
    assert (manifest.NAMED in caplog.text) == bool(missing)
    assert copied(tmp_path / "in", tmp_path / "raw2", format, limit=1) is not None


def test_records_that_are_asked_for_by_name_are_all_that_is_missed(tmp_path: Path) -> None:
    ptbxl(tmp_path / "in", 1, 2)
    table = copied(tmp_path / "in", tmp_path / "raw", "ptbxl", records=["00001"])
    assert table.attrs[manifest.PASSED_OVER] == []


def test_a_flat_copy_of_ptbxl_lacks_nothing(tmp_path: Path) -> None:
    ptbxl(tmp_path / "in", 1, 2, rows=2)
    for path in (tmp_path / "in" / "records100" / "00000").iterdir():
        path.rename(tmp_path / "in" / "records100" / path.name)
    table = copied(tmp_path / "in", tmp_path / "raw", "ptbxl")
    assert taken(table) == ["records100/00001_lr", "records100/00002_lr"]
    assert table.attrs[manifest.PASSED_OVER] == []


def test_headers_in_other_places_are_listed(tmp_path: Path) -> None:
    ptbxl(tmp_path / "in", 1, rows=1)
    records(tmp_path / "in", "records100/00000/extra", "ours/B1", "records500/00000/00001_hr")
    table = copied(tmp_path / "in", tmp_path / "raw", "ptbxl")
    settings = DatasetSettings.model_validate({"format": "ptbxl", "source": {"kind": "folder", "path": "unused"}})
    left = account.records_not_taken(table, settings)
    assert sorted(row.record for row in left) == ["B1", "extra"]
    assert "those lie as records100/00000/00001_lr.hea" in left[0].detail


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"limit": 2}, ["p1/ecg", "p2/ecg"]),
        ({"records": ["p2/ecg", "p3/ecg"]}, ["p2/ecg", "p3/ecg"]),
        ({}, ["p1/ecg", "p2/ecg", "p3/ecg"]),
    ],
)
def test_records_of_one_name_are_chosen_one_by_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, choice: dict[str, object], found: list[str]
) -> None:
    records(tmp_path / "in", "p1/ecg", "p2/ecg", "p3/ecg")
    table = copied(tmp_path / "in", tmp_path / "raw", **choice)
    assert taken(table) == found
    assert table.attrs[manifest.NOT_REQUESTED] == 3 - len(found)
    assert caplog.messages == []


def test_a_record_of_several_data_files_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "in", "A1.hea", "A1_1.dat", "A1_2.dat", "A2.hea", "A2_1.dat")
    table = copied(tmp_path / "in", tmp_path / "raw", limit=1)
    assert list(table["path"]) == ["A1.hea", "A1_1.dat", "A1_2.dat"]
    assert caplog.messages == []


@pytest.mark.parametrize("form", ["{sum}  ./{name}\n", "{sum} *{name}\r\n", "{SUM} {name}\n"])
@pytest.mark.parametrize("name", ["SHA256SUMS.txt", "sha256sums.txt"])
def test_lists_of_other_programs_are_read(tmp_path: Path, form: str, name: str) -> None:
    records(tmp_path / "in", "A1", "A2")
    lines = []
    for path in sorted((tmp_path / "in").iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append(form.format(sum=digest, SUM=digest.upper(), name=path.name))
    (tmp_path / "in" / name).write_bytes("".join(lines).encode())
    assert taken(copied(tmp_path / "in", tmp_path / "raw")) == ["A1", "A2"]
    (tmp_path / "in" / "A2.mat").write_text("damaged")
    with pytest.raises(AcquireError, match=r"A2\.mat: expected SHA-256"):
        copied(tmp_path / "in", tmp_path / "raw2")


@pytest.mark.parametrize("name", ["Übung Nr 1/Ä1", "a;b'c/X1", "d#e%20f/Y$1", "Z(1)"])
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    records(tmp_path / "in", name)
    assert taken(copied(tmp_path / "in", tmp_path / "raw")) == [name]


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    records(tmp_path / "in", "A1", "A2")
    place = os.fsencode(tmp_path / "in")
    os.rename(place + b"/A1.hea", place + b"/M\xfcller.hea")
    with pytest.raises(AcquireError, match="cannot stand in a list of files; rename"):
        copied(tmp_path / "in", tmp_path / "raw")


# G. Where nothing is


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("{}/geo.zip", "geo.zip is an archive: unpack it, and set"),
        ("{}/geo/g1/E1.hea", "E1.hea is a file and no folder: set the source's `path` to the folder that holds"),
        ("{}/geo ", "has blanks or quotes around it; set `path` to {}/geo"),
        ('"{}/geo"', "has blanks or quotes around it; set `path` to {}/geo"),
        ("$DATA/geo", "variables are not replaced in `path` '$DATA/geo'"),
        ("%DATA%/geo", "variables are not replaced"),
        ("C:\\data\\geo", "is one of Windows"),
        ("{}/Geo/g1", "did you mean {}/geo?"),
        ("{}/none/g1", "there is no {}/none/g1: check the `path`"),
        ("{}/zips", "it holds 1 .zip: unpack it"),
    ],
)
def test_what_was_probably_meant_is_named(tmp_path: Path, path: str, said: str) -> None:
    records(tmp_path / "geo", "g1/E1")
    (tmp_path / "zips").mkdir()
    for name in ("geo.zip", "zips/a.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("E1.hea", "x")
    with pytest.raises(AcquireError) as raised:
        copied(path.replace("{}", str(tmp_path)), tmp_path / "raw")
    assert said.replace("{}", str(tmp_path)) in str(raised.value)


@pytest.mark.parametrize(
    ("format", "said"),
    [("ptbxl", "which format ptbxl needs, but 2 headers"), ("ecg_arrhythmia", "needs, but 2 headers")],
)
def test_a_challenge_folder_of_another_format_is_told(tmp_path: Path, format: Format, said: str) -> None:
    records(tmp_path / "in", "g1/E1", "g1/E2")
    with pytest.raises(AcquireError, match=said) as raised:
        copied(tmp_path / "in", tmp_path / "raw", format)
    assert "`format: challenge` reads" in str(raised.value)


def test_arrhythmia_without_its_folder_of_records_is_told(tmp_path: Path) -> None:
    records(tmp_path / "in", "01/010/JS00001")
    write(tmp_path / "in", "ConditionNames_SNOMED-CT.csv")
    with pytest.raises(AcquireError, match="none of them lies below WFDBRecords"):
        copied(tmp_path / "in", tmp_path / "raw", "ecg_arrhythmia")


def test_ptbxl_read_as_a_challenge_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ptbxl(tmp_path / "in", 1)
    copied(tmp_path / "in", tmp_path / "raw")
    assert "has PTB-XL's table, which only `format: ptbxl` reads" in caplog.text


@pytest.mark.parametrize(
    ("base", "slug", "said"),
    [
        ("{}/mirror", "ptbxl", "{}/mirror/files holds ptb-xl; check `slug`"),
        ("{}/copy", "ptb-xl", "such a copy is `source: {kind: folder, path: {}/copy}`"),
        ("physionet.org", "ptb-xl", "did you mean `base_url: https://physionet.org`?"),
        ("mirror.example.org:8080/data", "ptb-xl", "did you mean `base_url: https://mirror.example.org:8080/data`?"),
        ("https://h.invalid/files/ptb-xl/1.0.3/", "ptb-xl", "leave out /files/ptb-xl/1.0.3, which is added"),
        ("{}/nowhere", "ptb-xl", "there is no {}/nowhere/files/ptb-xl/1.0.3"),
    ],
)
def test_the_base_url_that_was_meant_is_named(tmp_path: Path, base: str, slug: str, said: str) -> None:
    ptbxl(tmp_path / "mirror" / "files" / "ptb-xl" / "1.0.3", 1)
    write(tmp_path / "mirror" / "files" / "ptb-xl" / "1.0.3", "SHA256SUMS.txt")
    ptbxl(tmp_path / "copy", 1)
    source = {"kind": "physionet", "slug": slug, "version": "1.0.3", "base_url": base.replace("{}", str(tmp_path))}
    settings = DatasetSettings.model_validate({"format": "ptbxl", "source": source})
    with pytest.raises(AcquireError) as raised:
        acquire(settings, SignalSettings(), tmp_path / "raw")
    assert said.replace("{}", str(tmp_path)) in str(raised.value)
