"""Archives: what is kept is keyed by what it is of, and damage is mended or named."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from physionet_server import PhysioNetServer
from projects import FIRST, QUICK, ptbxl, source, true_files, wanted, write_project

from ecgpipe.acquire import listing
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.mirror import partial_path
from ecgpipe.acquire.physionet import Download
from ecgpipe.acquire.sources import download_path
from ecgpipe.config import PhysioNetSource

ARCHIVE = "content/ptb-xl/get-zip/{}/"


def archive(root: Path, version: str, contents: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write PhysioNet's archive of a project below ``root``."""
    project = write_project(root / "made", "ptb-xl", version, contents)
    path = root / ARCHIVE.format(version)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", kind) as packed:
        for file in sorted(project.rglob("*")):
            if file.is_file():
                packed.write(file, f"ptb-xl-{version}/{file.relative_to(project)}")
    return path


def zipped(base: str | Path, version: str = "1.0.3", **more: object) -> PhysioNetSource:
    return source(base, transport="zip", **more).model_copy(update={"version": version})


# What is kept is keyed by what it is of


def test_another_version_is_fetched_and_not_taken_from_what_is_there(tmp_path: Path) -> None:
    old, new = ptbxl(2), ptbxl(3)
    archive(tmp_path, "1.0.2", old)
    archive(tmp_path, "1.0.3", new)
    with PhysioNetServer(tmp_path) as server:
        Download(zipped(server.url, "1.0.2"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        manifest = Download(zipped(server.url, "1.0.3"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        assert sum(server.requests.values()) == 2
        back = Download(zipped(server.url, "1.0.2"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        assert sum(server.requests.values()) == 3
    assert manifest["path"].tolist() == sorted(wanted(new))
    assert back["path"].tolist() == sorted(wanted(old))


def test_a_dead_server_gives_what_is_there_only_for_the_same_version(tmp_path: Path) -> None:
    archive(tmp_path, "1.0.3", ptbxl(2))
    with PhysioNetServer(tmp_path) as server:
        first = Download(zipped(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    again = Download(zipped(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert again.equals(first)
    for other in (zipped(server.url, "1.0.2"), zipped(server.url).model_copy(update={"slug": "other"})):
        with pytest.raises(AcquireError, match="cannot be reached"):
            Download(other, "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


def test_an_archive_at_an_address_of_its_own_is_known_by_it(tmp_path: Path) -> None:
    for name, number in (("a.zip", 2), ("b.zip", 3)):
        shutil.copy(archive(tmp_path / name[0], "1.0.3", ptbxl(number)), tmp_path / name)
    with PhysioNetServer(tmp_path) as server:
        found = [
            Download(zipped(f"{server.url}/{name}"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
            for name in ("a.zip", "b.zip")
        ]
    assert [sum(table["path"].str.endswith(".hea")) for table in found] == [2, 3]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("old_name", [True, False], ids=["of an older release", "of another version"])
def test_a_killed_runs_archive_does_not_serve_the_next_version(tmp_path: Path, whole: bool, old_name: bool) -> None:
    left = archive(tmp_path, "1.0.2", ptbxl(2)).read_bytes()
    new = ptbxl(3)
    archive(tmp_path, "1.0.3", new)
    with PhysioNetServer(tmp_path) as server:
        kept = download_path(tmp_path / "raw", f"{server.url}/{ARCHIVE.format('1.0.2')}")
        kept = kept.with_name(".raw.zip") if old_name else kept
        (kept if whole else partial_path(kept)).write_bytes(left if whole else left[:-100])
        Download(zipped(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        assert [seen.range for seen in server.seen()] == [None]
    assert true_files(tmp_path / "raw", new) == set(wanted(new))
    assert not list(tmp_path.glob(".raw*.zip*"))


@pytest.mark.parametrize("local", [True, False])
def test_an_archive_of_another_version_is_refused(tmp_path: Path, local: bool) -> None:
    path = shutil.copy(archive(tmp_path, "1.0.2", ptbxl(2)), tmp_path / "mine.zip")
    with PhysioNetServer(tmp_path) as server, pytest.raises(AcquireError, match=r"holds version 1\.0\.2 .*`version`"):
        Download(
            zipped(path if local else f"{server.url}/mine.zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK
        ).fetch()
    assert not list(tmp_path.glob(".raw*.zip*"))


def test_a_folder_of_another_version_is_refused_and_the_right_one_named(tmp_path: Path) -> None:
    project = write_project(tmp_path, "ptb-xl", "1.0.2", ptbxl(2))
    with pytest.raises(AcquireError, match=r"holds version 1\.0\.2"):
        Download(source(project), "ptbxl", 100, tmp_path / "raw").fetch()
    with pytest.raises(AcquireError, match=r"files/ptb-xl holds version 1\.0\.2: set `version`"):
        Download(source(tmp_path), "ptbxl", 100, tmp_path / "raw").fetch()
    project.rename(project.with_name("1.0.3"))
    for off in ("files", "files/ptb-xl", "files/ptb-xl/1.0.3/records100", "made"):
        (tmp_path / off).mkdir(exist_ok=True)
        with pytest.raises(AcquireError, match="did you mean `base_url: ") as raised:
            Download(source(tmp_path / off), "ptbxl", 100, tmp_path / "raw").fetch()
        meant = str(raised.value).split("base_url: ")[1].split("`")[0]
        Download(source(meant), "ptbxl", 100, tmp_path / "raw").fetch()


# Damaged archives


def _flipped(raw: bytes, place: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 0x41]) + raw[place + 1 :]


KINDS = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_anywhere_in_an_archive_is_mended_or_named(tmp_path: Path, kind: int) -> None:
    contents = ptbxl(3, largest=400)
    whole = archive(tmp_path / "good", "1.0.3", contents, kind).read_bytes()
    served = tmp_path / "bad" / ARCHIVE.format("1.0.3")
    served.parent.mkdir(parents=True)
    rng = np.random.default_rng([3, kind])
    ended = []
    with PhysioNetServer(tmp_path / "bad") as server:
        for place in rng.integers(0, len(whole), 60):
            served.write_bytes(_flipped(whole, int(place)))
            raw = tmp_path / f"raw{place}"
            try:
                Download(zipped(server.url), "ptbxl", 100, raw, policy=QUICK).fetch()
                ended.append("none of it was needed")
            except AcquireError:
                ended.append("named")
            assert not list(tmp_path.glob(f".{raw.name}.*zip*")), "the damaged archive is kept"
            served.write_bytes(whole)
            Download(zipped(server.url), "ptbxl", 100, raw, policy=QUICK).fetch()
            assert true_files(raw, contents) == set(wanted(contents))
    assert ended.count("named") > 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_archive_that_was_kept_is_fetched_anew_once(
    tmp_path: Path, kind: int, caplog: pytest.LogCaptureFixture
) -> None:
    contents = ptbxl(3)
    good = archive(tmp_path, "1.0.3", contents, kind)
    whole = good.read_bytes()
    with zipfile.ZipFile(good) as packed:
        place = packed.getinfo(f"ptb-xl-1.0.3/{FIRST}").header_offset + 150
    with PhysioNetServer(tmp_path) as server:
        kept = download_path(tmp_path / "raw", f"{server.url}/{ARCHIVE.format('1.0.3')}")
        kept.write_bytes(_flipped(whole, place))
        Download(zipped(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        assert sum(server.requests.values()) == 1
        assert "it is fetched again" in caplog.text
        good.write_bytes(_flipped(whole, place))
        shutil.rmtree(tmp_path / "raw")
        (tmp_path / ".raw.origin.json").unlink()
        with pytest.raises(AcquireError, match=rf"{FIRST}: .*fetched again, and is no better"):
            Download(zipped(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        assert sum(server.requests.values()) == 3
    assert not kept.exists()


def test_an_encrypted_bit_and_an_unknown_packing_are_told(tmp_path: Path) -> None:
    path = archive(tmp_path, "1.0.3", ptbxl(2))
    whole = bytearray(path.read_bytes())
    name = f"ptb-xl-1.0.3/{FIRST}".encode()
    for at, change in ((8, 0x01), (10, 99)):  # of the central directory: flags, method
        changed = bytearray(whole)
        changed[changed.rindex(name) - 46 + at] = change
        mine = tmp_path / "mine.zip"
        mine.write_bytes(changed)
        with pytest.raises(AcquireError, match=rf"{FIRST}: .*mine\.zip is damaged: .*replace it by a whole copy"):
            Download(zipped(mine), "ptbxl", 100, tmp_path / f"raw{at}", policy=QUICK).fetch()


def test_a_list_that_is_a_bomb_in_an_archive_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.writestr("SHA256SUMS.txt", bytes(listing.MAX_LIST_BYTES + 1))
    with pytest.raises(AcquireError, match="more than 64 MB, which is no list"):
        Download(zipped(tmp_path / "mine.zip"), "ptbxl", 100, tmp_path / "raw").fetch()
