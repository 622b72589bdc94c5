"""Where a project's files come from: an HTTP server, met with patience, or a folder."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hashlib
import importlib.metadata
import logging
import re
import shutil
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import aiohttp
import tenacity
from yarl import URL

from ecgpipe import files
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import SUMS, Entry

logger = logging.getLogger(__name__)

T = TypeVar("T")

CHUNK = 1 << 16
REDIRECTS = 5
BUSY = {408, 425, 429, 500, 502, 503, 504}
"""Answers after which the same request may succeed later."""


@dataclass(frozen=True)
class Transfer:
    """How patiently files are fetched over HTTP; times in seconds."""

    connect: float = 30.0
    """Most time to set up a connection."""
    stall: float = 60.0
    """Most time without a byte."""
    total: float = 600.0
    """Most time of one request; what came until then is kept, and the next request asks for the rest."""
    attempts: int = 10
    """Requests for a file before it is given up."""
    copies: int = 3
    """Of these, answers that are whole but wrong before it is given up."""
    delay: float = 1.0
    """Wait before the second attempt; doubles with each further one, plus a random part of up to ``delay``."""
    longest_delay: float = 120.0
    """Longest such wait."""
    longest_pause: float = 600.0
    """Longest wait that a server's ``Retry-After`` is granted."""


POLITE = Transfer()


class FileFailed(Exception):
    """One file that could not be had; the message says why, without its name."""


class Again(Exception):
    """An attempt that failed but may succeed later, at the earliest ``after`` seconds from now."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Wrong(Again):
    """An answer that came whole and is wrong."""


def parsed(raw: bytes, parse: Callable[[bytes], T]) -> T:
    """Return what ``parse`` makes of an answer.

    Raises:
        Wrong: if it raises ValueError.
    """
    try:
        return parse(raw)
    except ValueError as error:
        raise Wrong(str(error)) from None


async def retried(path: str, attempt: Callable[[], Awaitable[T]], policy: Transfer) -> T:
    """Repeat an attempt that may raise :class:`Again`, with growing waits, as long as the policy allows.

    Raises:
        FileFailed: with the reason of the last attempt.
    """
    backoff = tenacity.wait_exponential(multiplier=policy.delay, max=policy.longest_delay) + tenacity.wait_random(
        0, policy.delay
    )
    wrong = 0

    def error_of(state: tenacity.RetryCallState) -> Again:
        error = state.outcome and state.outcome.exception()
        assert isinstance(error, Again)
        return error

    def enough(state: tenacity.RetryCallState) -> bool:
        nonlocal wrong
        wrong += isinstance(error_of(state), Wrong)
        return wrong >= policy.copies or state.attempt_number >= policy.attempts

    def log(state: tenacity.RetryCallState) -> None:
        level = logging.INFO if state.attempt_number < 3 else logging.WARNING
        logger.log(
            level,
            "%s: %s; attempt %d of %d in %.1f s",
            path,
            error_of(state),
            state.attempt_number + 1,
            policy.attempts,
            state.upcoming_sleep,
        )

    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(Again),
        stop=enough,
        wait=lambda state: max(backoff(state), error_of(state).after),
        before_sleep=log,
        reraise=True,
    )
    try:
        return await retrying(attempt)
    except Again as error:
        raise FileFailed(f"{error} (attempt {retrying.statistics['attempt_number']})") from error


class Mirror(Protocol):
    """A place that holds a project; used as an async context manager."""

    async def __aenter__(self) -> Mirror: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        """Return what ``parse`` makes of a small file; a ValueError of ``parse`` means a damaged copy."""
        ...

    async def size(self, path: str) -> int | None:
        """Return a file's bytes, or None if the place does not say."""
        ...

    async def fetch(self, entry: Entry, target: Path) -> int:
        """Bring a file to ``target``, true to its sum, by way of ``<target>.part``; return its bytes."""
        ...


def part_of(target: Path) -> Path:
    """Return where a file lies until it is whole and true."""
    return target.with_name(f"{target.name}.part")


