"""From a source's settings to its mirror: an HTTP server, an S3 bucket, a folder or a zip archive."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

from yarl import URL

from ecgpipe.acquire.archive import ZipMirror, check_version
from ecgpipe.acquire.errors import AcquireError
from ecgpipe.acquire.folder import expanded
from ecgpipe.acquire.http import HttpMirror
from ecgpipe.acquire.mirror import FolderMirror, Mirror
from ecgpipe.acquire.retry import RetryPolicy
from ecgpipe.acquire.s3 import S3Mirror
from ecgpipe.config import PhysioNetSource
from ecgpipe.layouts import ARRHYTHMIA_RECORDS, CHECKSUMS, PTBXL_DATABASE
from ecgpipe.redaction import hide, without_secrets_of

DEFAULT_URL = "https://physionet.org"
ENVIRONMENT_VARIABLE = "ECGPIPE_PHYSIONET"


def resolve_base_url(source: PhysioNetSource) -> str:
    """Return the base URL of a source: the config's, the environment's, or PhysioNet's."""
    base = source.base_url or os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_URL
    hide(base)
    return base


def project_key(source: PhysioNetSource) -> str:
    """Return what decides a project's files: its slug and version, or the address of the one archive that is named."""
    base = resolve_base_url(source)
    if source.transport == "zip" and base.endswith(".zip"):
        return without_secrets_of(base)
    return f"{source.slug}/{source.version}"


def open_mirror(source: PhysioNetSource, folder: Path, policy: RetryPolicy) -> Mirror:
    """Return the mirror of a source; its files will go to ``folder``, and an archive lies beside that meanwhile.

    Raises:
        AcquireError: if ``base_url`` is no http(s), s3 or file address and no folder, or a folder of another version.
    """
    base = resolve_base_url(source)
    shown = f"`base_url` {without_secrets_of(base)!r}"
    parts = _split(base, shown)
    project = f"{source.slug}/{source.version}"
    if parts.scheme in ("http", "https"):
        url = _checked(base, parts, shown)
        if source.transport == "zip":
            return _remote_archive(url, source, folder, policy)
        if url.path.rstrip("/").endswith(f"/files/{project}"):
            raise AcquireError(
                f"{shown} is the project's own address: leave out /files/{project}, which is added to it"
            )
        return HttpMirror(url.joinpath("files", project), source.connections, policy)
    if parts.scheme == "s3":
        if source.transport == "zip" or not parts.hostname or parts.query or parts.fragment:
            raise AcquireError(f"{shown}: an S3 bucket holds single files; set `transport: files`")
        return S3Mirror("/".join([parts.hostname, *filter(None, parts.path.split("/")), project]), policy)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return _local_mirror(Path(url2pathname(parts.path)), source)
    if "://" in base or parts.scheme == "file":
        raise AcquireError(
            f"{shown} cannot be read; allowed are http://, https://, s3:// and file: addresses and folders"
        )
    return _local_mirror(expanded(base, "base_url"), source)


def _split(base: str, shown: str) -> SplitResult:
    try:
        parts = urlsplit(base)
        _ = parts.port  # raises on a port that is no number
    except ValueError:  # its text may hold a part of a password
        raise AcquireError(f"{shown} is no address: check its host and port") from None
    return parts


def _checked(base: str, parts: SplitResult, shown: str) -> URL:
    """Return an address of a server.

    Raises:
        AcquireError: if it has no host, a query, or a host that cannot be one.
    """
    if not parts.hostname or parts.query or parts.fragment:
        raise AcquireError(f"{shown} is no address such as https://physionet.org")
    try:
        url = URL(base.rstrip("/"))
        host = (url.raw_host or "").rstrip(".")
        host.encode("idna")  # what looking it up does first
    except ValueError:  # UnicodeError is one
        raise AcquireError(
            f"{shown}: {parts.hostname!r} cannot be a host's name: parts between dots have 1 to 63 characters"
        ) from None
    return url


