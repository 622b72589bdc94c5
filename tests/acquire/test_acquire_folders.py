"""A folder of one's own: all that is found there is taken, or listed with a reason; the right folder is named."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from projects import ptbxl, write_project

from ecgpipe import manifest
from ecgpipe.acquire import folder as folder_module
from ecgpipe.acquire.copying import FolderCopy
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.run import write_manifest
from ecgpipe.config import DatasetSettings, FolderSource
from ecgpipe.folders import FolderError, walk
from ecgpipe.layouts import Format
from ecgpipe.preprocess import account


def write(folder: Path, *names: str) -> None:
    """Write files whose bytes are their names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def records(folder: Path, *names: str, ends: tuple[str, str] = ("hea", "mat")) -> None:
    write(folder, *(f"{name}.{end}" for name in names for end in ends))


def sums(folder: Path, *names: str) -> None:
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()} {name}\n" for name in names]
    (folder / "SHA256SUMS.txt").write_text("".join(lines))


def copied(path: Path | str, raw: Path, format: Format = "challenge", **more: object) -> pd.DataFrame:
    source = FolderSource.model_validate({"kind": "folder", "path": str(path), **more})
    return FolderCopy(source, format, 100, raw).fetch()


def stems(table: pd.DataFrame) -> list[str]:
    return [path.removesuffix(".hea") for path in table["path"] if path.endswith(".hea")]


def passed_over(table: pd.DataFrame) -> dict[str, str]:
    return dict(table.attrs[manifest.PASSED_OVER])


# Links


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    records(tmp_path / "in", "cpsc/A1", "cpsc/A2")
    records(tmp_path / "disk", "E1", "deep/E2")
    (tmp_path / "in/georgia").symlink_to(tmp_path / "disk")
    table = copied(tmp_path / "in", tmp_path / "raw")
    assert stems(table) == ["cpsc/A1", "cpsc/A2", "georgia/E1", "georgia/deep/E2"]
    assert passed_over(table) == {}
    assert (tmp_path / "raw/georgia/deep/E2.mat").read_text() == "deep/E2.mat"