class FolderMirror:
    """A project in a local folder; files are copied and verified like any other.

    Args:
        folder: holds the project's files.
        listed: whether it must hold a ``SHA256SUMS.txt``; otherwise, where there is none, one is made of what is there.
    """

    def __init__(self, folder: Path, listed: bool = True) -> None:
        self._folder = folder
        self._listed = listed

    def __str__(self) -> str:
        return str(self._folder)

    async def __aenter__(self) -> FolderMirror:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        if path == SUMS and not self._listed and self._folder.is_dir() and not (self._folder / SUMS).exists():
            raw = await asyncio.to_thread(_sums, self._folder)
        else:
            with self._found(path):
                raw = (self._folder / path).read_bytes()
        try:
            return parse(raw)
        except ValueError as error:
            raise FileFailed(str(error)) from None

    async def size(self, path: str) -> int | None:
        with self._found(path):
            return (self._folder / path).stat().st_size

    async def fetch(self, entry: Entry, target: Path) -> int:
        return await asyncio.to_thread(self._copy, entry, target)

    def _copy(self, entry: Entry, target: Path) -> int:
        part = part_of(target)
        with self._found(entry.path):
            shutil.copyfile(self._folder / entry.path, part)
        if (got := files.sha256(part)) != entry.sha256:
            part.unlink()
            raise FileFailed(f"expected SHA-256 {entry.sha256}, got {got}")
        size = part.stat().st_size
        part.replace(target)
        return size

    @contextlib.contextmanager
    def _found(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise FileFailed(f"there is no {self._folder / path}") from None


class HttpMirror:
    """A project on an HTTP server, fetched over a few kept-alive connections."""

    def __init__(self, base: URL, connections: int, policy: Transfer) -> None:
        self._base = base
        self._connections = connections
        self._policy = policy
        self._resume_at = 0.0
        self._answered = False

    def __str__(self) -> str:
        return str(self._base.with_user(None).with_query(None))

    async def __aenter__(self) -> HttpMirror:
        policy = self._policy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=policy.total, sock_connect=policy.connect, sock_read=policy.stall),
            # Compressed answers could not be resumed by byte, and would not match the listed sums.
            headers={"User-Agent": f"{user_agent()} (aiohttp/{aiohttp.__version__})", "Accept-Encoding": "identity"},
            trust_env=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        async def attempt() -> T:
            async with self._answer("GET", path) as response:
                raw = await response.read()
            return parsed(raw, parse)

        return await retried(path, attempt, self._policy)

    async def size(self, path: str) -> int | None:
        async def attempt() -> int | None:
            async with self._answer("HEAD", path) as response:
                return response.content_length

        return await retried(path, attempt, self._policy)

    async def fetch(self, entry: Entry, target: Path) -> int:
        part = part_of(target)

        async def attempt() -> int:
            hasher, have = _hash_so_far(part)
            if have == 0 or hasher.hexdigest() != entry.sha256:
                hasher, have = await self._complete(entry.path, part, hasher, have)
            if (got := hasher.hexdigest()) != entry.sha256:
                part.unlink()
                raise Wrong(f"expected SHA-256 {entry.sha256}, got {got} ({have} bytes)")
            part.replace(target)
            return have

        return await retried(entry.path, attempt, self._policy)

    async def bring(self, path: str, target: Path, check: Callable[[Path], None]) -> int:
        """Bring a file of which no sum is known; ``check`` raises ValueError if what came is not it. Returns its bytes."""
        part = part_of(target)

        async def attempt() -> int:
            _, have = await self._complete(path, part, *_hash_so_far(part))
            try:
                check(part)
            except ValueError as error:
                part.unlink()
                raise Wrong(f"{error} ({have} bytes)") from None
            part.replace(target)
            return have

        return await retried(path, attempt, self._policy)

    async def _complete(self, path: str, part: Path, hasher: hashlib._Hash, have: int) -> tuple[hashlib._Hash, int]:
        """Fetch what ``part`` lacks of a file, of which it has ``have`` bytes; return the hash and number of all."""
        async with self._answer("GET", path, start=have) as response:
            if response.status == 416 and _total(response) == have:
                return hasher, have
            if response.status == 416 or (response.status == 206 and not _continues(response, have)):
                part.unlink(missing_ok=True)
                raise Again("the server could not resume the file")
            if response.status == 200 and have:
                hasher, have = hashlib.sha256(), 0
            with open(part, "ab" if have else "wb") as handle:
                async for chunk in response.content.iter_chunked(CHUNK):
                    handle.write(chunk)
                    hasher.update(chunk)
                    have += len(chunk)
        return hasher, have

    @contextlib.asynccontextmanager
    async def _answer(self, method: str, path: str, start: int = 0) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield a usable answer, its body unread; whatever goes wrong until the end of the block is raised in this module's terms."""
        while (pause := self._resume_at - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            async with self._session.request(
                method, self._base.joinpath(path), headers=headers, max_redirects=REDIRECTS
            ) as response:
                self._answered = True
                self._check(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._explained(error) from error

    def _check(self, response: aiohttp.ClientResponse) -> None:
        """Raise unless the answer holds (a part of) the file or says that the file cannot be resumed."""
        status = response.status
        if self._base.scheme == "https" and response.url.scheme != "https":
            raise AcquireError(f"{self} redirects to the unencrypted {response.url.host}; this is not followed")
        if status in (200, 206, 416):
            return
        if status in BUSY:
            after = min(_retry_after(response.headers.get("Retry-After", "")), self._policy.longest_pause)
            self._resume_at = max(self._resume_at, time.monotonic() + after)
            raise Again(f"the server answers {status} {response.reason}", after)
        if status == 407:
            raise AcquireError(
                f"the proxy refuses {self}: {status} {response.reason}. Check http_proxy, https_proxy and no_proxy."
            )
        if status in (404, 410):
            raise FileFailed(f"the server does not have it ({status})")
        raise FileFailed(f"the server answers {status} {response.reason}")

    def _explained(self, error: Exception) -> Exception:
        """Turn an error of the connection into one that is worth another attempt, or one that is not.

        A host that never answered has a wrong address; one that did may be having a bad moment.
        """
        host = self._base.host
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return AcquireError(
                f"the certificate of {host} is not valid: {error.certificate_error}. Check `base_url`; if your network has its own authority, name its certificates in SSL_CERT_FILE."
            )
        if isinstance(error, aiohttp.InvalidURL):
            return FileFailed(f"not an address: {error}")
        if isinstance(error, aiohttp.TooManyRedirects):
            return Wrong(f"more than {REDIRECTS} redirects")
        if not self._answered:
            if isinstance(error, aiohttp.ClientProxyConnectionError):
                return AcquireError(
                    f"the proxy {error.host}:{error.port} cannot be reached: {error.os_error}. Check http_proxy, https_proxy and no_proxy."
                )
            if isinstance(error, aiohttp.ClientHttpProxyError):
                return AcquireError(
                    f"the proxy refuses {host}: {error.status} {error.message}. Check http_proxy, https_proxy and no_proxy."
                )
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, socket.gaierror):
                return AcquireError(
                    f"the host {host} was not found: {error.os_error.strerror}. Check `base_url` and the network; a downloaded copy can be given as a folder."
                )
            if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
                return AcquireError(
                    f"{host}:{self._base.port} cannot be reached: {error}. Check `base_url` and the network; a downloaded copy can be given as a folder."
                )
        if isinstance(error, TimeoutError):
            return Again(f"too slow: {error or f'not done after {self._policy.total:g} s'}")
        return Again(f"the connection failed: {error or type(error).__name__}")


def _sums(folder: Path) -> bytes:
    """Return a ``SHA256SUMS.txt`` of all files below a folder but hidden ones.

    Raises:
        AcquireError: if a file's name cannot stand in such a list.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    shown = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    for name in shown:
        if not name.isprintable():  # a line break, or bytes that are not UTF-8
            raise AcquireError(f"{folder}: the file name {name!r} cannot stand in a list of files; rename or remove it")
    return "".join(f"{files.sha256(folder / name)} {name}\n" for name in shown).encode()


def user_agent() -> str:
    """Return how this project introduces itself to servers."""
    try:
        version = importlib.metadata.version("ecgpipe")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        version = "unreleased"
    return f"ecgpipe/{version}"


def _hash_so_far(part: Path) -> tuple[hashlib._Hash, int]:
    """Return the running SHA-256 and the size of what an earlier attempt left."""
    hasher = hashlib.sha256()
    try:
        with open(part, "rb") as handle:
            while chunk := handle.read(CHUNK):
                hasher.update(chunk)
            return hasher, handle.tell()
    except FileNotFoundError:
        return hasher, 0


def _continues(response: aiohttp.ClientResponse, start: int) -> bool:
    """Say whether a 206 answer begins at byte ``start``."""
    match = re.match(r"bytes ([0-9]+)-", response.headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == start and "Content-Encoding" not in response.headers


def _total(response: aiohttp.ClientResponse) -> int | None:
    """Return the bytes of the whole file as a 416 answer tells them."""
    match = re.fullmatch(r"bytes \*/([0-9]+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _retry_after(value: str) -> float:
    """Return the seconds that a ``Retry-After`` header asks for (a number or an HTTP date), 0 if it says nothing of use."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
