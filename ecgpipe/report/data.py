"""What the study's records are: counts by class and split, and what was left out and why."""

from __future__ import annotations

from typing import Any

from ecgpipe.dataset import SPLITS
from ecgpipe.files import read_json
from ecgpipe.preprocess.reasons import REASONS
from ecgpipe.prose.rows import rows_of
from ecgpipe.report.inputs import Inputs
from ecgpipe.vocabulary import ALL


def _origin(source: Any) -> tuple[str, str] | None:
    """Return name and address of a project on PhysioNet; None if the records come from elsewhere."""
    if source is None or source.kind != "physionet":
        return None
    return f"{source.slug} {source.version}", f"https://physionet.org/content/{source.slug}/{source.version}/"


def records(inputs: Inputs) -> list[dict[str, Any]]:
    """Return a section a dataset."""
    counts, exclusions = inputs.table("data"), inputs.table("exclusions")
    sections = []
    for name in inputs.in_order(counts["dataset"]):
        summary = read_json(inputs.data[name] / "summary.json")
        mine = counts[counts["dataset"] == name]
        records = mine.pivot(index="class", columns="split", values="records").loc[[*inputs.classes, ALL]]
        patients = mine[mine["class"] == ALL].set_index("split")["patients"]
        left_out = exclusions[exclusions["dataset"] == name]
        sections.append(
            {
                "name": name,
                "simulated": name in inputs.simulated,
                "origin": _origin(inputs.config.dataset_settings[name].source),
                "members": inputs.config.dataset_settings[name].merge or [],
                "rotate": inputs.config.dataset_settings[name].rotate,
                "summary": summary,
                "rows": [(label, [int(row[split]) for split in (*SPLITS, ALL)]) for label, row in records.iterrows()],
                "patients": [int(patients[split]) for split in (*SPLITS, ALL)] if inputs.patients_known(name) else None,
                "exclusions": [
                    (row["reason"], REASONS.get(row["reason"], ""), row["records"]) for row in rows_of(left_out)
                ],
            }
        )
    return sections