@pytest.mark.parametrize("target", [".", "..", "a", "a/b"])
def test_a_link_in_a_circle_is_told_and_not_followed(
    tmp_path: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    records(tmp_path / "in", "a/b/A1", "a/A2")
    (tmp_path / "in/a/again").symlink_to(tmp_path / "in" / target)
    table = copied(tmp_path / "in", tmp_path / "raw")
    assert stems(table) == ["a/A2", "a/b/A1"]
    circle = {} if target == ".." else {"a/again": f"a link to {target}, which is read already"}  # to the raw records
    assert passed_over(table) == circle
    assert "a/again" in caplog.text


@pytest.mark.parametrize("raw", ["in/results/raw/set", "in/set", "in/raw"])
def test_a_folder_that_holds_the_raw_records_is_not_copied_into_itself(tmp_path: Path, raw: str) -> None:
    records(tmp_path / "in", "A1", "b/A2")
    for _ in range(3):
        table = copied(tmp_path / "in", tmp_path / raw)
        assert stems(table) == ["A1", "b/A2"]


def test_many_links_to_each_other_are_read_once(tmp_path: Path) -> None:
    """Twenty folders, each with two links to the next: a million ways lead to the last."""
    for level in range(20):
        (tmp_path / f"disk/{level}").mkdir(parents=True)
        for link in "xy":
            (tmp_path / f"disk/{level}/{link}").symlink_to(tmp_path / f"disk/{level + 1}")
    records(tmp_path / "disk/20", "A1")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/0").symlink_to(tmp_path / "disk/0")
    found = walk(tmp_path / "in")
    assert list(found.files) == ["0/" + "x/" * 20 + name for name in ("A1.hea", "A1.mat")]
    assert len(found.passed_over) == 20


def test_a_folder_below_has_precedence_over_a_link_to_it(tmp_path: Path) -> None:
    records(tmp_path / "in", "z/A1")
    (tmp_path / "in/a").symlink_to(tmp_path / "in/z")
    found = walk(tmp_path / "in")
    assert list(found.files) == ["z/A1.hea", "z/A1.mat"]
    assert [tuple(entry) for entry in found.passed_over] == [("a", "a link to z, which is read already")]


def test_links_to_files_are_followed_and_those_that_lead_nowhere_are_listed(tmp_path: Path) -> None:
    """A folder of git-annex or DVC: each file is a link, and some contents were not fetched."""
    records(tmp_path / "store", "k1", "k2")
    (tmp_path / "in").mkdir()
    for name, target in (("A1.hea", "k1.hea"), ("A1.mat", "k1.mat"), ("A2.hea", "k3.hea"), ("A2.mat", "k3.mat")):
        (tmp_path / "in" / name).symlink_to(tmp_path / "store" / target)
    (tmp_path / "in/loop.hea").symlink_to(tmp_path / "in/loop.hea")
    table = copied(tmp_path / "in", tmp_path / "raw")
    assert stems(table) == ["A1"]
    assert sorted(passed_over(table)) == ["A2.hea", "A2.mat", "loop.hea"]
    rows = account.records_not_taken(table, dataset(tmp_path / "in"))
    assert [(row.record, row.reason) for row in rows] == [("A2", "not_taken"), ("loop", "not_taken")]
    assert "A2.hea: a link that leads nowhere" in rows[0].detail


def test_pipes_and_devices_are_listed_and_not_read(tmp_path: Path) -> None:
    records(tmp_path / "in", "A1")
    os.mkfifo(tmp_path / "in/A2.mat")
    (tmp_path / "in/A3.mat").symlink_to("/dev/zero")
    table = copied(tmp_path / "in", tmp_path / "raw")
    assert stems(table) == ["A1"]
    assert passed_over(table) == {"A2.mat": "no regular file", "A3.mat": "no regular file"}


def test_a_pipe_in_place_of_a_listed_file_is_named(tmp_path: Path) -> None:
    records(tmp_path / "in", "A1")
    os.mkfifo(tmp_path / "in/SHA256SUMS.txt")
    assert passed_over(copied(tmp_path / "in", tmp_path / "raw")) == {"SHA256SUMS.txt": "no regular file"}


def test_a_link_to_far_too_much_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecgpipe.folders.MOST_ENTRIES", 50)
    records(tmp_path / "in", "A1")
    records(tmp_path / "disk", *(f"x{number}" for number in range(60)))
    (tmp_path / "in/root").symlink_to(tmp_path / "disk")
    with pytest.raises(AcquireError, match="more than 50 entries, the last of them below the link root"):
        copied(tmp_path / "in", tmp_path / "raw")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    records(tmp_path / "in", "A1", "closed/A2")
    (tmp_path / "in/closed").chmod(0)
    try:
        with pytest.raises(FolderError, match=r"in/closed cannot be read: Permission denied"):
            walk(tmp_path / "in")
    finally:
        (tmp_path / "in/closed").chmod(0o700)


# Capitals


def dataset(path: Path, format: Format = "challenge", **more: object) -> DatasetSettings:
    return DatasetSettings.model_validate({"format": format, "source": {"kind": "folder", "path": str(path)}, **more})


@pytest.mark.parametrize("ends", [("HEA", "MAT"), ("Hea", "dat"), ("hea", "DAT")])
def test_endings_in_capitals_are_seen(tmp_path: Path, ends: tuple[str, str]) -> None:
    records(tmp_path / "in", "a/A1", "A2", ends=ends)
    table = copied(tmp_path / "in", tmp_path / "raw")
    end = ends[1].lower()
    assert table["path"].tolist() == sorted(["A2." + end, "A2.hea", "a/A1." + end, "a/A1.hea"])
    assert (tmp_path / "raw/a/A1.hea").read_text() == f"a/A1.{ends[0]}"


def test_a_copy_in_capitals_is_one_of_ptbxl(tmp_path: Path) -> None:
    contents = ptbxl(2)
    for path, content in contents.items():
        (tmp_path / "in" / path.upper()).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path.upper()).write_bytes(content)
    table = copied(tmp_path / "in", tmp_path / "raw", "ptbxl")
    write_project(tmp_path, "ptb-xl", "1", contents)
    assert table["path"].tolist() == copied(tmp_path / "files/ptb-xl/1", tmp_path / "raw2", "ptbxl")["path"].tolist()


def test_files_that_differ_in_capitals_are_both_accounted_for(tmp_path: Path) -> None:
    records(tmp_path / "in", "A1")
    write(tmp_path / "in", "A1.HEA", "A1.MAT")
    if len(list((tmp_path / "in").iterdir())) < 4:
        pytest.skip("this file system does not tell them apart")
    table = copied(tmp_path / "in", tmp_path / "raw")
    assert table["path"].tolist() == ["A1.hea", "A1.mat"]
    assert (tmp_path / "raw/A1.hea").read_text() == "A1.hea"
    assert passed_over(table) == {
        f"A1.{end.upper()}": f"the same as A1.{end} but for capitals" for end in ("hea", "mat")
    }


