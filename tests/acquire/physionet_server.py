"""A local server in PhysioNet's layout that misbehaves where it is told to.

``with PhysioNetServer(root, faults={"RECORDS": [Fault("drop"), None, Fault("status", status=503)]}) as server:`` serves
``root`` (which holds ``files/<slug>/<version>/``) at ``server.url``. The n-th GET of a file meets the n-th entry of its
list of faults, later ones none. Also runs by itself: ``python physionet_server.py ROOT [PORT]``.
"""

from __future__ import annotations

import collections
import http.server
import re
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """One way to answer wrongly.

    ``drop`` closes the connection after half the body; ``short`` sends half the body and closes with the full length
    announced; ``truncate`` announces and sends half the body; ``overlong`` announces more than it sends and keeps the
    connection open; ``flip`` sends one wrong byte; ``status`` answers with a status and headers; ``stall`` sends half
    and then nothing for ``seconds``; ``drip`` sends ``step`` bytes every ``seconds``; ``loop`` redirects to itself;
    ``range`` answers a Range with the right status and the wrong byte positions; ``slow`` answers correctly after
    ``seconds``.
    """

    kind: Literal["drop", "short", "truncate", "overlong", "flip", "status", "stall", "drip", "loop", "range", "slow"]
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 60.0
    step: int = 16


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it."""

    method: str
    path: str
    range: str | None
    agent: str | None
    account: str | None
    """Its ``Authorization``."""
    sent: int
    at: float
    """Time of the request, by ``time.time``."""


class PhysioNetServer:
    """Serves a folder over loopback in threads, keeps count, and stops at the end of its ``with`` block."""

    def __init__(
        self,
        root: str | Path,
        faults: Mapping[str, Sequence[Fault | None]] | None = None,
        *,
        ranges: bool = True,
        lengths: bool = True,
        delay: float = 0.0,
        certificate: Path | None = None,
        port: int = 0,
    ) -> None:
        self.root = Path(root)
        self.faults = dict(faults or {})
        self.ranges, self.lengths, self.delay = ranges, lengths, delay
        self.requests: collections.Counter[str] = collections.Counter()
        """GET requests by path below the project's folder."""
        self.busiest = 0
        """Most requests answered at the same time."""
        self._now = 0
        self._seen: list[Seen] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _Server(("127.0.0.1", port), handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> PhysioNetServer:
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def seen(self, name: str | None = None) -> list[Seen]:
        """Return the requests answered so far (of one file) in their order, once none is being answered."""
        while self._now:
            time.sleep(0.005)
        return sorted((seen for seen in self._seen if name in (None, seen.path)), key=lambda seen: seen.at)

    def begin(self, name: str, counts: bool) -> Fault | None:
        """Count a request and return the fault that it meets."""
        with self._lock:
            self._now += 1
            self.busiest = max(self.busiest, self._now)
            if not counts:
                return None
            turn = self.requests[name]
            self.requests[name] += 1
        faults = self.faults.get(name, ())
        return faults[turn] if turn < len(faults) else None

    def end(self, seen: Seen) -> None:
        with self._lock:
            self._now -= 1
            self._seen.append(seen)

    def wait(self, seconds: float) -> None:
        """Sleep, but not past the server's end."""
        self._stopping.wait(seconds)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *request: object) -> None:
        """Say what went wrong here, but not that a client left."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(*request)


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: PhysioNetServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def _serve(self, with_body: bool) -> None:
        began = time.time()
        self.sent = 0
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/")
        match = re.match(r"files/[^/]+/[^/]+/(.+)", path)
        name = match[1] if match else path
        fault = self.owner.begin(name, counts=with_body)
        try:
            self.owner.wait(self.owner.delay)
            self._answer(self.owner.root / path, fault, with_body)
            self.wfile.flush()
        except (ConnectionError, ValueError):  # the client left
            self.close_connection = True
        finally:
            told = (self.headers[key] for key in ("Range", "User-Agent", "Authorization"))
            self.owner.end(Seen(self.command, name, *told, self.sent, began))

    def _answer(self, file: Path, fault: Fault | None, with_body: bool) -> None:
        kind = fault.kind if fault else None
        if fault and kind == "slow":
            self.owner.wait(fault.seconds)
        if fault and kind == "status":
            return self._empty(fault.status, fault.headers)
        if kind == "loop":
            return self._empty(302, {"Location": self.path})
        if not file.is_file():
            return self._empty(404, {})
        body = file.read_bytes()
        start, total = self._start(), len(body)
        if start is not None and start >= total:
            return self._empty(416, {"Content-Range": f"bytes */{total}"})
        self.send_response(200 if start is None else 206)
        if start is not None:
            told = 0 if kind == "range" else start
            self.send_header("Content-Range", f"bytes {told}-{total - 1}/{total}")
        body = body[start or 0 :]
        half = body[: len(body) // 2]
        if kind == "flip":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if kind == "truncate":
            body = half
        length = len(body) + (7 if kind == "overlong" else 0)
        if with_body or self.owner.lengths:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if not with_body:
            return None
        if kind in ("drop", "short", "stall"):
            self._send(half)
            if fault and kind == "stall":
                self.owner.wait(fault.seconds)
            self.close_connection = True
            if kind == "drop":  # closing with the option set resets the connection
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault and kind == "drip":
            for begin in range(0, len(body), fault.step):
                self._send(body[begin : begin + fault.step])
                self.owner.wait(fault.seconds)
        else:
            self._send(body)
            if fault and kind == "overlong":
                self.wfile.flush()
                self.owner.wait(fault.seconds)
                self.close_connection = True
        return None

    def _start(self) -> int | None:
        """Return the first byte that a Range header asks for."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        return int(match[1]) if match and self.owner.ranges else None

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.sent += len(data)

    def _empty(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    with PhysioNetServer(sys.argv[1], port=int(sys.argv[2]) if len(sys.argv) > 2 else 0) as server:
        print(server.url, flush=True)
        threading.Event().wait()
