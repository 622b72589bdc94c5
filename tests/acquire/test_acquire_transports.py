"""The same files by other ways: one zip archive, an S3 bucket, a plain folder; and a plan before any of them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from physionet_server import Fault, PhysioNetServer
from projects import FIRST, QUICK, ptbxl, source, true_files, wanted, write_project

from ecgpipe.acquire import physionet
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.physionet import Download, DownloadPlan
from ecgpipe.acquire.run import acquire
from ecgpipe.config import Config, DatasetSettings, FolderSource, SignalSettings

ROOT = Path(__file__).resolve().parents[2]
TOP = "ptb-xl-a-large-dataset-1.0.3/"
IN_BUCKET = "physionet-open/deeper/ptb-xl/1.0.3"
ARCHIVE = "content/ptb-xl/get-zip/1.0.3/"


@pytest.fixture
def contents() -> dict[str, bytes]:
    return ptbxl(6)


def pack(path: Path, project: Path, top: str = TOP) -> Path:
    """Write a zip archive of a project, as PhysioNet packs it: below one folder, deflated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(project.rglob("*")):
            if file.is_file():
                archive.write(file, top + str(file.relative_to(project)))
    return path


@pytest.fixture
def archived(tmp_path: Path, contents: dict[str, bytes]) -> Path:
    """A server's folder with PhysioNet's archive of the project."""
    project = write_project(tmp_path / "made", "ptb-xl", "1.0.3", contents)
    pack(tmp_path / "served" / ARCHIVE, project)
    return tmp_path / "served"


# One archive


