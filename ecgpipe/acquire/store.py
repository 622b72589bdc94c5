"""A project in an S3 bucket, read by s3fs, fsspec's file system for it: ``pip install 'ecgpipe[s3]'``."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.listing import Entry
from ecgpipe.acquire.mirror import Again, FileFailed, Transfer, Wrong, parsed, part_of, retried, user_agent

T = TypeVar("T")

ACCOUNT = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")
"""Environment variables that ask for an account; without one of them a bucket is read anonymously, as PhysioNet's may be."""


class StoreMirror:
    """A project in a bucket.

    Files come whole or not at all, so that nothing is resumed: the largest of a project has a few megabytes. Which server is
    asked, and as whom, is read from the environment by the library (``AWS_ENDPOINT_URL``, ``AWS_PROFILE`` ...).

    Args:
        bucket: the bucket and the path in it that holds the project.
        policy: how patiently files are asked for.

    Raises:
        AcquireError: if s3fs is not installed.
    """

    def __init__(self, bucket: str, policy: Transfer) -> None:
        self._root = bucket
        self._policy = policy
        self._answered = False
        try:
            import s3fs
        except ImportError as error:
            raise AcquireError(f"{self} is read by a package that is not here: pip install 'ecgpipe[s3]'") from error
        self._store = s3fs.S3FileSystem(
            anon=not any(os.environ.get(name) for name in ACCOUNT),
            config_kwargs={
                "user_agent_extra": user_agent(),
                "connect_timeout": policy.connect,
                "read_timeout": policy.stall,
                "retries": {"total_max_attempts": 1},
            },
            max_concurrency=1,  # or each file's size is asked for before it is fetched
            skip_instance_cache=True,
        )
        self._store.retries = 1  # an attempt is one request: repeating them is this project's affair

    def __str__(self) -> str:
        return f"s3://{self._root}"

    async def __aenter__(self) -> StoreMirror:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def read(self, path: str, parse: Callable[[bytes], T]) -> T:
        async def attempt() -> T:
            raw = await self._asked(self._store.cat_file, path)
            return parsed(raw, parse)

        return await retried(path, attempt, self._policy)

    async def size(self, path: str) -> int | None:
        async def attempt() -> int:
            return int((await self._asked(self._store.info, path))["size"])

        return await retried(path, attempt, self._policy)

    async def fetch(self, entry: Entry, target: Path) -> int:
        async def attempt() -> bytes:
            raw: bytes = await self._asked(self._store.cat_file, entry.path)
            if (got := hashlib.sha256(raw).hexdigest()) != entry.sha256:
                raise Wrong(f"expected SHA-256 {entry.sha256}, got {got} ({len(raw)} bytes)")
            return raw

        raw = await retried(entry.path, attempt, self._policy)
        part = part_of(target)
        part.write_bytes(raw)
        part.replace(target)
        return len(raw)

    async def _asked(self, function: Callable[[str], Any], path: str) -> Any:
        """Return the store's answer on a file; what goes wrong is raised in the mirrors' terms."""
        try:
            answer = await asyncio.to_thread(function, f"{self._root}/{path}")
        except FileNotFoundError:
            raise FileFailed("the bucket does not have it") from None
        except PermissionError as error:
            raise FileFailed(f"the bucket refuses it: {error}") from None
        except OSError as error:  # what the server answered, and time-outs
            raise Again(f"the bucket's server: {error or type(error).__name__}") from error
        except Exception as error:  # of botocore, whose errors of the connection have no base but this in common
            if self._answered:
                raise Again(f"the connection failed: {error}") from error
            raise AcquireError(
                f"{self} cannot be reached: {error}. Check `base_url`, AWS_ENDPOINT_URL and the network; a downloaded copy can be given as a folder."
            ) from error
        self._answered = True
        return answer
