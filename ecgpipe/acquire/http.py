"""A project on an HTTP server: parallel downloads, resumed by byte range, with retries."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hashlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
from yarl import URL

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.acquire.mirror import CHUNK, checksum_mismatch, partial_path, user_agent
from ecgpipe.acquire.retry import CorruptResponse, FileFailed, RetryPolicy, TransientError, parse_response, with_retries

T = TypeVar("T")

MAX_REDIRECTS = 5
RETRIED_STATUS = {408, 425, 429, 500, 502, 503, 504}
"""HTTP status codes after which the same request may succeed later."""
CHECK_PROXY = "Check http_proxy, https_proxy and no_proxy."
CHECK_NETWORK = "Check `base_url` and the network; a downloaded copy can be given as a folder."


class HttpMirror:
    """A project on an HTTP server, fetched over a few kept-alive connections."""

    def __init__(self, base: URL, connections: int, policy: RetryPolicy) -> None:
        self._base = base
        self._connections = connections
        self._policy = policy
        self._paused_until = 0.0
        self._has_answered = False

    def __str__(self) -> str:
        return str(self._base.with_user(None).with_query(None))

    async def __aenter__(self) -> HttpMirror:
        policy = self._policy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=aiohttp.ClientTimeout(
                total=policy.total_timeout, sock_connect=policy.connect_timeout, sock_read=policy.read_timeout
            ),
            # Compressed answers could not be resumed by byte, and would not match the listed sums.
            headers={"User-Agent": f"{user_agent()} (aiohttp/{aiohttp.__version__})", "Accept-Encoding": "identity"},
            trust_env=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        async def attempt() -> T:
            async with self._request("GET", path) as response:
                raw = await response.read()
            return parse_response(raw, parse)

        return await with_retries(path, attempt, self._policy)

    async def size(self, path: str) -> int | None:
        async def attempt() -> int | None:
            async with self._request("HEAD", path) as response:
                return response.content_length

        return await with_retries(path, attempt, self._policy)

    async def fetch(self, file: ProjectFile, target: Path) -> int:
        part = partial_path(target)

        async def attempt() -> int:
            hasher, have = _hash_partial(part)
            if have == 0 or hasher.hexdigest() != file.sha256:
                hasher, have = await self._download_rest(file.path, part, hasher, have)
            if (found := hasher.hexdigest()) != file.sha256:
                part.unlink()
                raise CorruptResponse(f"{checksum_mismatch(file, found)} ({have} bytes)")
            part.replace(target)
            return have

        return await with_retries(file.path, attempt, self._policy)

    async def download(self, path: str, target: Path, check: Callable[[Path], None]) -> int:
        """Bring a file without a known checksum to ``target`` and return its size in bytes.

        ``check`` raises ValueError if what arrived is not that file.
        """
        part = partial_path(target)

        async def attempt() -> int:
            _, have = await self._download_rest(path, part, *_hash_partial(part))
            try:
                check(part)
            except ValueError as error:
                part.unlink()
                raise CorruptResponse(f"{error} ({have} bytes)") from None
            part.replace(target)
            return have

        return await with_retries(path, attempt, self._policy)

    async def _download_rest(
        self, path: str, part: Path, hasher: hashlib._Hash, have: int
    ) -> tuple[hashlib._Hash, int]:
        """Fetch what ``part`` lacks of a file after its ``have`` bytes; return the hash and the number of all bytes."""
        async with self._request("GET", path, start=have) as response:
            if response.status == 416 and _full_size(response) == have:
                return hasher, have
            if response.status == 416 or (response.status == 206 and not _resumes_at(response, have)):
                part.unlink(missing_ok=True)
                raise TransientError("the server could not resume the file")
            if response.status == 200 and have:
                hasher, have = hashlib.sha256(), 0
            with open(part, "ab" if have else "wb") as handle:
                async for chunk in response.content.iter_chunked(CHUNK):
                    handle.write(chunk)
                    hasher.update(chunk)
                    have += len(chunk)
        return hasher, have

    @contextlib.asynccontextmanager
    async def _request(self, method: str, path: str, start: int = 0) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield a usable answer, its body unread.

        Whatever goes wrong until the end of the block is raised as one of this package's errors.
        """
        while (pause := self._paused_until - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            async with self._session.request(
                method, self._base.joinpath(path), headers=headers, max_redirects=MAX_REDIRECTS
            ) as response:
                self._has_answered = True
                self._check_status(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._explain(error) from error

    def _check_status(self, response: aiohttp.ClientResponse) -> None:
        """Raise unless the answer holds (part of) the file, or says that the file cannot be resumed."""
        status = response.status
        if self._base.scheme == "https" and response.url.scheme != "https":
            raise AcquireError(f"{self} redirects to the unencrypted {response.url.host}; this is not followed")
        if status in (200, 206, 416):
            return
        if status in RETRIED_STATUS:
            after = min(_retry_after(response.headers.get("Retry-After", "")), self._policy.max_retry_after)
            self._paused_until = max(self._paused_until, time.monotonic() + after)
            raise TransientError(f"the server answers {status} {response.reason}", after)
        if status == 407:
            raise AcquireError(f"the proxy refuses {self}: {status} {response.reason}. {CHECK_PROXY}")
        if status in (404, 410):
            raise FileFailed(f"the server does not have it ({status})")
        raise FileFailed(f"the server answers {status} {response.reason}")

    def _explain(self, error: Exception) -> Exception:
        """Turn a connection error into one that is worth a retry, or one that is not.

        A host that never answered probably has a wrong address; one that did may answer again.
        """
        host = self._base.host
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return AcquireError(
                f"the certificate of {host} is not valid: {error.certificate_error}. Check `base_url`; if your network "
                "has its own certificate authority, name its certificates in SSL_CERT_FILE."
            )
        if isinstance(error, aiohttp.InvalidURL):
            return FileFailed(f"not an address: {error}")
        if isinstance(error, aiohttp.TooManyRedirects):
            return CorruptResponse(f"more than {MAX_REDIRECTS} redirects")
        if not self._has_answered:
            if isinstance(error, aiohttp.ClientProxyConnectionError):
                return AcquireError(
                    f"the proxy {error.host}:{error.port} cannot be reached: {error.os_error}. {CHECK_PROXY}"
                )
            if isinstance(error, aiohttp.ClientHttpProxyError):
                return AcquireError(f"the proxy refuses {host}: {error.status} {error.message}. {CHECK_PROXY}")
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, socket.gaierror):
                return AcquireError(f"the host {host} was not found: {error.os_error.strerror}. {CHECK_NETWORK}")
            if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
                return AcquireError(f"{host}:{self._base.port} cannot be reached: {error}. {CHECK_NETWORK}")
        if isinstance(error, TimeoutError):
            return TransientError(f"too slow: {error or f'not done after {self._policy.total_timeout:g} s'}")
        return TransientError(f"the connection failed: {error or type(error).__name__}")


def _hash_partial(part: Path) -> tuple[hashlib._Hash, int]:
    """Return the running SHA-256 and the size of what an earlier attempt left behind."""
    hasher = hashlib.sha256()
    try:
        with open(part, "rb") as handle:
            while chunk := handle.read(CHUNK):
                hasher.update(chunk)
            return hasher, handle.tell()
    except FileNotFoundError:
        return hasher, 0


def _resumes_at(response: aiohttp.ClientResponse, start: int) -> bool:
    """Return whether a 206 answer begins at byte ``start``."""
    match = re.match(r"bytes ([0-9]+)-", response.headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == start and "Content-Encoding" not in response.headers


def _full_size(response: aiohttp.ClientResponse) -> int | None:
    """Return the size of the whole file in bytes, as a 416 answer gives it."""
    match = re.fullmatch(r"bytes \*/([0-9]+)", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _retry_after(value: str) -> float:
    """Return the seconds that a ``Retry-After`` header asks for (a number or an HTTP date), 0 if it is unusable."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, date.timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
