"""What would run again, and why, in plain words: ``ecgpipe why``.

Snakemake says that a parameter changed. The provenance beside each result says which code and settings made it, so that
the difference can be named.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ecgpipe.files import read_json
from ecgpipe.workflow.code_digest import PACKAGE_ROOT, parts
from ecgpipe.workflow.config_keys import config_key
from ecgpipe.workflow.pending import CONSEQUENCE, MISSING, Job
from ecgpipe.workflow.source_state import STATE
from ecgpipe.workflow.study import Study

SHOWN = 6
"""Differences named for one job; more are counted."""


def differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Say where two settings differ: one line a key, ``train.steps: 6 -> 7``."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            inner = f"{key}.{name}" if key else name
            if name not in old:
                yield f"{inner}: now {_brief(new[name])}"
            elif name not in new:
                yield f"{inner}: no longer {_brief(old[name])}"
            else:
                yield from differences(old[name], new[name], inner)
    elif old != new:
        yield f"{key or 'settings'}: {_brief(old)} -> {_brief(new)}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _code(job: Job, made: dict[str, Any]) -> Iterator[str]:
    """Name the modules whose meaning is another than when a result was made."""
    if made["code"]["digest"] == job.argument("--code"):
        return
    old = made["code"]["parts"]
    new = parts(PACKAGE_ROOT / "workflow_scripts" / f"{job.script}.py", made["code"]["by_name"])
    for name in sorted({*old, *new}):
        if name not in new:
            yield f"the code no longer uses {name}"
        elif name not in old:
            yield f"the code now uses {name}"
        elif old[name] != new[name]:
            yield f"code edited: {name}"


def _source(job: Job, made: dict[str, Any], study: Study | None) -> Iterator[str]:
    """Say how the folder that a job takes records of has changed since."""
    if made["settings"].get(STATE) != job.settings.get(STATE):
        source = study.source_folder(job.wildcards["dataset"]) if study is not None else None
        yield (source and source.changed()) or "the folder of its source has changed since its records were taken"


def reasons(job: Job, folder: str | Path, study: Study | None = None) -> list[str]:
    """Return a job's own reasons to run, one line each; none if it only follows from others."""
    provenance = Path(folder) / job.provenance if job.provenance is not None else None
    if provenance is not None and provenance.exists() and MISSING not in job.reason:
        made, found = read_json(provenance), list[str]()
        if isinstance(job.settings, dict) and STATE in job.settings and STATE in made["settings"]:
            found = list(_source(job, made, study))
        old, new = (_without_state(settings) for settings in (made["settings"], job.settings))
        for line in differences(old, new):
            key, colon, rest = line.partition(":")
            found.append(f"setting {key if study is None else config_key(job, key, study.config)}{colon}{rest}")
        found += _code(job, made)
        if found:
            return found
    if job.follows:
        return []
    if MISSING in job.reason:
        return ["its results are not there"]
    return [part.strip() for part in job.reason.split(";") if not part.strip().startswith(CONSEQUENCE)]


def _without_state(settings: Any) -> Any:
    return {k: v for k, v in settings.items() if k != STATE} if isinstance(settings, dict) else settings


def explain(jobs: Sequence[Job], folder: str | Path = ".", study: Study | None = None) -> str:
    """Say in plain words which jobs would run and why; with the study also how a source folder has changed."""
    if not jobs:
        return "Nothing would run: every result is what the config and the code ask for."
    lines = [f"{len(jobs)} jobs would run."]
    own = [(job, tuple(reasons(job, folder, study))) for job in jobs]
    by_reason = itertools.groupby(sorted((p for p in own if p[1]), key=lambda p: (p[1], p[0].rule)), lambda p: p[1])
    for why, pairs in by_reason:
        lines += ["", *_named(job for job, _ in pairs)]
        lines += [f"    because {line}" for line in why[:SHOWN]]
        if len(why) > SHOWN:
            lines.append(f"    and {len(why) - SHOWN} more differences")
    followers = [job for job, why in own if not why]
    if followers:
        lines += ["", *_named(followers), "    because they use what the jobs above make"]
    return "\n".join(lines)


def _named(jobs: Iterable[Job]) -> list[str]:
    """Name jobs, a line a rule."""
    jobs = list(jobs)
    counts = Counter(job.rule for job in jobs)
    return [
        f"{rule}" + (f" ({n})" if n > 1 else "") + _places([job.name for job in jobs if job.rule == rule])
        for rule, n in counts.items()
    ]


def _places(names: list[str]) -> str:
    named = [name for name in sorted(names) if name]
    more = f", … ({len(named)} in all)" if len(named) > SHOWN else ""
    return f": {', '.join(named[:SHOWN])}{more}" if named else ""