# Lists of the folder's own


def test_files_that_the_list_lacks_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records(tmp_path / "in", "A1", "A2", "A3")
    sums(tmp_path / "in", "A1.hea", "A1.mat", "A2.hea")
    table = copied(tmp_path / "in", tmp_path / "raw")
    assert table["path"].tolist() == ["A1.hea", "A1.mat", "A2.hea"]
    reason = "not in the folder's SHA256SUMS.txt"
    assert passed_over(table) == dict.fromkeys(("A2.mat", "A3.hea", "A3.mat"), reason)
    assert f"3 {reason}: A2.mat, A3.hea, A3.mat" in caplog.text
    assert [row.record for row in account.records_not_taken(table, dataset(tmp_path / "in"))] == ["A3"]
    assert account.count_passed_over(table) == {reason: 3}


def test_a_part_of_a_project_with_the_whole_list_is_taken_and_counted(tmp_path: Path) -> None:
    project = write_project(tmp_path, "ptb-xl", "1.0.3", ptbxl(5))
    for path in project.glob("records*/*/0000[45]_*"):
        path.unlink()
    table = copied(project, tmp_path / "raw", "ptbxl")
    assert len(stems(table)) == 3
    assert Counter(passed_over(table).values()) == {manifest.NOT_THERE: 4}
    assert account.records_not_taken(table, dataset(project, "ptbxl")) == []


@pytest.mark.parametrize("path", ["https://user:hqk@physionet.org/x?hqk", "s3://hqk@bucket", "file:///data"])
def test_an_address_is_no_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(AcquireError, match=r"`source\.path` .* is an address: .*`kind: physionet`") as raised:
        copied(path, tmp_path / "raw")
    assert "hqk" not in str(raised.value)


@pytest.mark.parametrize("text", [f"{'0' * 64} *a\\A1.hea\n", "no list\n", f"{'0' * 64} A1.hea", "\x00\n", ""])
def test_a_list_that_is_none_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    records(tmp_path / "in", "A1")
    (tmp_path / "in/SHA256SUMS.txt").write_text(text)
    with pytest.raises(AcquireError, match=r"in/SHA256SUMS\.txt is no whole list: .*remove it: a folder needs none"):
        copied(tmp_path / "in", tmp_path / "raw")


def test_a_list_of_other_things_is_named(tmp_path: Path) -> None:
    records(tmp_path / "in", "A1")
    write(tmp_path / "in", "set.zip")
    sums(tmp_path / "in", "set.zip")
    with pytest.raises(AcquireError, match="but 2 files that it does not list: correct the list, or remove it"):
        copied(tmp_path / "in", tmp_path / "raw")


def test_a_wrong_sum_is_told_as_of_a_folder(tmp_path: Path) -> None:
    records(tmp_path / "in", "A1")
    sums(tmp_path / "in", "A1.hea", "A1.mat")
    (tmp_path / "in/A1.mat").write_text("other")
    with pytest.raises(AcquireError, match="Put these files right in ") as raised:
        copied(tmp_path / "in", tmp_path / "raw")
    assert not {"base_url", "slug", "version"} & set(str(raised.value).replace("`", " ").split())


def test_what_is_left_out_by_choice_is_counted_as_that(tmp_path: Path) -> None:
    records(tmp_path / "in", *(f"A{number}" for number in range(5)), "other/B1")
    assert account.count_not_requested(copied(tmp_path / "in", tmp_path / "raw", limit=2)) == 4
    assert account.count_not_requested(copied(tmp_path / "in", tmp_path / "raw", records=["A0"])) == 5
    sums(tmp_path / "in", "A0.hea", "A0.mat")
    table = copied(tmp_path / "in", tmp_path / "raw", limit=2)
    limited = dataset(tmp_path / "in").model_copy(
        update={"source": FolderSource(kind="folder", path=str(tmp_path / "in"), limit=2)}
    )
    assert account.records_not_taken(table, limited) == []
    assert sum(account.count_passed_over(table).values()) == 10


