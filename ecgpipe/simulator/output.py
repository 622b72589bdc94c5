"""Writing the files of a simulated project, with their checksums and a licence that says what they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from ecgpipe.layouts import CHECKSUMS, LICENSE

LICENSE_TEXT = """\
These records are simulated by ecgpipe. No patient's recording is among them.

They were drawn from a dipole model of the heart and laid out like a PhysioNet project, so that software can be tried
out without patients' data. They must not be taken for clinical data.
"""


class ProjectWriter:
    """Writes the files of a project below ``root`` and keeps their checksums."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._made: set[Path] = set()
        self._rows: list[tuple[str, int, str]] = []

    def write(self, path: str, data: bytes) -> None:
        """Write one file; ``path`` is relative to the project's folder, with slashes."""
        target = self._root / path
        if target.parent not in self._made:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(target.parent)
        target.write_bytes(data)
        self._rows.append((path, len(data), hashlib.sha256(data).hexdigest()))

    def finish(self) -> pd.DataFrame:
        """Write the licence and the list of checksums, and return the manifest: path, bytes, sha256, sorted by path."""
        self.write(LICENSE, LICENSE_TEXT.encode())
        self.write(CHECKSUMS, "".join(f"{digest} {path}\n" for path, _, digest in sorted(self._rows)).encode())
        frame = pd.DataFrame(sorted(self._rows), columns=["path", "bytes", "sha256"])
        return frame.astype({"bytes": "int64"})
