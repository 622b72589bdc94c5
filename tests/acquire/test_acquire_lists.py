"""Lists that were cut short, or written in another way, lose no record."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from physionet_server import PhysioNetServer
from projects import QUICK, ptbxl, source, true_files, wanted, write_project

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.physionet import Download


def _ptbxl_with_tables(records: int) -> dict[str, bytes]:
    """Return a project whose tables name its records, in a list whose last lines are records."""
    contents = ptbxl(records)
    names = sorted(path.removesuffix(".hea") for path in contents if path.endswith(".hea"))
    contents["RECORDS"] = "".join(f"{name}\n" for name in names).encode()
    pairs = zip(names[:records], names[records:], strict=True)
    rows = "".join(f"{k},{low},{high}\n" for k, (low, high) in enumerate(pairs))
    contents["ptbxl_database.csv"] = f"ecg_id,filename_lr,filename_hr\n{rows}".encode()
    return contents


def _arrhythmia_with_tables(folders: int) -> dict[str, bytes]:
    contents = {"ConditionNames_SNOMED-CT.csv": b"x"}
    for folder in range(folders):
        names = [f"JS{folder * 4 + k:05d}" for k in range(4)]
        for name in names:
            contents |= {f"WFDBRecords/01/{folder:03d}/{name}.{end}": name.encode() for end in ("hea", "mat")}
        contents[f"WFDBRecords/01/{folder:03d}/RECORDS"] = "\n".join(names).encode()
    contents["RECORDS"] = "".join(f"WFDBRecords/01/{folder:03d}/\n" for folder in range(folders)).encode()
    return contents


@pytest.mark.parametrize("transport", ["files", "zip"])
@pytest.mark.parametrize("format", ["ptbxl", "ecg_arrhythmia"])
def test_no_cut_of_a_list_is_accepted(tmp_path: Path, format: str, transport: str) -> None:
    contents = _ptbxl_with_tables(4) if format == "ptbxl" else _arrhythmia_with_tables(4)
    project = write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    whole = (project / "SHA256SUMS.txt").read_bytes()
    lines = [place + 1 for place, byte in enumerate(whole) if byte == 0x0A]
    rng = np.random.default_rng(1)
    cuts = [*lines[:-1], *(line - 1 for line in lines), *map(int, rng.integers(1, len(whole) - 1, 40))]
    kept = source(tmp_path, transport=transport)
    if transport == "zip":
        kept = source(tmp_path / "mine.zip", transport="zip")
    for cut in cuts:
        (project / "SHA256SUMS.txt").write_bytes(whole[:cut])
        if transport == "zip":
            with zipfile.ZipFile(tmp_path / "mine.zip", "w") as packed:
                for file in project.rglob("*.*"):
                    packed.write(file, file.relative_to(project))
                packed.write(project / "RECORDS", "RECORDS")
        with pytest.raises(AcquireError):
            Download(kept, format, 100, tmp_path / "raw", policy=QUICK).fetch()  # type: ignore[arg-type]
    (project / "SHA256SUMS.txt").write_bytes(whole)
    Download(source(tmp_path), format, 100, tmp_path / "raw", policy=QUICK).fetch()  # type: ignore[arg-type]


def test_what_a_cut_list_lacks_is_named(tmp_path: Path) -> None:
    contents = _ptbxl_with_tables(4)
    project = write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    lines = (project / "SHA256SUMS.txt").read_text().splitlines(keepends=True)
    (project / "SHA256SUMS.txt").write_text("".join(line for line in lines if "00004_lr" not in line))
    with pytest.raises(AcquireError, match=r"lacks 1 of the records .*records100/00000/00004_lr.*cut short"):
        Download(source(tmp_path), "ptbxl", 100, tmp_path / "raw").fetch()
    some = source(tmp_path, records=["00001"])  # what is named is there
    assert len(Download(some, "ptbxl", 100, tmp_path / "raw").fetch()) == 6


def test_two_joined_lines_of_records_raise_no_alarm(tmp_path: Path) -> None:
    contents = _ptbxl_with_tables(4)
    contents["RECORDS"] = contents["RECORDS"].replace(b"_lr\nrecords500", b"_lrrecords500")
    write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    Download(source(tmp_path), "ptbxl", 100, tmp_path / "raw").fetch()


@pytest.mark.parametrize("change", ["{} ", "{}\t", "{}\r", "{} \r"])
def test_blanks_and_returns_at_the_ends_of_lines_lose_no_record(tmp_path: Path, change: str) -> None:
    contents = ptbxl(3)
    project = write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    lines = (project / "SHA256SUMS.txt").read_text().splitlines()
    (project / "SHA256SUMS.txt").write_bytes("".join(change.format(line) + "\n" for line in lines).encode())
    Download(source(tmp_path), "ptbxl", 100, tmp_path / "raw").fetch()
    assert true_files(tmp_path / "raw", contents) == set(wanted(contents))


def test_capitals_in_a_list_lose_no_record(tmp_path: Path) -> None:
    contents = ptbxl(3)
    write_project(tmp_path, "ptb-xl", "1.0.3", {path.upper(): content for path, content in contents.items()})
    with PhysioNetServer(tmp_path) as server:
        manifest = Download(source(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert manifest["path"].tolist() == sorted(wanted(contents))
    assert true_files(tmp_path / "raw", contents) == set(wanted(contents))