def test_hidden_files_and_other_files_are_logged_and_belong_to_no_manifest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    records(tmp_path / "in", "A1")
    first = write_manifest(tmp_path / "raw", copied(tmp_path / "in", tmp_path / "raw")).read_bytes()
    write(tmp_path / "in", "._A1.hea", ".git/config", "readme.txt", "figures/a.png", "b.png")
    table = copied(tmp_path / "in", tmp_path / "raw")
    assert write_manifest(tmp_path / "raw", table).read_bytes() == first
    assert "files of no record: 2 .png, 1 .txt" in caplog.text
    assert "2 hidden: ._A1.hea, .git" in caplog.text


def test_the_account_stays_with_the_manifest(tmp_path: Path) -> None:
    records(tmp_path / "in", "A1", "A2")
    sums(tmp_path / "in", "A1.hea", "A1.mat")
    table = copied(tmp_path / "in", tmp_path / "raw")
    read = manifest.read(write_manifest(tmp_path / "raw", table))
    assert read.attrs == table.attrs
    pd.testing.assert_frame_equal(read, table)


# The wrong folder


def _ptbxl(folder: Path, *rates: str) -> None:
    for path, content in ptbxl(2).items():
        if not path.startswith("records") or path.split("/")[0] in rates:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


def _arrhythmia(folder: Path) -> None:
    records(folder, "WFDBRecords/01/010/JS00001")
    write(folder, "ConditionNames_SNOMED-CT.csv")


@pytest.mark.parametrize(
    ("path", "format", "rate", "said"),
    [
        (
            ".",
            "ptbxl",
            100,
            "ptbxl_database.csv and no scp_statements.csv; it is in {}/set-1.0.3: set the source's `path`",
        ),
        ("set-1.0.3/records100", "ptbxl", 100, "it is in {}/set-1.0.3: set"),
        ("set-1.0.3/records100/00000", "ptbxl", 100, "it is in {}/set-1.0.3: set"),
        (
            "set-1.0.3",
            "ptbxl",
            500,
            r"holds no records in records500 \(500 Hz\).* but 4 files in records100 \(100 Hz\)",
        ),
        ("set-1.0.3", "ecg_arrhythmia", 100, "it looks like format ptbxl"),
        (".", "ecg_arrhythmia", 100, "it is in {}/chapman"),
        ("chapman/WFDBRecords", "ecg_arrhythmia", 100, "it is in {}/chapman"),
        ("chapman", "ptbxl", 100, "it looks like format ecg_arrhythmia"),
        ("tables", "challenge", 100, r"holds no record of format challenge .* it holds 2 \.csv"),
        ("empty", "challenge", 100, "it holds no file;"),
        ("hidden", "challenge", 100, r"it holds no file \(passed over: 1 hidden: \.set\)"),
        ("nowhere", "challenge", 100, "there is no {}/nowhere: check the `path`"),
        ("tables/a.csv", "challenge", 100, "a.csv is a file and no folder"),
    ],
)
def test_the_folder_that_was_meant_is_named(tmp_path: Path, path: str, format: Format, rate: int, said: str) -> None:
    _ptbxl(tmp_path / "set-1.0.3", "records100")
    _arrhythmia(tmp_path / "chapman")
    write(tmp_path / "tables", "a.csv", "b.csv")
    (tmp_path / "empty").mkdir()
    records(tmp_path / "hidden", ".set/A1")
    source = FolderSource(kind="folder", path=str(tmp_path / path))
    with pytest.raises(AcquireError, match=said.format(tmp_path)) as raised:
        FolderCopy(source, format, rate, tmp_path / "raw").fetch()
    assert not {"slug", "version", "SHA256SUMS.txt"} & set(str(raised.value).replace("`", " ").split())
    assert not (tmp_path / "raw").exists()


def test_where_the_records_of_a_challenge_lie_is_named(tmp_path: Path) -> None:
    records(tmp_path / "in", "training/georgia/g1/E1")
    source = FolderSource(kind="folder", path=str(tmp_path / "in"))
    with pytest.raises(AcquireError, match="below `folder` georgia; its records are in training/georgia/g1"):
        FolderCopy(source, "challenge", 100, tmp_path / "raw", "georgia").fetch()


def test_the_home_of_nobody_is_told() -> None:
    with pytest.raises(AcquireError, match=r"`source\.path` '~nouser9/x': this machine has no such user"):
        folder_module.scan(FolderSource(kind="folder", path="~nouser9/x"), "challenge", 100, None, Path("raw"))
