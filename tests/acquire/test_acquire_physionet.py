"""Files of a PhysioNet project arrive whole and true, whatever the network does."""

from __future__ import annotations

import email.utils
import hashlib
import logging
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from physionet_server import Fault, PhysioNetServer
from projects import FIRST, IMPATIENT, LICENCE, QUICK, ptbxl, source, true_files, wanted, write_project

from ecgpipe.acquire import listing, physionet, sources
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.acquire.physionet import Download
from ecgpipe.acquire.retry import RetryPolicy
from ecgpipe.acquire.run import acquire, manifest_path, plan_download, write_manifest
from ecgpipe.config import DatasetSettings, PhysioNetSource, SignalSettings
from ecgpipe.layouts import Format, subset_of


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return ptbxl(6)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]) -> Path:
    folder = tmp_path_factory.mktemp("physionet")
    write_project(folder, "ptb-xl", "1.0.3", contents)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "raw" / "ptbxl"


# The good case


def test_everything_needed_arrives_once_and_true(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    need = wanted(contents)
    with PhysioNetServer(root, delay=0.01) as server:
        manifest = Download(source(server.url, connections=3), "ptbxl", 100, folder, policy=QUICK).fetch()
        requests, busiest, agents = dict(server.requests), server.busiest, {seen.agent for seen in server.seen()}
    assert requests == dict.fromkeys([*need, "SHA256SUMS.txt"], 1)
    assert busiest == 3
    assert all(agent and agent.startswith("ecgpipe/") for agent in agents)
    assert list(manifest.columns) == ["path", "bytes", "sha256"]
    assert manifest["path"].tolist() == sorted(need)
    assert manifest["bytes"].tolist() == [len(need[path]) for path in sorted(need)]
    assert manifest["sha256"].tolist() == [hashlib.sha256(need[path]).hexdigest() for path in sorted(need)]
    here = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert here == {*need, "SHA256SUMS.txt"}
    assert true_files(folder, need) == set(need)
    assert (folder / "SHA256SUMS.txt").read_bytes() == (root / "files/ptb-xl/1.0.3/SHA256SUMS.txt").read_bytes()


def test_what_is_true_is_not_fetched_again_and_what_is_not_is(
    root: Path, contents: dict[str, bytes], folder: Path
) -> None:
    wrong, short, gone = FIRST, "records100/00000/00002_lr.hea", "records100/00000/00003_lr.dat"
    with PhysioNetServer(root) as server:
        first = Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch()
        (folder / wrong).write_bytes(b"x" * len(contents[wrong]))
        (folder / short).write_bytes(contents[short][:-1])
        (folder / gone).unlink()
        server.requests.clear()
        again = Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch()
        assert server.requests == {"SHA256SUMS.txt": 1, wrong: 1, short: 1, gone: 1}
    pd.testing.assert_frame_equal(first, again)
    assert true_files(folder, contents) == set(wanted(contents))


# One fault


@pytest.mark.parametrize(
    ("faults", "requests", "policy"),
    [
        ([Fault("drop"), Fault("drop")], 3, QUICK),
        ([Fault("short")], 2, QUICK),
        ([Fault("truncate")], 2, QUICK),
        ([Fault("flip"), Fault("flip")], 3, QUICK),
        ([Fault("overlong")], 1, IMPATIENT),  # all bytes came, so nothing is asked again
        ([Fault("stall")], 2, IMPATIENT),
        ([Fault("status", status=503)] * 4, 5, QUICK),
        ([Fault("status", status=500), Fault("drop"), Fault("flip"), Fault("status", status=429)], 5, QUICK),
        ([Fault("loop")], 7, QUICK),  # the first, five redirects, and the good one
        ([Fault("short"), Fault("range")], 3, QUICK),
    ],
    ids=["drop", "short", "truncate", "flip", "overlong", "stall", "burst", "mixed", "loop", "range"],
)
def test_a_fault_is_overcome_in_the_fewest_requests(
    root: Path, contents: dict[str, bytes], folder: Path, faults: list[Fault], requests: int, policy: RetryPolicy
) -> None:
    if faults[0].kind == "loop":
        faults = faults * 6
    with PhysioNetServer(root, {FIRST: faults}) as server:
        Download(source(server.url, records=["00001"]), "ptbxl", 100, folder, policy=policy).fetch()
        assert server.requests.pop(FIRST) == requests
        assert set(server.requests.values()) == {1}
    assert (folder / FIRST).read_bytes() == contents[FIRST]
    assert not list(folder.rglob("*.part"))


def test_a_slow_drip_is_cut_off_and_resumed(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    drip = Fault("drip", seconds=0.2, step=20)  # never stalls, but would take many seconds
    with PhysioNetServer(root, {FIRST: [drip]}) as server:
        Download(source(server.url, records=["00001"]), "ptbxl", 100, folder, policy=IMPATIENT).fetch()
        first, second = server.seen(FIRST)
    assert first.range is None
    assert second.range is not None
    assert (folder / FIRST).read_bytes() == contents[FIRST]


def test_damage_to_the_list_itself_is_overcome(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    faults = [Fault("status", status=502), Fault("short"), Fault("drop")]
    with PhysioNetServer(root, {"SHA256SUMS.txt": faults}) as server:
        Download(source(server.url, records=["00001"]), "ptbxl", 100, folder, policy=QUICK).fetch()
        assert server.requests["SHA256SUMS.txt"] == 4
    assert (folder / FIRST).read_bytes() == contents[FIRST]


def test_a_redirect_is_followed(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    there = Fault("status", status=302, headers={"Location": f"/files/ptb-xl/1.0.3/{FIRST}?elsewhere"})
    with PhysioNetServer(root, {FIRST: [there]}) as server:
        Download(source(server.url, records=["00001"]), "ptbxl", 100, folder, policy=QUICK).fetch()
    assert (folder / FIRST).read_bytes() == contents[FIRST]


# Retry-After


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_by_all_connections(
    root: Path, contents: dict[str, bytes], folder: Path, form: str
) -> None:
    date = int(time.time()) + 2
    value = "1" if form == "seconds" else email.utils.formatdate(date, usegmt=True)
    faults = {LICENCE: [Fault("status", status=429, headers={"Retry-After": value})]}
    with PhysioNetServer(root, faults, delay=0.1) as server:
        Download(source(server.url, connections=2), "ptbxl", 100, folder, policy=QUICK).fetch()
        refused, granted = (seen.at for seen in server.seen(LICENCE))
        others = [seen.at for seen in server.seen() if seen.path != LICENCE]
    until = refused + 1 if form == "seconds" else date
    assert granted >= until
    # What was under way when the server refused may still have come in, but then all connections paused.
    assert not [at for at in others if until - 0.4 < at < until]
    assert true_files(folder, contents) == set(wanted(contents))


def test_retry_after_is_capped(root: Path, folder: Path) -> None:
    began = time.monotonic()
    policy = RetryPolicy(backoff=0.01, max_backoff=0.02, max_retry_after=0.3)
    with PhysioNetServer(root, {FIRST: [Fault("status", status=503, headers={"Retry-After": "86400"})]}) as server:
        Download(source(server.url, records=["00001"]), "ptbxl", 100, folder, policy=policy).fetch()
    assert 0.3 <= time.monotonic() - began < 10


# What cannot be had


def test_a_file_that_stays_wrong_is_named_with_its_sums(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    wrong = contents[FIRST][:-1] + bytes([contents[FIRST][-1] ^ 1])
    with PhysioNetServer(root, {FIRST: [Fault("flip")] * 99}) as server, pytest.raises(AcquireError) as raised:
        Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch()
    message = str(raised.value)
    assert FIRST in message
    assert hashlib.sha256(contents[FIRST]).hexdigest() in message
    assert hashlib.sha256(wrong).hexdigest() in message
    assert "1 files of" in message
    assert "base_url" in message
    assert server.requests[FIRST] == QUICK.max_corrupt
    assert true_files(folder, contents) == set(wanted(contents)) - {FIRST}
    assert not (folder / FIRST).exists()


def test_a_missing_file_is_named_without_a_second_request(
    root: Path, contents: dict[str, bytes], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        PhysioNetServer(root, {FIRST: [Fault("status", status=404)] * 9}) as server,
        pytest.raises(AcquireError, match=rf"{FIRST}: the server does not have it \(404\)"),
    ):
        Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch()
    assert server.requests[FIRST] == 1
    assert any(FIRST in record.getMessage() and record.levelno == logging.ERROR for record in caplog.records)
    with PhysioNetServer(root) as server:
        Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch()
        assert server.requests == {"SHA256SUMS.txt": 1, FIRST: 1}


def test_attempts_are_bounded(root: Path, folder: Path) -> None:
    with (
        PhysioNetServer(root, {FIRST: [Fault("status", status=503)] * 99}) as server,
        pytest.raises(AcquireError, match=rf"{FIRST}: the server answers 503"),
    ):
        Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch()
    assert server.requests[FIRST] == QUICK.max_attempts


def test_many_failures_end_the_run(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    faults = {path: [Fault("status", status=403)] for path in contents}
    with PhysioNetServer(root, faults) as server, pytest.raises(AcquireError, match="answers 403 Forbidden") as raised:
        Download(source(server.url, connections=1), "ptbxl", 100, folder, policy=QUICK).fetch()
    assert sum(server.requests.values()) == 1 + physionet.MAX_FAILURES
    assert f"{len(wanted(contents)) - physionet.MAX_FAILURES} further files were not tried" in str(raised.value)


@pytest.mark.parametrize(
    "page", [b"<html>Please log in</html>", b"", b"\xff\xfe\x00bad"], ids=["page", "empty", "bytes"]
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, page: bytes) -> None:
    project = tmp_path / "files/ptb-xl/1.0.3"
    project.mkdir(parents=True)
    (project / "SHA256SUMS.txt").write_bytes(page)
    with (
        PhysioNetServer(tmp_path) as server,
        pytest.raises(AcquireError, match=r"SHA256SUMS\.txt of .* could not be read"),
    ):
        Download(source(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert server.requests["SHA256SUMS.txt"] == QUICK.max_corrupt


def test_a_wrong_version_is_said_at_once(root: Path, folder: Path) -> None:
    other = source("http://x").model_copy(update={"version": "9.9"})
    with (
        PhysioNetServer(root) as server,
        pytest.raises(AcquireError, match=r"ptb-xl/9.9 could not be read: the server does not have it.*`version`"),
    ):
        Download(other.model_copy(update={"base_url": server.url}), "ptbxl", 100, folder, policy=QUICK).fetch()


# Resuming


@pytest.mark.parametrize("kept", [1, 150])
def test_a_partial_file_is_resumed_by_range(root: Path, contents: dict[str, bytes], folder: Path, kept: int) -> None:
    part = folder / f"{FIRST}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(contents[FIRST][:kept])
    with PhysioNetServer(root) as server:
        Download(source(server.url, records=["00001"]), "ptbxl", 100, folder, policy=QUICK).fetch()
        (seen,) = server.seen(FIRST)
    assert seen.range == f"bytes={kept}-"
    assert seen.sent == len(contents[FIRST]) - kept
    assert (folder / FIRST).read_bytes() == contents[FIRST]
    assert not part.exists()


def test_a_short_answer_is_resumed_where_it_ended(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    with PhysioNetServer(root, {FIRST: [Fault("short")]}) as server:
        Download(source(server.url, records=["00001"]), "ptbxl", 100, folder, policy=QUICK).fetch()
        first, second = server.seen(FIRST)
    assert second.range == f"bytes={first.sent}-"
    assert first.sent + second.sent == len(contents[FIRST])


@pytest.mark.parametrize(
    ("part", "ranges", "requests"),
    [
        (lambda true: true, True, 0),  # killed between the last byte and the renaming
        (lambda true: true[:100], False, 1),  # the server sends the whole file instead
        (lambda true: b"x" * 100, True, 2),  # resumed, found wrong, fetched anew
        (lambda true: true + b"x", True, 2),  # too long: 416, fetched anew
        (lambda true: b"", True, 1),
    ],
    ids=["whole", "no ranges", "wrong", "too long", "empty"],
)
def test_any_leftover_leads_to_the_true_file(
    root: Path, contents: dict[str, bytes], folder: Path, part: object, ranges: bool, requests: int
) -> None:
    leftover = folder / f"{FIRST}.part"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(part(contents[FIRST]))
    with PhysioNetServer(root, ranges=ranges) as server:
        Download(source(server.url, records=["00001"]), "ptbxl", 100, folder, policy=QUICK).fetch()
        assert server.requests[FIRST] == requests
    assert (folder / FIRST).read_bytes() == contents[FIRST]
    assert not leftover.exists()


# Many files, many faults


def mixed_faults(paths: list[str], seed: int) -> dict[str, list[Fault]]:
    """Return up to three faults for about half of the files, every kind among them."""
    rng = np.random.default_rng(seed)
    kinds = [
        Fault("drop"),
        Fault("short"),
        Fault("truncate"),
        Fault("flip"),
        Fault("overlong"),
        Fault("stall"),
        Fault("drip", seconds=0.3, step=60),
        Fault("status", status=503),
        Fault("status", status=429, headers={"Retry-After": "0"}),
        Fault("range"),
        Fault("loop"),
    ]
    cheap = [0, 1, 2, 3, 7, 8, 9, 10]
    faults = {
        path: [kinds[cheap[kind]] for kind in rng.integers(0, len(cheap), rng.integers(1, 4))]
        for path in paths
        if rng.random() < 0.5
    }
    for path, kind in zip(rng.permutation(paths), [4, 5, 6] * 3, strict=False):  # these cost a time-out each
        faults[str(path)] = [kinds[kind]]
    burst, endless, asked = (str(path) for path in rng.permutation(paths)[:3])
    faults[burst] = [Fault("status", status=503)] * 5
    faults[endless] = [Fault("loop")] * 6
    faults[asked] = [Fault("status", status=429, headers={"Retry-After": "1"})]
    # The policy gives a file up after three wrong copies; that is another test's matter.
    return {
        path: [fault for place, fault in enumerate(row) if fault.kind not in ("flip", "truncate") or place == 0]
        for path, row in faults.items()
    }


def test_everything_arrives_true_through_mixed_faults(tmp_path: Path) -> None:
    contents = ptbxl(1000)
    write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    need = wanted(contents)
    faults = mixed_faults(sorted(need), seed=4)
    with PhysioNetServer(tmp_path, faults) as server:
        manifest = Download(source(server.url, connections=8), "ptbxl", 100, tmp_path / "raw", policy=IMPATIENT).fetch()
        requests = dict(server.requests)
    assert true_files(tmp_path / "raw", need) == set(need)
    assert len(manifest) == len(need) == 2004
    assert not list((tmp_path / "raw").rglob("*.part"))
    for path in need:
        met = faults.get(path, [])
        # One request more than there were faults; a resumed file may show the damage of an earlier answer once.
        assert requests[path] <= 1 + len(met) + any(fault.kind in ("range", "flip", "truncate") for fault in met), (
            path,
            met,
        )
        assert met or requests[path] == 1


# Interruption and company


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Fresh processes that have the imports behind them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ecgpipe.acquire.physionet"])
    return context


def test_kill_at_any_moment_loses_nothing(tmp_path: Path, processes: multiprocessing.context.ForkServerContext) -> None:
    contents = ptbxl(1000, largest=20_000)
    write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    need, folder, rng = wanted(contents), tmp_path / "raw", np.random.default_rng(9)
    quick = {"drop", "short", "flip", "truncate", "status", "loop", "range"}
    faults = {
        path: row
        for path, row in mixed_faults(sorted(need), seed=5).items()
        if {fault.kind for fault in row} <= quick and len(row) < 4
    }
    with PhysioNetServer(tmp_path, faults) as server:
        work = {"target": Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch}
        for kill in range(10):
            true_before = true_files(folder, need)
            asked = server.requests.copy()
            until = sum(asked.values()) + int(rng.integers(1, 250))
            process = processes.Process(**work)
            process.start()
            while sum(server.requests.values()) < until and process.is_alive():
                time.sleep(rng.uniform(0, 0.004))
            process.kill()
            process.join()
            assert process.exitcode == -9, f"run {kill} ended before it was killed"
            assert all(server.requests[path] == asked[path] for path in true_before)
            assert true_files(folder, need) >= true_before
        process = processes.Process(**work)
        process.start()
        process.join()
        assert process.exitcode == 0
        requests = dict(server.requests)
    assert true_files(folder, need) == set(need)
    assert not list(folder.rglob("*.part"))
    # A kill costs at most the requests under way, one a connection; a fault one, and its damage may show once more.
    damaged = sum(any(fault.kind in ("range", "flip", "truncate") for fault in row) for row in faults.values())
    assert sum(requests[path] - 1 for path in need) <= 10 * 4 + sum(map(len, faults.values())) + damaged
    assert all(requests[path] <= 1 + 10 for path in need if path not in faults)


def test_two_runs_at_once_share_the_work(
    root: Path, contents: dict[str, bytes], folder: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    with PhysioNetServer(root, delay=0.01) as server:
        runs = [
            processes.Process(target=Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch)
            for _ in range(3)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        assert [run.exitcode for run in runs] == [0, 0, 0]
        assert server.requests.pop("SHA256SUMS.txt") == 3
        assert set(server.requests.values()) == {1}
    assert true_files(folder, contents) == set(wanted(contents))


# Paths that would leave the folder


@pytest.mark.parametrize(
    "path",
    [
        "../outside.hea",
        "records100/../../outside.dat",
        "/etc/outside",
        "//host/share",
        "..\\outside",
        "records100\\x.hea",
        "C:/outside",
        "c:outside",
        "records100/a\x00b",
        "records100/a\x1bb",
        "..",
        ".",
    ],
)
def test_an_unsafe_path_is_refused_before_anything_is_fetched(tmp_path: Path, path: str) -> None:
    project = write_project(tmp_path / "served", "ptb-xl", "1.0.3", ptbxl(2))
    with open(project / "SHA256SUMS.txt", "a") as handle:
        handle.write(f"{'0' * 64} {path}\n")
    with (
        PhysioNetServer(tmp_path / "served") as server,
        pytest.raises(AcquireError, match="would leave the download folder"),
    ):
        Download(source(server.url), "ptbxl", 100, tmp_path / "raw/ptbxl", policy=QUICK).fetch()
    assert server.requests == {"SHA256SUMS.txt": 1}
    assert not (tmp_path / "raw/ptbxl").exists()


@pytest.mark.parametrize("link", ["records100", "records100/00000", FIRST, f"{FIRST}.part"])
def test_a_link_out_of_the_folder_is_refused(root: Path, folder: Path, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (folder / link).parent.mkdir(parents=True)
    (folder / link).symlink_to(outside)
    with PhysioNetServer(root) as server, pytest.raises(AcquireError, match="is a symbolic link to"):
        Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch()
    assert server.requests == {"SHA256SUMS.txt": 1}
    assert not list(outside.iterdir())


def test_the_folder_itself_may_be_a_link(root: Path, contents: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "raw").symlink_to(tmp_path / "disk")
    Download(source(root), "ptbxl", 100, tmp_path / "raw").fetch()
    assert true_files(tmp_path / "disk", contents) == set(wanted(contents))


# The list and what is needed of it


def test_flavours_of_the_list_are_read() -> None:
    one, two, three = "a" * 64, "B" * 64, "c" * 64
    raw = f"\ufeff{one} first.csv\r\n\r\n{two}  second with blanks.csv\r\n   \n{three} *./sub//third.dat".encode()
    assert listing.parse(raw) == [
        ProjectFile("first.csv", one),
        ProjectFile("second with blanks.csv", two.lower()),
        ProjectFile("sub/third.dat", three),
    ]


def test_a_file_with_two_sums_is_refused() -> None:
    with pytest.raises(AcquireError, match=r"line 2: x\.csv is listed with two different sums"):
        listing.parse(f"{'a' * 64} x.csv\n{'b' * 64} x.csv\n".encode())
    assert len(listing.parse(f"{'a' * 64} x.csv\n{'a' * 64} x.csv\n".encode())) == 1


def entries(*paths: str) -> list[ProjectFile]:
    return [ProjectFile(path, "0" * 64) for path in paths]


def paths(found: list[ProjectFile]) -> list[str]:
    return [entry.path for entry in found]


PTBXL = entries(*sorted(ptbxl(3)))


@pytest.mark.parametrize(
    ("rate", "kind"), [(50, "records100"), (100, "records100"), (101, "records500"), (500, "records500")]
)
def test_only_the_rate_in_use_is_needed(rate: int, kind: str) -> None:
    found = paths(listing.select_files(PTBXL, "ptbxl", rate))
    suffix = "lr" if kind == "records100" else "hr"
    records = [f"{kind}/00000/{number:05d}_{suffix}.{end}" for number in (1, 2, 3) for end in ("dat", "hea")]
    assert found == [LICENCE, "RECORDS", "ptbxl_database.csv", *records, "scp_statements.csv"]


def test_limit_and_names_choose_whole_records() -> None:
    tables = {LICENCE, "RECORDS", "ptbxl_database.csv", "scp_statements.csv"}
    limited = set(paths(listing.select_files(PTBXL, "ptbxl", 100, limit=2))) - tables
    assert limited == {f"records100/00000/0000{number}_lr.{end}" for number in (1, 2) for end in ("hea", "dat")}
    named = set(paths(listing.select_files(PTBXL, "ptbxl", 500, names=["00003", "00001"], limit=1))) - tables
    assert named == {"records500/00000/00001_hr.hea", "records500/00000/00001_hr.dat"}


def test_unknown_names_are_one_error() -> None:
    with pytest.raises(
        AcquireError, match=r"`records` names 00009, 1, not among the 3 records .* spelled like 00001"
    ) as raised:
        listing.select_files(PTBXL, "ptbxl", 100, names=["00001", "1", "00009"])
    assert "00001, " not in str(raised.value)


ARRHYTHMIA = entries(
    "ConditionNames_SNOMED-CT.csv",
    "RECORDS",
    "WFDBRecords/01/010/RECORDS",
    *(
        f"WFDBRecords/{folder}/JS{number}.{end}"
        for folder, number in (("01/010", "00001"), ("11/110", "10646"), ("11/110", "10647"), ("46/460", "45551"))
        for end in ("hea", "mat")
    ),
)


@pytest.mark.parametrize(
    ("subset", "records"),
    [(None, ["00001", "10646", "10647", "45551"]), ("chapman", ["00001", "10646"]), ("ningbo", ["10647", "45551"])],
)
def test_subsets_of_ecg_arrhythmia(subset: str | None, records: list[str]) -> None:
    found = paths(listing.select_files(ARRHYTHMIA, "ecg_arrhythmia", 100, subset=subset))
    assert [path[-11:-4] for path in found if path.endswith(".mat")] == [f"JS{number}" for number in records]
    assert [path for path in found if "JS" not in path] == ["ConditionNames_SNOMED-CT.csv", "RECORDS"]
    assert len(found) == 2 + 2 * len(records)


@pytest.mark.parametrize(
    ("record", "subset"),
    [
        ("JS00001", "chapman"),
        ("JS10646", "chapman"),
        ("JS10647", "ningbo"),
        ("JS45551", "ningbo"),
        ("E00001", None),
        ("JS", None),
        ("JS00001b", None),
    ],
)
def test_the_number_of_a_record_tells_its_hospital(record: str, subset: str | None) -> None:
    assert subset_of(record) == subset


def test_the_wrong_project_and_no_records_are_said() -> None:
    with pytest.raises(
        AcquireError,
        match=r"does not list ptbxl_database\.csv, scp_statements\.csv: this is no project of format ptbxl",
    ):
        listing.select_files(ARRHYTHMIA, "ptbxl", 100)
    with pytest.raises(AcquireError, match="lists no record of format ecg_arrhythmia and subset chapman"):
        listing.select_files(ARRHYTHMIA[:3], "ecg_arrhythmia", 100, subset="chapman")
    with pytest.raises(AcquireError, match="JS10647"):
        listing.select_files(ARRHYTHMIA, "ecg_arrhythmia", 100, subset="chapman", names=["JS10647"])


def test_half_a_record_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    listing.select_files([entry for entry in PTBXL if entry.path != FIRST], "ptbxl", 100)
    assert "1 records are not listed as one header and one data file: 00001" in caplog.text


# Where it comes from


@pytest.mark.parametrize("form", ["{}", "file://{}", "file:{}", "{}/"])
def test_a_folder_is_copied_and_verified(root: Path, contents: dict[str, bytes], folder: Path, form: str) -> None:
    Download(source(form.format(root)), "ptbxl", 100, folder).fetch()
    assert true_files(folder, contents) == set(wanted(contents))
    copied = folder / FIRST
    copied.write_bytes(b"")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path != copied}
    Download(source(form.format(root)), "ptbxl", 100, folder).fetch()
    assert copied.read_bytes() == contents[FIRST]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_faults_of_a_folder_are_named(tmp_path: Path, contents: dict[str, bytes]) -> None:
    project = write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    (project / FIRST).write_bytes(b"other")
    (project / LICENCE).unlink()
    with pytest.raises(AcquireError) as raised:
        Download(source(tmp_path), "ptbxl", 100, tmp_path / "raw").fetch()
    expected, found = (hashlib.sha256(data).hexdigest() for data in (contents[FIRST], b"other"))
    assert f"{FIRST}: expected SHA-256 {expected}, got {found}" in str(raised.value)
    assert f"{LICENCE}: there is no {project / LICENCE}" in str(raised.value)
    with pytest.raises(AcquireError, match=r"SHA256SUMS.txt of .*nowhere.* could not be read: there is no"):
        Download(source(tmp_path / "nowhere"), "ptbxl", 100, tmp_path / "raw").fetch()


@pytest.mark.parametrize(
    "base", ["s3://", "http://host:port/x", "ftp://host/x", "file://host/x", "http://", "https://host/?a=b"]
)
def test_other_addresses_are_refused(base: str, folder: Path) -> None:
    with pytest.raises(AcquireError, match="`base_url`"):
        Download(source(base), "ptbxl", 100, folder).fetch()


def test_base_url_is_of_the_config_then_the_environment_then_physionets(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = PhysioNetSource(kind="physionet", slug="ptb-xl", version="1.0.3")
    assert sources.resolve_base_url(plain) == "https://physionet.org"
    monkeypatch.setenv("ECGPIPE_PHYSIONET", "/data")
    assert sources.resolve_base_url(plain) == "/data"
    assert sources.resolve_base_url(source("http://mirror")) == "http://mirror"


@pytest.mark.parametrize("lengths", [True, False])
def test_the_plan_counts_what_would_come_and_writes_nothing(
    root: Path, contents: dict[str, bytes], folder: Path, lengths: bool
) -> None:
    need = wanted(contents)
    with PhysioNetServer(root, lengths=lengths) as server:
        plan = Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).plan()
        assert plan == (len(need), sum(map(len, need.values())) if lengths else None, lengths, 0)
        assert server.requests == {"SHA256SUMS.txt": 1}
        assert not folder.parent.exists()
        assert Download(source(root), "ptbxl", 100, folder).plan()[:2] == (len(need), sum(map(len, need.values())))
        Download(source(root), "ptbxl", 100, folder).fetch()
        assert Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).plan() == (0, 0, True, len(need))
        (folder / FIRST).unlink()
        assert Download(source(root), "ptbxl", 100, folder).plan() == (1, len(contents[FIRST]), True, len(need) - 1)


# The network and the disk


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_host_that_is_not_there_is_said_at_once(folder: Path) -> None:
    with pytest.raises(AcquireError, match=r"the host physionet\.invalid was not found.*`base_url`"):
        Download(source("https://physionet.invalid"), "ptbxl", 100, folder).fetch()
    port = free_port()
    with pytest.raises(AcquireError, match=rf"127\.0\.0\.1:{port} cannot be reached"):
        Download(source(f"http://127.0.0.1:{port}"), "ptbxl", 100, folder).fetch()


def test_a_proxy_that_refuses_is_said(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(AcquireError, match=r"the proxy 127\.0\.0\.1:\d+ cannot be reached.*http_proxy"):
        Download(source("http://physionet.invalid"), "ptbxl", 100, folder).fetch()
    with PhysioNetServer(root, {"SHA256SUMS.txt": [Fault("status", status=407)]}) as server:
        monkeypatch.setenv("http_proxy", server.url)
        with pytest.raises(AcquireError, match=r"the proxy refuses .*: 407 .*http_proxy"):
            Download(source("http://physionet.invalid"), "ptbxl", 100, folder).fetch()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_wrong_certificate_is_said(root: Path, folder: Path, tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=other.invalid",
        "-keyout",
        pem,
        "-out",
        tmp_path / "cert.pem",
    ]
    subprocess.run(make, check=True, capture_output=True)
    with open(pem, "ab") as handle:
        handle.write((tmp_path / "cert.pem").read_bytes())
    with (
        PhysioNetServer(root, certificate=pem) as server,
        pytest.raises(AcquireError, match=r"the certificate of 127\.0\.0\.1 is not valid.*SSL_CERT_FILE"),
    ):
        Download(source(server.url), "ptbxl", 100, folder, policy=QUICK).fetch()


def test_a_host_that_leaves_for_a_moment_is_waited_for(
    root: Path, contents: dict[str, bytes], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused connections end the run only if the host never answered."""
    patient = RetryPolicy(max_attempts=30, backoff=0.05, max_backoff=0.1)
    first = PhysioNetServer(root, delay=0.02)
    port = int(first.url.rsplit(":", 1)[1])
    caplog.set_level(logging.INFO)

    def interrupt() -> None:
        with first:
            while sum(first.requests.values()) < 5 and not stop.wait(0.005):
                pass
            first.faults = {path: [Fault("drop")] * 9 for path in contents}  # ends the kept-alive connections
        time.sleep(0.3)
        with PhysioNetServer(root, port=port):
            stop.wait(20)

    stop = threading.Event()
    thread = threading.Thread(target=interrupt)
    thread.start()
    time.sleep(0.05)
    try:
        Download(source(f"http://127.0.0.1:{port}"), "ptbxl", 100, folder, policy=patient).fetch()
    finally:
        stop.set()
        thread.join()
    assert "Cannot connect" in caplog.text
    assert true_files(folder, contents) == set(wanted(contents))


MOUNTED = """
import sys
from pathlib import Path
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.physionet import Download
from ecgpipe.config import PhysioNetSource
for base in sys.argv[2:]:
    for disk in ("full", "readonly"):
        source = PhysioNetSource(kind="physionet", slug="ptb-xl", version="1.0.3", base_url=base)
        try:
            Download(source, "ptbxl", 100, Path(sys.argv[1], disk, "ptbxl")).fetch()
        except AcquireError as error:
            print(error)
"""


def can_mount() -> bool:
    return (
        sys.platform == "linux"
        and shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not can_mount(), reason="needs user namespaces, to mount a small file system")
def test_what_the_disk_refuses_is_said(root: Path, tmp_path: Path) -> None:
    for disk in ("full", "readonly"):
        (tmp_path / disk).mkdir()
    shell = 'mount -t tmpfs -o size=24k none "$0/full" && mount -t tmpfs -o ro none "$0/readonly" && exec "$@"'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with PhysioNetServer(root) as server:
        command = [
            "unshare",
            "-rm",
            "sh",
            "-c",
            shell,
            tmp_path,
            sys.executable,
            "-c",
            MOUNTED,
            tmp_path,
            server.url,
            root,
        ]
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
    messages = run.stdout.splitlines()
    assert len(messages) == 4, run.stderr
    for message in messages[::2]:
        assert message.startswith(f"{tmp_path}/full/")
        assert "the disk is full" in message
    for message in messages[1::2]:
        assert message.startswith(f"{tmp_path}/readonly/")
        assert "not permitted (Read-only file system)" in message


def test_a_complete_folder_needs_nothing_written(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    Download(source(root), "ptbxl", 100, folder).fetch()
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
    Download(source(root), "ptbxl", 100, folder).fetch()
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]} == before


# A whole dataset


def settings(base: str | Path | None, **more: object) -> DatasetSettings:
    return DatasetSettings(
        format="ptbxl",
        source=PhysioNetSource(kind="physionet", slug="ptb-xl", version="1.0.3", base_url=base and str(base), **more),
    )


def test_acquire_writes_the_manifest_beside_the_folder(root: Path, contents: dict[str, bytes], folder: Path) -> None:
    manifest = acquire(settings(root, limit=2), SignalSettings(), folder)
    assert not manifest_path(folder).exists()
    path = write_manifest(folder, manifest)
    assert path == folder.parent / "ptbxl.parquet"
    read = pd.read_parquet(path)
    pd.testing.assert_frame_equal(read, manifest)
    assert len(read) == 4 + 2 * 2
    assert plan_download(settings(root), SignalSettings(rate=500), folder)[0] == 2 * 6


def test_simulated_records_go_through_the_same_door(tmp_path: Path) -> None:
    made = DatasetSettings(format="ptbxl", source={"kind": "simulated", "records": 20, "seed": 1})
    manifest = acquire(made, SignalSettings(), tmp_path / "simulated")
    assert list(manifest.columns) == ["path", "bytes", "sha256"]
    assert all(
        hashlib.sha256((tmp_path / "simulated" / row.path).read_bytes()).hexdigest() == row.sha256
        for row in manifest.itertuples()
    )
    assert plan_download(made, SignalSettings(), tmp_path / "simulated")[:2] == (0, 0)


def test_a_merge_has_nothing_to_acquire(tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match="acquire its members"):
        acquire(DatasetSettings(merge=["a", "b"]), SignalSettings(), tmp_path)


REAL = os.environ.get("ECGPIPE_PHYSIONET")


@pytest.mark.skipif(not REAL, reason="ECGPIPE_PHYSIONET names no folder or address with real records")
@pytest.mark.parametrize(
    ("slug", "version", "format"), [("ptb-xl", "1.0.3", "ptbxl"), ("ecg-arrhythmia", "1.0.0", "ecg_arrhythmia")]
)
def test_real_projects_arrive(tmp_path: Path, slug: str, version: str, format: Format) -> None:
    real = PhysioNetSource(kind="physionet", slug=slug, version=version, base_url=REAL, limit=5)
    manifest = Download(real, format, 100, tmp_path / slug).fetch()
    assert sum(manifest["path"].str.endswith(".hea")) == 5
    assert all(
        hashlib.sha256((tmp_path / slug / row.path).read_bytes()).hexdigest() == row.sha256
        for row in manifest.itertuples()
    )
