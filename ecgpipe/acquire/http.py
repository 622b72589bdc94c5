"""A project on an HTTP server: parallel downloads, resumed by byte range, with retries."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hashlib
import re
import socket
import time
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import aiohttp
from yarl import URL

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import MAX_LIST_BYTES, ProjectFile
from ecgpipe.acquire.mirror import CHUNK, checksum_mismatch, partial_path, user_agent
from ecgpipe.acquire.retry import CorruptResponse, FileFailed, RetryPolicy, TransientError, parse_response, with_retries

T = TypeVar("T")

MAX_REDIRECTS = 5
REDIRECTS = {301, 302, 303, 307, 308}
MAX_FILE_BYTES = 8 << 30
"""Bytes of the largest single file that is taken; a day of twelve leads at 1000 Hz has 2 GB."""
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
            # Compressed answers could not be resumed by byte. A server that sends them nevertheless is unpacked by
            # _body, which yields a bomb piece by piece.
            auto_decompress=False,
            headers={"User-Agent": f"{user_agent()} (aiohttp/{aiohttp.__version__})", "Accept-Encoding": "identity"},
            trust_env=True,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        async def attempt() -> T:
            raw = bytearray()
            async with self._request("GET", path) as response:
                async for chunk in _body(response):
                    raw += chunk
                    if len(raw) > MAX_LIST_BYTES:
                        raise FileFailed(f"it has more than {MAX_LIST_BYTES >> 20} MB, which is no list of files")
            return parse_response(bytes(raw), parse)

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
                hasher, have = await self._download_rest(file.source_path, part, hasher, have, MAX_FILE_BYTES)
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
            _, have = await self._download_rest(path, part, *_hash_partial(part), most=None)
            try:
                await asyncio.to_thread(check, part)
            except ValueError as error:
                part.unlink()
                raise CorruptResponse(f"{error} ({have} bytes)") from None
            part.replace(target)
            return have

        return await with_retries(path, attempt, self._policy)

    async def _download_rest(
        self, path: str, part: Path, hasher: hashlib._Hash, have: int, most: int | None
    ) -> tuple[hashlib._Hash, int]:
        """Fetch what ``part`` lacks of a file after its ``have`` bytes; return the hash and the number of all bytes.

        Raises:
            FileFailed: if there are more than ``most`` bytes.
        """
        async with self._request("GET", path, start=have) as response:
            if response.status == 416 and _full_size(response) == have:
                return hasher, have
            if response.status == 416 or (response.status == 206 and not _resumes_at(response, have)):
                part.unlink(missing_ok=True)
                raise TransientError("the server could not resume the file")
            if response.status == 200 and have:
                hasher, have = hashlib.sha256(), 0
            with open(part, "ab" if have else "wb") as handle:
                async for chunk in _body(response):
                    handle.write(chunk)
                    hasher.update(chunk)
                    have += len(chunk)
                    if most is not None and have > most:
                        break
        if most is not None and have > most:
            part.unlink()
            raise FileFailed(f"it has more than {most >> 30} GB, which is no record")
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
            async with await self._follow(method, self._base.joinpath(path), headers) as response:
                self._has_answered = True
                self._check_status(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError, UnicodeError) as error:
            raise self._explain(error) from error

    async def _follow(self, method: str, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """Return the answer that redirects lead to, each hop checked.

        Raises:
            AcquireError: if a redirect leaves encryption, or HTTP.
            CorruptResponse: if there are more than :data:`MAX_REDIRECTS`.
        """
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._session.request(method, url, headers=headers, allow_redirects=False)
            if response.status not in REDIRECTS or "Location" not in response.headers:
                return response
            self._has_answered = True
            response.release()
            url = self._next_hop(url, response.headers["Location"])
        raise CorruptResponse(f"more than {MAX_REDIRECTS} redirects")

    def _next_hop(self, url: URL, location: str) -> URL:
        """Return where a redirect leads to: with this server's user and password if it stays here, else without."""
        try:
            there = url.join(URL(location)).with_user(None)
        except ValueError:
            raise FileFailed("the server redirects to what is no address") from None
        if there.scheme not in ("http", "https") or not there.host:
            raise AcquireError(f"{self} redirects to {there.scheme}:, which is no web address; this is not followed")
        if url.scheme == "https" and there.scheme != "https":
            raise AcquireError(f"{self} redirects to the unencrypted {there.host}; this is not followed")
        if there.origin() == self._base.origin():
            return there.with_user(self._base.user).with_password(self._base.password)
        return there

    def _check_status(self, response: aiohttp.ClientResponse) -> None:
        """Raise unless the answer holds (part of) the file, or says that the file cannot be resumed."""
        status = response.status
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
        if isinstance(error, UnicodeError):  # of the codec for names of hosts
            return AcquireError(f"`base_url`: {host} cannot be the name of a host ({error}). {CHECK_NETWORK}")
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


async def _body(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the bytes of an answer in pieces of at most :data:`CHUNK`, unpacked if the server packed them unasked.

    Raises:
        FileFailed: if they are packed in a way that is not known.
        CorruptResponse: if they cannot be unpacked.
    """
    packing = response.headers.get("Content-Encoding", "identity").lower()
    if packing == "identity":
        async for chunk in response.content.iter_chunked(CHUNK):
            yield chunk
        return
    if packing not in ("gzip", "x-gzip", "deflate"):
        raise FileFailed(f"the server packs it as {packing}, though it was asked not to")
    wbits = 47  # finds out by itself whether it is gzip or zlib
    unpacker = zlib.decompressobj(wbits)
    try:
        async for packed in response.content.iter_chunked(CHUNK):
            while packed:
                if unpacker.eof:  # gzip may be several pieces in a row
                    unpacker = zlib.decompressobj(wbits)
                yield unpacker.decompress(packed, CHUNK)
                packed = unpacker.unconsumed_tail or unpacker.unused_data
    except zlib.error as error:
        raise CorruptResponse(f"it cannot be unpacked: {error}") from None
    if not unpacker.eof:
        raise CorruptResponse("it ends before its packing does")


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
