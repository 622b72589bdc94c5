"""A project in an S3 bucket, read by s3fs, fsspec's file system for it: ``pip install 'ecgpipe[s3]'``."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import ProjectFile
from ecgpipe.acquire.mirror import checksum_mismatch, partial_path, user_agent
from ecgpipe.acquire.retry import CorruptResponse, FileFailed, RetryPolicy, TransientError, parse_response, with_retries

T = TypeVar("T")

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")
"""Environment variables that name an account; without one of them a bucket is read anonymously."""


class S3Mirror:
    """A project in a bucket.

    Files are read whole and downloads are not resumed: the largest file of a project has a few megabytes. The library
    takes the server and the account from the environment (``AWS_ENDPOINT_URL``, ``AWS_PROFILE`` ...).

    Args:
        bucket: the bucket and the path in it that holds the project.
        policy: time-outs and retries.

    Raises:
        AcquireError: if s3fs is not installed.
    """

    def __init__(self, bucket: str, policy: RetryPolicy) -> None:
        self._root = bucket
        self._policy = policy
        self._has_answered = False
        try:
            import s3fs
        except ImportError as error:
            raise AcquireError(f"{self} is read by a package that is not here: pip install 'ecgpipe[s3]'") from error
        self._store = s3fs.S3FileSystem(
            anon=not any(os.environ.get(name) for name in CREDENTIALS),
            config_kwargs={
                "user_agent_extra": user_agent(),
                "connect_timeout": policy.connect_timeout,
                "read_timeout": policy.read_timeout,
                "retries": {"total_max_attempts": 1},
            },
            max_concurrency=1,  # otherwise it asks for each file's size before it fetches the file
            skip_instance_cache=True,
        )
        self._store.retries = 1  # one request an attempt: with_retries repeats them

    def __str__(self) -> str:
        return f"s3://{self._root}"

    async def __aenter__(self) -> S3Mirror:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        async def attempt() -> T:
            raw = await self._call(self._store.cat_file, path)
            return parse_response(raw, parse)

        return await with_retries(path, attempt, self._policy)

    async def size(self, path: str) -> int | None:
        async def attempt() -> int:
            return int((await self._call(self._store.info, path))["size"])

        return await with_retries(path, attempt, self._policy)

    async def fetch(self, file: ProjectFile, target: Path) -> int:
        async def attempt() -> bytes:
            raw: bytes = await self._call(self._store.cat_file, file.path)
            if (found := hashlib.sha256(raw).hexdigest()) != file.sha256:
                raise CorruptResponse(f"{checksum_mismatch(file, found)} ({len(raw)} bytes)")
            return raw

        raw = await with_retries(file.path, attempt, self._policy)
        part = partial_path(target)
        part.write_bytes(raw)
        part.replace(target)
        return len(raw)

    async def _call(self, function: Callable[[str], Any], path: str) -> Any:
        """Call a function of the store on a file; failures are raised as this package's errors."""
        try:
            answer = await asyncio.to_thread(function, f"{self._root}/{path}")
        except FileNotFoundError:
            raise FileFailed("the bucket does not have it") from None
        except PermissionError as error:
            raise FileFailed(f"the bucket refuses it: {error}") from None
        except OSError as error:  # answers of the server, and time-outs
            raise TransientError(f"the bucket's server: {error or type(error).__name__}") from error
        except Exception as error:  # botocore's connection errors have no other base class in common
            if self._has_answered:
                raise TransientError(f"the connection failed: {error}") from error
            raise AcquireError(
                f"{self} cannot be reached: {error}. Check `base_url`, AWS_ENDPOINT_URL and the network; a downloaded "
                "copy can be given as a folder."
            ) from error
        self._has_answered = True
        return answer