def _remote_archive(base: URL, source: PhysioNetSource, folder: Path, policy: RetryPolicy) -> ZipMirror:
    """Return the archive at an address that ends in ``.zip``, or PhysioNet's own archive of the project."""
    server, path = base, f"content/{source.slug}/get-zip/{source.version}/"
    if base.path.endswith(".zip"):
        server, path = base.parent, base.name
    address = str(server.with_user(None).joinpath(path))
    kept = download_path(folder, address)
    for other in _downloads(folder):
        if other.name.removesuffix(".part") != kept.name:
            other.unlink(missing_ok=True)
    return ZipMirror(kept, source.version, (HttpMirror(server, 1, policy), path))


def download_path(folder: Path, address: str) -> Path:
    """Return where an archive lies while it is unpacked into ``folder``: under a name that tells where it is from."""
    return folder.with_name(f".{folder.name}.{hashlib.sha256(address.encode()).hexdigest()[:12]}.zip")


def _downloads(folder: Path) -> list[Path]:
    """Return the archives, whole or not, that runs for ``folder`` have left."""
    if not folder.parent.is_dir():
        return []
    name = re.compile(rf"\.{re.escape(folder.name)}(\.[0-9a-f]{{12}})?\.zip(\.part)?")
    return [path for path in folder.parent.iterdir() if name.fullmatch(path.name)]


def _local_mirror(base: Path, source: PhysioNetSource) -> Mirror:
    if source.transport == "zip":
        archive = base if base.suffix == ".zip" else base / f"{source.slug}-{source.version}.zip"
        return ZipMirror(archive, source.version, None)
    folder = base / "files" / source.slug / source.version
    if folder.is_dir():
        return FolderMirror(folder)
    if (base / CHECKSUMS).is_file():  # `base_url` may also be the project's own folder
        check_version(base.resolve().name, source.version, base)
        return FolderMirror(base)
    if near := _near(base, source):
        raise AcquireError(f"there is no {folder}: {near}")
    return FolderMirror(folder)


def _near(base: Path, source: PhysioNetSource) -> str | None:
    """Say which folder near ``base``, or what else, was probably meant."""
    if not base.exists():
        host = re.fullmatch(r"[\w-]+(\.[\w-]+)+(:[0-9]+)?(/\S*)?", str(base))
        return f"did you mean `base_url: https://{base}`?" if host else None
    if (base / PTBXL_DATABASE).is_file() or (base / ARRHYTHMIA_RECORDS).is_dir():
        return f"{base} holds records without a {CHECKSUMS}; such a copy is `source: {{kind: folder, path: {base}}}`"
    versions = base / "files" / source.slug
    found = (
        sorted(path.name for path in versions.iterdir() if (path / CHECKSUMS).is_file()) if versions.is_dir() else []
    )
    if found:
        return f"{versions} holds version {', '.join(found)}: set `version`, or get {source.version}"
    inner = (
        Path(source.slug) / source.version,  # base is `files`
        Path(source.version),  # base is the project
        Path("..") / "..",  # base is a folder of records
        Path(".."),
    )
    for path in (base / part for part in inner):
        if (path / CHECKSUMS).is_file():
            return f"did you mean `base_url: {path.resolve()}`?"
    for place in (base.parent, base.parent.parent, *_folders(base)):
        if (place / "files" / source.slug / source.version / CHECKSUMS).is_file():
            return f"did you mean `base_url: {place.resolve()}`?"
    slugs = [path.name for path in _folders(base / "files") if any((p / CHECKSUMS).is_file() for p in _folders(path))]
    if slugs and source.slug not in slugs:
        return f"{base / 'files'} holds {', '.join(slugs)}; check `slug`"
    held = [path for path in _folders(base) if (path / CHECKSUMS).is_file()]
    return f"did you mean `base_url: {held[0].resolve()}`?" if len(held) == 1 else None


def _folders(base: Path) -> list[Path]:
    try:
        return sorted(path for path in base.iterdir() if path.is_dir()) if base.is_dir() else []
    except OSError:
        return []
