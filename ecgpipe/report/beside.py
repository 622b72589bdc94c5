"""The files beside the page: tables, figures, and a methods paragraph with its references."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ecgpipe.files import write_text
from ecgpipe.prose import methods as say
from ecgpipe.prose.rows import rows_of
from ecgpipe.report import provenance
from ecgpipe.report.answers import repetitions
from ecgpipe.report.dictionary import TABLE_MEANINGS
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.names import FORMATS, TABLES, figure_names, has_form
from ecgpipe.report.svg import Drawing, blank
from ecgpipe.report.takeaway import write_figures, write_tables
from ecgpipe.vocabulary import ALL

_NOTHING = "This study has nothing to draw here."


def methods_text(inputs: Inputs) -> str:
    """Return the methods paragraph of the study."""
    counts = inputs.table("data")
    counts = counts[counts["class"] == ALL]
    sizes = {(row["dataset"], row["split"]): row for row in rows_of(counts)}
    held = {
        name: (sizes[name, ALL]["records"], sizes[name, ALL]["patients"], sizes[name, "test"]["records"])
        for name in inputs.in_order(counts["dataset"])
    }
    digest = hashlib.sha256(provenance.config_text(inputs.config).encode()).hexdigest()
    return say.methods(
        inputs.config, held, dict(provenance.versions()), digest, repetitions(inputs.table("comparisons"))
    )


def figures_of(page: Mapping[str, Any]) -> dict[str, Drawing]:
    """Return the figures of the page by name, without those of the closeness stage's pictures.

    Args:
        page: what the template prints.
    """
    found: dict[str, Drawing | None] = {
        "effects": (page["answer"].get("figure") or {}).get("wide"),
        "training": (page["training"] or {}).get("figure"),
    }
    for own in page["results"]:
        parts = {"curves": own["curves"], "rhythms": own["scores"], "confusion": own["confusion"]}
        found |= {f"{own['name']}_{name}": drawing for name, drawing in parts.items()}
    for own in page["closeness"]["datasets"] if page["closeness"] else []:
        found[f"{own['name']}_closeness"] = own["map"]
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def write_beside(inputs: Inputs, page: Mapping[str, Any], folder: Path) -> None:
    """Write tables, figures, methods and references into the page's folder.

    A figure that the study has no data for is written with a sentence that says so.
    """
    write_tables(inputs.tables, folder / "tables")
    there = figures_of(page)
    names = [*figure_names(list(inputs.config.datasets)), *there]
    write_figures({name: there.get(name) or blank(_NOTHING) for name in dict.fromkeys(names)}, folder / "figures")
    for dataset in page["closeness"]["datasets"] if page["closeness"] else []:
        pictures = {picture.name: picture.svg for picture in dataset["pictures"]}
        write_figures(pictures, folder / "closeness" / dataset["name"])
    text = page["methods"]["text"]
    write_text(folder / "methods.md", f"{text}\n")
    write_text(folder / "methods.tex", f"{say.as_latex(text)}\n")
    write_text(folder / "references.bib", say.bibliography(text))


def take_away(inputs: Inputs) -> list[dict[str, Any]]:
    """Return a row for each table that is there: name, meaning, number of rows, and its files."""
    found = []
    for name in TABLES:
        path = inputs.tables / f"{name}.parquet"
        if path.exists():
            files = [(form, f"tables/{name}.{suffix}") for form, suffix in FORMATS.items() if has_form(name, form)]
            found.append(
                {"name": name, "meaning": TABLE_MEANINGS[name], "rows": len(pd.read_parquet(path)), "files": files}
            )
    return found