def test_an_archive_is_fetched_once_and_unpacked_verified(
    archived: Path, contents: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "raw" / "ptbxl"
    size = (archived / ARCHIVE).stat().st_size
    with PhysioNetServer(archived) as server:
        zipped = source(server.url, transport="zip")
        assert Download(zipped, "ptbxl", 100, folder, policy=QUICK).plan() == DownloadPlan(1, size, True, 0)
        assert not folder.parent.exists()
        manifest = Download(zipped, "ptbxl", 100, folder, policy=QUICK).fetch()
        assert sum(server.requests.values()) == 1
        again = Download(zipped, "ptbxl", 100, folder, policy=QUICK).fetch()
        assert sum(server.requests.values()) == 1
        assert Download(zipped, "ptbxl", 100, folder, policy=QUICK).plan() == DownloadPlan(0, 0, True, len(manifest))
        (folder / FIRST).write_bytes(b"spoilt")
        Download(zipped, "ptbxl", 100, folder, policy=QUICK).fetch()
        assert sum(server.requests.values()) == 2
    assert manifest.equals(again)
    assert manifest["path"].tolist() == sorted(wanted(contents))
    assert true_files(folder, contents) == set(wanted(contents))
    assert [path.name for path in folder.parent.iterdir() if path.suffix != ".lock"] == ["ptbxl"]


@pytest.mark.parametrize(
    ("faults", "requests"),
    [
        ([Fault("drop"), Fault("short")], 3),
        ([Fault("truncate")], 2),
        ([Fault("status", status=503), Fault("range")], 2),
        ([Fault("loop")] * 6, 7),
    ],
    ids=["drop", "truncate", "busy", "loop"],
)
def test_an_archive_survives_a_bad_network(
    archived: Path, contents: dict[str, bytes], tmp_path: Path, faults: list[Fault], requests: int
) -> None:
    with PhysioNetServer(archived, {ARCHIVE.rstrip("/"): faults, ARCHIVE: faults}) as server:
        Download(source(server.url, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        assert sum(server.requests.values()) == requests
    assert true_files(tmp_path / "raw", contents) == set(wanted(contents))


def test_what_came_of_an_archive_is_kept(archived: Path, contents: dict[str, bytes], tmp_path: Path) -> None:
    whole = (archived / ARCHIVE).read_bytes()
    part = tmp_path / ".raw.zip.part"
    for have in (len(whole) // 3, len(whole)):  # interrupted on the way, and after the last byte
        part.write_bytes(whole[:have])
        with PhysioNetServer(archived) as server:
            Download(source(server.url, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
            (seen,) = server.seen()
        assert seen.range == f"bytes={have}-"
        assert seen.sent == len(whole) - have
        assert true_files(tmp_path / "raw", contents) == set(wanted(contents))
        shutil.rmtree(tmp_path / "raw")


def test_unpacking_goes_on_after_an_interruption(archived: Path, contents: dict[str, bytes], tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    shutil.copy(archived / ARCHIVE, tmp_path / ".raw.zip")
    (folder / FIRST).parent.mkdir(parents=True)
    (folder / FIRST).write_bytes(contents[FIRST])
    before = (folder / FIRST).stat().st_mtime_ns
    with PhysioNetServer(archived) as server:
        Download(source(server.url, transport="zip"), "ptbxl", 100, folder, policy=QUICK).fetch()
        assert not server.requests
    assert (folder / FIRST).stat().st_mtime_ns == before
    assert true_files(folder, contents) == set(wanted(contents))
    assert not (tmp_path / ".raw.zip").exists()


@pytest.mark.parametrize("form", ["{}", "file://{}", "{}/ptb-xl-1.0.3.zip"])
def test_an_archive_of_ones_own_is_read_where_it_is(tmp_path: Path, contents: dict[str, bytes], form: str) -> None:
    project = write_project(tmp_path / "made", "ptb-xl", "1.0.3", contents)
    own = pack(tmp_path / "own" / "ptb-xl-1.0.3.zip", project, top="")
    zipped = source(form.format(tmp_path / "own"), transport="zip")
    plan = Download(zipped, "ptbxl", 500, tmp_path / "raw").plan()
    manifest = Download(zipped, "ptbxl", 500, tmp_path / "raw").fetch()
    assert plan == DownloadPlan(len(manifest), manifest["bytes"].sum(), True, 0)
    assert own.is_file()
    own.unlink()
    Download(zipped, "ptbxl", 500, tmp_path / "raw").fetch()  # all is there: the archive is not missed
    shutil.rmtree(tmp_path / "raw")
    with pytest.raises(AcquireError, match=r"there is no .*ptb-xl-1\.0\.3\.zip"):
        Download(zipped, "ptbxl", 500, tmp_path / "raw").fetch()
    with pytest.raises(AcquireError, match=r"there is no .*ptb-xl-1\.0\.3\.zip"):
        Download(zipped, "ptbxl", 500, tmp_path / "raw").plan()


def test_an_archive_at_an_address_of_its_own(archived: Path, contents: dict[str, bytes], tmp_path: Path) -> None:
    shutil.copy(archived / ARCHIVE, archived / "mirror.zip")
    with PhysioNetServer(archived) as server:
        base = f"{server.url}/mirror.zip"
        Download(source(base, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        assert dict(server.requests) == {"mirror.zip": 1}
    assert true_files(tmp_path / "raw", contents) == set(wanted(contents))


@pytest.mark.parametrize(
    "name", ["../outside", "/outside", f"{TOP}../../outside", "C:/outside", "..\\outside", f"{TOP}a\x01b"]
)
def test_an_archive_that_would_leave_its_folder_is_refused(archived: Path, tmp_path: Path, name: str) -> None:
    path = archived / ARCHIVE
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # past the constructor, which mends some of these
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, b"x")
    before = {str(file) for file in tmp_path.rglob("*")}
    with PhysioNetServer(archived) as server, pytest.raises(AcquireError, match="would leave the folder"):
        Download(source(server.url, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert not (tmp_path / "raw").exists()
    new = {str(file) for file in tmp_path.rglob("*")} - before
    assert {Path(file).name for file in new} <= {".raw.zip", ".raw.zip.part", ".raw.lock"}


def test_a_link_in_an_archive_is_refused(archived: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo(f"{TOP}records100")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archived / ARCHIVE, "a") as archive:
        archive.writestr(link, "/etc")
    with PhysioNetServer(archived) as server, pytest.raises(AcquireError, match="or is a link"):
        Download(source(server.url, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


def test_a_wrong_file_in_an_archive_is_named_and_the_archive_dropped(
    tmp_path: Path, contents: dict[str, bytes]
) -> None:
    project = write_project(tmp_path / "made", "ptb-xl", "1.0.3", contents)
    (project / FIRST).write_bytes(b"other")
    pack(tmp_path / "served" / ARCHIVE, project)
    with (
        PhysioNetServer(tmp_path / "served") as server,
        pytest.raises(AcquireError, match=rf"{FIRST}: expected SHA-256"),
    ):
        Download(source(server.url, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert true_files(tmp_path / "raw", contents) == set(wanted(contents)) - {FIRST}
    assert not (tmp_path / ".raw.zip").exists()


def test_damage_inside_an_archive_is_named(archived: Path, tmp_path: Path) -> None:
    path = archived / ARCHIVE
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(TOP + FIRST)
    raw = bytearray(path.read_bytes())
    raw[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0xFF
    path.write_bytes(raw)
    with PhysioNetServer(archived) as server, pytest.raises(AcquireError, match=f"{FIRST}: .*"):
        Download(source(server.url, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


@pytest.mark.parametrize("page", [b"<html>log in</html>", b""])
def test_what_is_no_archive_is_said(tmp_path: Path, page: bytes) -> None:
    path = tmp_path / "served" / ARCHIVE
    path.parent.mkdir(parents=True)
    path.write_bytes(page)
    with PhysioNetServer(tmp_path / "served") as server, pytest.raises(AcquireError, match="no whole zip archive"):
        Download(source(server.url, transport="zip"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


# An S3 bucket


@pytest.fixture
def bucket(tmp_path: Path, contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[PhysioNetServer]:
    """A server that answers like an S3 bucket, first with two faults."""
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    made = write_project(tmp_path / "made", "ptb-xl", "1.0.3", contents)
    shutil.copytree(made, tmp_path / "served/physionet-open/deeper/ptb-xl/1.0.3")
    faults = {f"{IN_BUCKET}/{FIRST}": [Fault("short"), Fault("status", status=503), Fault("flip")]}
    with PhysioNetServer(tmp_path / "served", faults) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield server


def test_a_bucket_is_read_without_an_account(
    bucket: PhysioNetServer, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    place = source("s3://physionet-open/deeper")
    manifest = Download(place, "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert bucket.requests.pop(f"{IN_BUCKET}/{FIRST}") == 4
    assert set(bucket.requests.values()) == {1}
    assert len(bucket.requests) == len(manifest)  # and the list of sums, less the file with faults
    assert all("ecgpipe/" in str(seen.agent) and seen.method == "GET" for seen in bucket.seen())
    assert all(seen.account is None for seen in bucket.seen())
    assert true_files(tmp_path / "raw", contents) == set(wanted(contents))
    assert Download(place, "ptbxl", 100, tmp_path / "raw", policy=QUICK).plan().files == 0
    size = sum(map(len, wanted(contents).values()))
    assert Download(place, "ptbxl", 100, tmp_path / "new", policy=QUICK).plan() == DownloadPlan(
        len(manifest), size, True, 0
    )


def test_a_bucket_is_read_with_the_account_that_the_environment_names(
    bucket: PhysioNetServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    place = source("s3://physionet-open/deeper", limit=1)
    Download(place, "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert all("Credential=somebody/" in str(seen.account) for seen in bucket.seen())
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda project: (project / FIRST).write_bytes(b"other"), rf"{FIRST}: expected SHA-256"),
        (lambda project: (project / FIRST).unlink(), rf"{FIRST}: the bucket does not have it"),
        (lambda project: (project / "SHA256SUMS.txt").write_text("no list"), r"SHA256SUMS.txt of s3://physionet-open"),
    ],
    ids=["wrong", "missing", "no list"],
)
def test_what_a_bucket_lacks_is_named(
    bucket: PhysioNetServer, tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    bucket.faults.clear()
    change(tmp_path / "served" / IN_BUCKET)
    with pytest.raises(AcquireError, match=said):
        Download(source("s3://physionet-open/deeper"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert FIRST not in true_files(tmp_path / "raw", {FIRST: b"other"})


def test_buckets_that_cannot_be_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AcquireError, match="transport: files"):
        Download(source("s3://bucket", transport="zip"), "ptbxl", 100, tmp_path / "raw").fetch()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "s3fs", None)
        with pytest.raises(AcquireError, match=r"pip install 'ecgpipe\[s3\]'"):
            Download(source("s3://bucket"), "ptbxl", 100, tmp_path / "raw").fetch()
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(AcquireError, match=r"s3://bucket/ptb-xl/1\.0\.3 cannot be reached: .*AWS_ENDPOINT_URL"):
        Download(source("s3://bucket"), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


# A folder


def test_a_downloaded_copy_may_be_named_itself(tmp_path: Path, contents: dict[str, bytes]) -> None:
    project = write_project(tmp_path / "made", "ptb-xl", "1.0.3", contents)
    Download(source(project), "ptbxl", 100, tmp_path / "raw").fetch()
    assert true_files(tmp_path / "raw", contents) == set(wanted(contents))


def test_a_plain_folder_needs_no_list(tmp_path: Path, contents: dict[str, bytes]) -> None:
    project = write_project(tmp_path / "made", "ptb-xl", "1.0.3", contents)
    (project / "SHA256SUMS.txt").unlink()
    (project / ".hidden").write_text("x")
    plain = FolderSource(kind="folder", path=str(project), limit=4)
    plan = Download(plain, "ptbxl", 100, tmp_path / "raw").plan()
    manifest = Download(plain, "ptbxl", 100, tmp_path / "raw").fetch()
    assert plan[:2] == (len(manifest), manifest["bytes"].sum())
    need = {path: data for path, data in wanted(contents).items() if path in set(manifest["path"])}
    assert len(need) == len(manifest) == 4 + 2 * 4
    assert true_files(tmp_path / "raw", need) == set(need)
    with pytest.raises(AcquireError, match=r"there is no .*nowhere.*`path`"):
        Download(FolderSource(kind="folder", path=str(tmp_path / "nowhere")), "ptbxl", 100, tmp_path / "raw").fetch()
    for name in (b"not\xff.txt", b"two\nlines.txt"):
        (odd := tmp_path / f"odd{len(name)}").mkdir()
        Path(os.fsdecode(os.fsencode(odd) + b"/" + name)).write_text("x")
        with pytest.raises(AcquireError, match="cannot stand in a list of files; rename or remove it"):
            Download(FolderSource(kind="folder", path=str(odd)), "ptbxl", 100, tmp_path / "raw").fetch()


def test_a_challenge_folder_is_chosen_from(tmp_path: Path) -> None:
    made = {
        f"training/{place}/g1/{name}.{end}": f"{place}{name}{end}".encode()
        for place, names in (("georgia", ("E00001", "E00002")), ("ptb", ("S0001",)))
        for name in names
        for end in ("hea", "mat")
    }
    for path, data in {**made, "training/georgia/index.html": b"<html>"}.items():
        (tmp_path / "set" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / path).write_bytes(data)
    chosen = DatasetSettings.model_validate(
        {
            "format": "challenge",
            "folder": "training/georgia",
            "source": {"kind": "folder", "path": str(tmp_path / "set")},
        }
    )
    manifest = acquire(chosen, SignalSettings(), tmp_path / "raw")
    assert manifest["path"].tolist() == [path for path in sorted(made) if "georgia" in path]


# Before anything is fetched


def test_a_plan_of_many_files_asks_for_few_sizes(tmp_path: Path) -> None:
    contents = ptbxl(100)
    write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    need = wanted(contents)
    with PhysioNetServer(tmp_path) as server:
        plan = Download(source(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).plan()
        asked = sum(seen.method == "HEAD" for seen in server.seen())
    assert (plan.files, plan.exact, asked) == (len(need), False, 4 + 2 * physionet.SIZE_SAMPLES)
    assert plan.bytes == pytest.approx(sum(map(len, need.values())), rel=0.25)
    assert str(plan) == f"204 files, about {plan.bytes / 1e6:,.1f} MB; 0 files are here already"


def test_the_workflow_tells_the_plan(tmp_path: Path, contents: dict[str, bytes]) -> None:
    """`snakemake download_plan` says how much would come, and fetches nothing."""
    write_project(tmp_path / "served", "ptb-xl", "1.0.3", contents)
    arrhythmia = {
        "ConditionNames_SNOMED-CT.csv": b"x",
        "WFDBRecords/01/010/JS00001.hea": b"h",
        "WFDBRecords/01/010/JS00001.mat": b"m",
    }
    write_project(tmp_path / "served", "ecg-arrhythmia", "1.0.0", arrhythmia)
    command = [sys.executable, "-m", "snakemake", "download_plan", "-c1", "-s", ROOT / "Snakefile"]
    command += ["--configfile", ROOT / "configs/physionet.yaml"]
    with PhysioNetServer(tmp_path / "served") as server:
        environment = {
            **os.environ,
            "ECGPIPE_PHYSIONET": server.url.replace("//", "//user:secret@"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    need = wanted(contents)
    assert run.returncode == 0, run.stderr
    size = sum(map(len, need.values())) / 1e6
    assert f"ptbxl: {len(need)} files, {size:.1f} MB; 0 files are here already" in run.stdout
    assert "chapman: 3 files, 0.0 MB; 0 files are here already" in run.stdout
    assert not (tmp_path / "results/raw").exists()
    written = "".join(path.read_text() for path in tmp_path.rglob("*.log"))
    assert "started:" in written
    assert "secret" not in written + run.stdout + run.stderr


# Secrets


@pytest.mark.parametrize(
    "base",
    [
        "https://user:secret@host/?token=secret2",
        "ftp://user:secret@host/x",
        "http://user:secret@host:port/",
        "http://user:secret@127.0.0.1:9/",
        "file://user:secret@host/x",
    ],
)
def test_no_password_is_in_a_message(base: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(AcquireError) as raised:
        Download(source(base), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert "secret" not in str(raised.value) + caplog.text


def test_no_password_is_in_a_log(tmp_path: Path, contents: dict[str, bytes]) -> None:
    project = write_project(tmp_path / "served", "ptb-xl", "1.0.3", contents)
    (project / FIRST).unlink()
    project_source = {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}
    settings = {"dataset": {"format": "ptbxl", "source": project_source}, "signal": {}}
    with PhysioNetServer(tmp_path / "served") as server:
        place = {"set": {"base_url": server.url.replace("//", "//user:secret@")}}
        command = [
            sys.executable, ROOT / "workflow_scripts/acquire.py",
            "--dataset", "set", "--settings", json.dumps(settings),
            "--manifest", tmp_path / "raw/set.parquet", "--log", tmp_path / "job.log",
            "--provenance", tmp_path / "raw/set.provenance.json", "--code", "0",
        ]  # fmt: skip
        environment = {**os.environ, "ECGPIPE_PLACES": json.dumps(place)}
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 1
    log = (tmp_path / "job.log").read_text()
    assert "127.0.0.1" in log
    assert "the server does not have it" in log
    assert "secret" not in log + run.stdout + run.stderr


# The configuration


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "ptbxl", "folder": "training"}, "`folder` is for format challenge only"),
        ({"format": "challenge", "folder": "../up"}, "pattern"),
        ({"format": "challenge", "source": {"kind": "simulated", "records": 20, "seed": 1}}, "ptbxl or ecg_arrhythmia"),
        (
            {"format": "ecg_arrhythmia", "subset": "ningbo", "source": {"kind": "simulated", "records": 20, "seed": 1}},
            "`subset` is for true records only",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DatasetSettings.model_validate({"source": {"kind": "folder", "path": "x"}, **changes})
    assert "folder" in Config.model_json_schema()["$defs"]["FolderSource"]["properties"]["kind"]["const"]
