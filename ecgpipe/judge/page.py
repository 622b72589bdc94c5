"""The judgement as one HTML page that needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from ecgpipe.closeness.measures import described
from ecgpipe.files import write_text
from ecgpipe.judge.judgement import Judgement
from ecgpipe.report import ecgpaper
from ecgpipe.report.closeness_words import written

SHOWN = 3
"""ECGs of each set that are drawn."""


def write(judgement: Judgement, out: Path, places: dict[str, str], seed: int) -> None:
    """Write the page.

    Args:
        judgement: what it says.
        out: the HTML file.
        places: where each set came from.
        seed: of the choice of ECGs that are drawn.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["written"] = written
    about = described()
    write_text(
        out,
        environment.get_template("page.html.j2").render(
            sentences=judgement.sentences(),
            notes=judgement.notes,
            sets=[_set(name, judgement, places[name]) for name in judgement.sets],
            rows=judgement.pooled.fillna({"note": ""}).to_dict("records"),
            definitions={name: text["definition"] for name, text in about.items()},
            by_class=judgement.by_class.reset_index().to_dict("records"),
            classes=list(judgement.by_class.columns),
            pairs=[] if judgement.privacy is None else judgement.privacy.pairs.to_dict("records"),
            utility=[] if judgement.utility is None else judgement.utility.to_dict("records"),
            drawings=[(name, _drawings(name, judgement, seed)) for name in ("real", "synthetic")],
        ),
    )


def _set(name: str, judgement: Judgement, place: str) -> dict[str, Any]:
    records = judgement.sets[name]
    labels = [] if records.labels is None else np.unique(records.labels.astype(str), return_counts=True)
    return {
        "name": name,
        "place": place,
        "number": len(records),
        "rate": f"{records.rate:g}",
        "seconds": f"{records.signals.shape[2] / records.rate:g}",
        "labels": ", ".join(f"{label} {count}" for label, count in zip(*labels, strict=True)) if len(labels) else "–",
    }


def _drawings(name: str, judgement: Judgement, seed: int) -> list[Markup]:
    records, rng = judgement.sets[name], np.random.default_rng([seed, *b"drawn"])
    rows = np.sort(rng.permutation(len(records))[:SHOWN])
    drawings = []
    for row in rows:
        label = "" if records.labels is None else f", {records.labels[row]}"
        signal = np.asarray(records.signals[int(row)], dtype=np.float32)
        title = f"{name} record {records.name(int(row))}{label}"
        drawings.append(Markup(ecgpaper.draw(signal, records.rate, title, records.leads)))  # noqa: S704 - escaped there
    return drawings
