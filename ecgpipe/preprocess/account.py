"""What the acquisition found and did not take: records to be listed as excluded, and the counts of the rest."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import pandas as pd

from ecgpipe.config import DatasetSettings, SimulatedSource
from ecgpipe.layouts import subset_of
from ecgpipe.manifest import NAMED, NOT_REQUESTED, NOT_THERE, PASSED_OVER
from ecgpipe.preprocess.catalogue import Excluded

ENDINGS = (".hea", ".mat", ".dat", ".flac")


def records_not_taken(manifest: pd.DataFrame, dataset: DatasetSettings) -> list[Excluded]:
    """Return the records that were found in the source, but of which no file is in the manifest.

    Where the config asks for some records only (``records``, ``limit``), none is returned: they may not be meant.
    """
    source = dataset.source
    if source is None or isinstance(source, SimulatedSource) or source.records is not None or source.limit is not None:
        return []
    taken = {path.rpartition(".")[0].lower() for path in manifest["path"]}
    found: dict[str, Excluded] = {}
    for path, reason in manifest.attrs.get(PASSED_OVER, []):
        stem, name = path.rpartition(".")[0], PurePosixPath(path).stem
        if reason in (NAMED, NOT_THERE) or not path.lower().endswith(ENDINGS) or stem.lower() in taken:
            continue
        if dataset.subset not in (None, subset_of(name)) or not path.startswith(
            f"{dataset.folder}/" if dataset.folder else ""
        ):
            continue
        found.setdefault(stem, Excluded(name, "not_taken", f"{path}: {reason}", ""))
    return list(found.values())


def count_passed_over(manifest: pd.DataFrame) -> dict[str, int]:
    """Count the paths that the acquisition passed over, by reason."""
    return dict(Counter(reason for _, reason in manifest.attrs.get(PASSED_OVER, [])).most_common())


def count_not_requested(manifest: pd.DataFrame) -> int:
    """Count the records that the acquisition left where they were, because the config does not ask for them."""
    return int(manifest.attrs.get(NOT_REQUESTED, 0))
