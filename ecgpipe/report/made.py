"""How the study was made: run times, versions, configuration, checksums; and which results are missing."""

from __future__ import annotations

import hashlib
from typing import Any

from ecgpipe.files import read_json
from ecgpipe.prose.rows import Row, rows_of
from ecgpipe.prose.wording import number
from ecgpipe.report import provenance
from ecgpipe.report.inputs import Inputs
from ecgpipe.tables.names import TABLES
from ecgpipe.vocabulary import AUGMENTATION, AUGMENTED, TRANSFER


def missing(inputs: Inputs) -> list[str]:
    """Name the results that the config asks for and that are not there."""
    found, experiments = inputs.table("comparisons"), inputs.config.experiments
    have = set(zip(found["dataset"], found["generator"], found["experiment"], strict=True))
    asked = [AUGMENTATION] if AUGMENTED in experiments.settings else []
    asked += [TRANSFER] if experiments.transfer.fractions else []
    wanted = [(d, g) for d in inputs.config.datasets for g in inputs.config.generators]
    notes = [f"no {e} results of {g} on {d}" for d, g in wanted for e in asked if (d, g, e) not in have]
    notes += [f"no samples of {g} for {d}" for d, g in wanted if (d, g) not in inputs.drawn]
    return notes


def runtime(inputs: Inputs) -> dict[str, Any]:
    """Return the time of every job and of every stage."""
    table = inputs.table("runtime")
    stages = table.groupby("stage", sort=False).agg(
        jobs=("job", "count"),
        seconds=("seconds", "sum"),
        start_up_seconds=("start_up_seconds", "sum"),
        cpu_seconds=("cpu_seconds", "sum"),
        peak_memory_mb=("peak_memory_mb", "max"),
    )

    def written(row: Row) -> list[str]:
        measured = (("start_up_seconds", 1), ("cpu_seconds", 1), ("peak_memory_mb", 0))
        return [f"{row['seconds']:,.1f}", *(number(row[name], digits) for name, digits in measured)]

    return {
        "stages": [(row["stage"], row["jobs"], *written(row)) for row in rows_of(stages.reset_index())],
        "jobs": [(row["stage"], row["job"], *written(row)) for row in rows_of(table)],
        "total": f"{table['seconds'].sum() / 60:,.1f}",
        "start_up": f"{100 * table['start_up_seconds'].sum() / max(table['seconds'].sum(), 1e-9):.0f} %",
    }


def drafts(inputs: Inputs) -> list[str]:
    """Say which generators learned what drafts leave of records, and which learned whole records.

    The model files say it; a generator without drafts (the control, a user's own) is not named.
    """
    names: dict[str, list[str]] = {"beats": [], "none": []}
    for (dataset, generator), folder in sorted(inputs.models.items()):
        path = folder / "model.json"
        facts = read_json(path) if path.exists() else {}
        if (kind := facts.get("draft")) not in names:
            continue
        without = sum(facts.get("records_without_draft", {}).values())
        note = f" ({without} training records, in which no beats were found, without)" if without else ""
        names[kind].append(f"{generator} on {dataset}{note}")
    said = {"beats": "With drafts of beats (draft: beats)", "none": "Whole records (draft: none)"}
    return [f"{said[kind]}: {', '.join(own)}." for kind, own in names.items() if own]


def made(inputs: Inputs) -> dict[str, Any]:
    """Return code, versions, configuration and checksums."""
    config = inputs.config
    files = [(f"tables/{name}.parquet", inputs.tables / f"{name}.parquet") for name in TABLES]
    files += [(f"data/{name}/signals.npy", folder / "signals.npy") for name, folder in inputs.data.items()]
    files += [(f"generators/{d}/{g}/model.safetensors", p / "model.safetensors") for (d, g), p in inputs.models.items()]
    files += [(f"samples/{d}/{g}/signals.npy", p / "signals.npy") for (d, g), p in inputs.drawn.items()]
    written = provenance.config_text(config)
    return {
        "drafts": drafts(inputs),
        "git": inputs.git,
        "versions": provenance.versions(),
        "seeds": ", ".join(map(str, config.experiments.seeds)),
        "config": written,
        "config_sha256": hashlib.sha256(written.encode()).hexdigest(),
        "checksums": provenance.checksums(files),
    }
