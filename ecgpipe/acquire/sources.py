"""From a source's settings to its mirror: an HTTP server, an S3 bucket, a folder or a zip archive."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

from yarl import URL

from ecgpipe.acquire.archive import ZipMirror
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.http import HttpMirror
from ecgpipe.acquire.mirror import FolderMirror, Mirror
from ecgpipe.acquire.retry import RetryPolicy
from ecgpipe.acquire.s3 import S3Mirror
from ecgpipe.config import FolderSource, PhysioNetSource
from ecgpipe.layouts import CHECKSUMS

DEFAULT_URL = "https://physionet.org"
ENVIRONMENT_VARIABLE = "ECGPIPE_PHYSIONET"


def resolve_base_url(source: PhysioNetSource) -> str:
    """Return the base URL of a source: the config's, the environment's, or PhysioNet's."""
    return source.base_url or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_URL


def open_mirror(source: PhysioNetSource | FolderSource, folder: Path, policy: RetryPolicy) -> Mirror:
    """Return the mirror of a source; its files will go to ``folder``, and an archive lies beside that meanwhile.

    Raises:
        AcquireError: if ``base_url`` is no http(s), s3 or file address and no folder.
    """
    if isinstance(source, FolderSource):
        return FolderMirror(Path(source.path).expanduser(), listed=False)
    base = resolve_base_url(source)
    parts = _split(base)
    project = f"{source.slug}/{source.version}"
    if parts.scheme in ("http", "https"):
        if not parts.hostname or parts.query or parts.fragment:
            raise AcquireError(f"`base_url` {base!r} is no address such as https://physionet.org")
        if source.transport == "zip":
            return _remote_archive(URL(base.rstrip("/")), source, folder, policy)
        return HttpMirror(URL(base.rstrip("/")).joinpath("files", project), source.connections, policy)
    if parts.scheme == "s3":
        if source.transport == "zip" or not parts.hostname:
            raise AcquireError(f"`base_url` {base!r}: an S3 bucket holds single files; set `transport: files`")
        return S3Mirror("/".join([parts.hostname, *filter(None, parts.path.split("/")), project]), policy)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return _local_mirror(Path(url2pathname(parts.path)), source)
    if "://" in base or parts.scheme == "file":
        raise AcquireError(
            f"`base_url` {base!r} cannot be read; allowed are http://, https://, s3:// and file: addresses and folders"
        )
    return _local_mirror(Path(base).expanduser(), source)


def _split(base: str) -> SplitResult:
    try:
        parts = urlsplit(base)
        _ = parts.port  # raises on a port that is no number
    except ValueError as error:
        raise AcquireError(f"`base_url` {base!r} is no address: {error}") from None
    return parts


def _remote_archive(base: URL, source: PhysioNetSource, folder: Path, policy: RetryPolicy) -> ZipMirror:
    """Return the archive at an address that ends in ``.zip``, or PhysioNet's own archive of the project."""
    kept = folder.with_name(f".{folder.name}.zip")
    if base.path.endswith(".zip"):
        return ZipMirror(kept, (HttpMirror(base.parent, 1, policy), base.name))
    return ZipMirror(kept, (HttpMirror(base, 1, policy), f"content/{source.slug}/get-zip/{source.version}/"))


def _local_mirror(base: Path, source: PhysioNetSource) -> Mirror:
    if source.transport == "zip":
        return ZipMirror(base if base.suffix == ".zip" else base / f"{source.slug}-{source.version}.zip", None)
    folder = base / "files" / source.slug / source.version
    # `base_url` may also be the project's own folder.
    return FolderMirror(base if not folder.is_dir() and (base / CHECKSUMS).is_file() else folder)
