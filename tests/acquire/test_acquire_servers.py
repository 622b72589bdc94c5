"""Servers that are wrong on purpose: nothing is without bounds, and every hop of a redirect is checked."""

from __future__ import annotations

import base64
import contextlib
import gzip
import logging
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from physionet_server import Fault, PhysioNetServer
from projects import FIRST, QUICK, ptbxl, source, true_files, wanted, write_project

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.physionet import Download
from ecgpipe.redaction import printable

# Servers


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one answer to every connection, byte by byte as the test says; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _grown_by(work: Callable[[], None]) -> int:
    """Return by how many MB a function raises the greatest size that this process had."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024


def _endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    line = b"0" * 64 + b" x\n"
    while True:
        connection.sendall(line * 10_000)


def _bomb(connection: socket.socket) -> None:
    """Send 4 GB of zeros as 4 MB."""
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + head)
    for _ in range(4096):
        connection.sendall(block)


@pytest.mark.parametrize("answer", [_endless, _bomb])
def test_a_list_without_end_ends_within_bounds(tmp_path: Path, answer: Callable[[socket.socket], None]) -> None:
    def fetch() -> None:
        with pytest.raises(AcquireError, match="more than 64 MB, which is no list of files"):
            Download(source(base), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()

    with answering(answer) as base:
        assert _grown_by(fetch) < 300


def test_a_list_of_a_folder_without_end_ends_within_bounds(tmp_path: Path) -> None:
    project = write_project(tmp_path, "ptb-xl", "1.0.3", ptbxl(2))
    (project / "SHA256SUMS.txt").unlink()
    with open(project / "SHA256SUMS.txt", "wb") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(AcquireError, match="more than 64 MB, which is no list of files"):
        Download(source(tmp_path), "ptbxl", 100, tmp_path / "raw").fetch()
    (project / "SHA256SUMS.txt").unlink()
    os.mkfifo(project / "SHA256SUMS.txt")
    with pytest.raises(AcquireError, match="is no regular file"):
        Download(source(tmp_path), "ptbxl", 100, tmp_path / "raw").fetch()


def test_packed_answers_are_unpacked_and_verified(tmp_path: Path) -> None:
    """A server that packs what it was asked not to pack, as some caches do, and in two pieces."""
    packed = gzip.compress(f"{'0' * 64} x.hea\n".encode()) + gzip.compress(f"{'1' * 64} x.mat\n".encode())

    def answer(connection: socket.socket) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        connection.sendall(head.encode() + packed)

    with answering(answer) as base, pytest.raises(AcquireError, match="expected SHA-256 0000"):
        Download(source(base), "challenge", 100, tmp_path / "raw", policy=QUICK).fetch()


@pytest.mark.parametrize("packing", ["br", "zstd", "gzip, gzip"])
def test_an_unknown_packing_is_told(tmp_path: Path, packing: str) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Encoding: {packing}\r\nContent-Length: 3\r\n\r\nabc".encode())

    with answering(answer) as base, pytest.raises(AcquireError, match=f"packs it as {packing}"):
        Download(source(base), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


def test_reason_phrases_reach_no_terminal_as_codes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 403 \x1b[2J\x1b]0;owned\x07 no\r\nContent-Length: 0\r\n\r\n")

    caplog.set_level(logging.INFO)
    with answering(answer) as base, pytest.raises(AcquireError) as raised:
        Download(source(base), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
    assert "\x1b" not in str(raised.value) + caplog.text
    assert "\x07" not in str(raised.value) + caplog.text
    assert printable("a\x1b[2J\udc80\tb\n") == "a\\x1b[2J\\udc80\tb\n"


# Redirects


def test_a_redirect_elsewhere_gets_no_password_and_the_way_back_does(tmp_path: Path) -> None:
    contents = ptbxl(2)
    write_project(tmp_path, "ptb-xl", "1.0.3", contents)
    with PhysioNetServer(tmp_path) as other, PhysioNetServer(tmp_path) as first:
        there = f"{other.url}/files/ptb-xl/1.0.3/{FIRST}"
        back = f"{first.url}/files/ptb-xl/1.0.3/LICENSE.txt"
        first.faults = {FIRST: [Fault("status", status=302, headers={"Location": there})]}
        first.faults["RECORDS"] = [Fault("status", status=307, headers={"Location": there.replace(FIRST, "RECORDS")})]
        other.faults = {
            "RECORDS": [Fault("status", status=301, headers={"Location": back.replace("LICENSE.txt", "RECORDS")})]
        }
        base = first.url.replace("//", "//user:secret@")
        Download(source(base), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()
        assert {seen.account for seen in other.seen()} == {None}
        own = {seen.account for seen in first.seen()}
    assert own == {f"Basic {base64.b64encode(b'user:secret').decode()}"}
    assert true_files(tmp_path / "raw", contents) == set(wanted(contents))


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("file:///etc/passwd", "redirects to"),
        ("ftp://h/x", "redirects to ftp"),
        ("http://[", "no address"),
    ],
)
def test_redirects_out_of_the_web_are_refused(tmp_path: Path, there: str, said: str) -> None:
    write_project(tmp_path, "ptb-xl", "1.0.3", ptbxl(2))
    fault = Fault("status", status=302, headers={"Location": there})
    with PhysioNetServer(tmp_path, {"SHA256SUMS.txt": [fault] * 99}) as server, pytest.raises(AcquireError, match=said):
        Download(source(server.url), "ptbxl", 100, tmp_path / "raw", policy=QUICK).fetch()


FETCH = """
import sys
from pathlib import Path
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.physionet import Download
from ecgpipe.config import PhysioNetSource
try:
    Download(PhysioNetSource(kind="physionet", slug="ptb-xl", version="1.0.3", base_url=sys.argv[1]), "ptbxl", 100,
             Path(sys.argv[2])).fetch()
except AcquireError as error:
    sys.exit(f"ERROR: {error}")
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_every_hop_of_a_redirect_is_encrypted_if_the_first_is(tmp_path: Path) -> None:
    """https to http to https: whoever is between may answer as the second."""
    pem, cert = tmp_path / "server.pem", tmp_path / "cert.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*make.split(), "-keyout", pem, "-out", cert], check=True, capture_output=True)
    pem.write_bytes(pem.read_bytes() + cert.read_bytes())
    write_project(tmp_path / "true", "ptb-xl", "1.0.3", ptbxl(2))
    write_project(tmp_path / "false", "ptb-xl", "1.0.3", ptbxl(3))
    environment = {**os.environ, "SSL_CERT_FILE": str(cert)}
    sums = "files/ptb-xl/1.0.3/SHA256SUMS.txt"
    with (
        PhysioNetServer(tmp_path / "false", certificate=pem) as impostor,
        PhysioNetServer(tmp_path / "false") as between,
        PhysioNetServer(tmp_path / "true", certificate=pem) as first,
    ):
        between.faults = {
            "SHA256SUMS.txt": [Fault("status", status=302, headers={"Location": f"{impostor.url}/{sums}"})]
        }
        plain = Fault("status", status=302, headers={"Location": f"{between.url}/{sums}"})
        safe = Fault("status", status=302, headers={"Location": f"{first.url}/{sums}?again"})
        for fault, said in ((plain, "redirects to the unencrypted 127.0.0.1"), (safe, "")):
            first.faults = {"SHA256SUMS.txt": [fault]}
            first.requests.clear()
            command = [sys.executable, "-c", FETCH, first.url, str(tmp_path / "raw")]
            run = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert said in run.stderr
            assert run.returncode == (1 if said else 0), run.stderr
        assert not between.requests
        assert not impostor.requests
