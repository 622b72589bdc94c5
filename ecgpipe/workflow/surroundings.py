"""What a configuration says of this machine: folders that can be used, and the classes of a label map.

These checks read files, so that they are no part of :func:`ecgpipe.config.validate`, which jobs call on other machines.
They are made before any job starts.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path, PurePath

from ecgpipe.config import ConfigError, FolderSource, PhysioNetSource
from ecgpipe.config.checks import holds_results
from ecgpipe.config.derived import LABEL_MAPS
from ecgpipe.workflow.jobs import RESULTS
from ecgpipe.workflow.layout import Layout


def check_surroundings(study: Layout) -> None:
    """Hold a study against the folder it lies in and the files that it names.

    Raises:
        ConfigError: naming the key.
    """
    _logs_can_be_written(study)
    _homes_are_known(study)
    _raw_dir_is_free(study)
    _raw_dir_can_be_written(study)
    _counted_classes_are_in_the_label_map(study)


def _logs_can_be_written(study: Layout) -> None:
    """Try the folder of logs, which Snakemake clears before each job; a finished study may be read-only."""
    folder = Path(study.results, "logs")
    there = _nearest(folder)
    if not there.is_dir():
        raise ConfigError(f"{folder} cannot be made: {there} is a file. Move it out of the way")
    if not os.access(there, os.W_OK | os.X_OK) and not Path(study.jobs["report_page"].provenance).exists():
        raise ConfigError(f"{folder} cannot be written to: make {there} a folder that you may write to")


def _nearest(folder: Path) -> Path:
    """Return a folder, or of those that it is to lie in the last that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if os.path.lexists(place))


def _homes_are_known(study: Layout) -> None:
    for name, dataset in study.config.dataset_settings.items():
        path = dataset.source.path if isinstance(dataset.source, FolderSource) else ""
        key = "path"
        if isinstance(dataset.source, PhysioNetSource):
            path, key = dataset.source.base_url or "", "base_url"
        try:
            Path(path).expanduser()
        except RuntimeError:
            raise ConfigError(
                f"`dataset_settings.{name}.source.{key}`: {path!r} names the home of a user that there is not; "
                "write the whole path"
            ) from None


def _raw_dir_is_free(study: Layout) -> None:
    """Refuse a folder of raw records in which results lie, however it is spelled."""
    here = Path.cwd().resolve()
    for folder in (Path(study.raw), *(Path(study.raw) / name for name in study.sourced)):
        try:
            place = folder.resolve()
        except (OSError, RuntimeError) as error:  # a link to itself
            raise ConfigError(f"`raw_dir`: {study.config.raw_dir!r} cannot be used ({error})") from None
        inside = PurePath(os.path.relpath(place, here))
        if taken := holds_results(inside):
            raise ConfigError(f"`raw_dir`: {study.config.raw_dir!r} is or holds {taken}, a folder of results")


def _raw_dir_can_be_written(study: Layout) -> None:
    """Try the folder of raw records, unless all of them are there: a finished one may be read-only."""
    raw = Path(study.raw)
    try:
        if all((raw / f"{name}.parquet").exists() for name in study.sourced):
            return
        there = _nearest(raw)
        if not there.is_dir():
            raise ConfigError(f"`raw_dir`: {study.config.raw_dir!r} cannot be made: {there} is a file")
        with tempfile.TemporaryDirectory(prefix=".ecgpipe-", dir=there):
            pass
    except OSError as error:
        raise ConfigError(
            f"`raw_dir`: {study.config.raw_dir!r} cannot be written to ({error.strerror}); "
            f"name a folder that can (default: {RESULTS}/raw)"
        ) from None


def _counted_classes_are_in_the_label_map(study: Layout) -> None:
    counts, label_map = study.config.samples.counts, study.config.preprocess.label_map
    if counts is None or (label_map not in LABEL_MAPS and not Path(label_map).is_file()):
        return  # preprocessing says what is wrong with a label map
    from ecgpipe.preprocess.labels import load

    try:
        classes = load(label_map).classes
    except ValueError as error:
        raise ConfigError(f"`preprocess.label_map`: {error}") from None
    if unknown := [name for name in counts if name not in classes]:
        raise ConfigError(
            f"`samples.counts`: no class {', '.join(unknown)}; {label_map} (`preprocess.label_map`) has "
            f"{', '.join(classes)}"
        )
