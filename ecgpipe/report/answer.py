"""The first screen: the answers, the figure, what they rest on, and what would make them surer."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from ecgpipe.prose import answers as say
from ecgpipe.prose.findings import experiment_sentence, plural, probability, share
from ecgpipe.prose.rows import rows_of
from ecgpipe.prose.wording import bounds, listed, signed
from ecgpipe.report import effects, forest
from ecgpipe.report.answers import answers_of, at_most_real, contenders, repetitions
from ecgpipe.report.inputs import Inputs
from ecgpipe.report.labels import trained_on
from ecgpipe.report.svg import Drawing
from ecgpipe.tables.comparisons import main_ratio
from ecgpipe.tables.influence import FEWEST
from ecgpipe.vocabulary import ALL, AUGMENTATION, NO_GENERATOR, PRIMARY, SIMPLE_BASELINE, SYNTHETIC_ONLY, TRANSFER

_DRAWN = (AUGMENTATION, TRANSFER, SYNTHETIC_ONLY)
"""Experiments of the folded table: those of the paper."""
_PANELS = {
    AUGMENTATION: "Synthetic records added",
    TRANSFER: "Synthetic pre-training",
}
PAPERS_SEEDS = 20
"""Repetitions of each training in the paper."""


def _forest(rows: pd.DataFrame, limits: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the forest plot's rows."""
    return [
        {
            "what": trained_on(row["setting"], row["generator"]),
            "share": share(row["fraction"]),
            "plot": Markup(forest.row(row, limits)),  # noqa: S704 - drawn from numbers only
            "difference": f"{signed(row['difference'])} {bounds(row['low'], row['high'])}",
            "p": probability(row["p_holm"]),
            "verdict": row["verdict"],
        }
        for row in rows_of(rows)
    ]


def _baselines(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons of simple baselines, which use real records only, under the names of these."""
    rows = at_most_real(comparisons, SIMPLE_BASELINE, [NO_GENERATOR])
    return rows.assign(generator=rows["setting"].str.replace("_", " "))


def effects_figure(inputs: Inputs) -> dict[str, Drawing] | None:
    """Return the first screen's figure, wide and narrow; None if neither augmentation nor transfer was compared."""
    comparisons, names = inputs.table("comparisons"), list(inputs.config.generators)
    panels = []
    for experiment, title in _PANELS.items():
        rows = at_most_real(comparisons, experiment, names)
        if len(rows):
            rows = rows.sort_values("generator", key=lambda own: own.map(names.index), kind="stable")
            if experiment == AUGMENTATION and len(baselines := _baselines(comparisons)):
                rows, title = pd.concat([rows, baselines]), f"{title}, and simple baselines"
            panels.append(effects.Panel(title, rows))
    if not panels:
        return None
    rows = pd.concat([panel.rows for panel in panels])
    groups = {
        name: effects.heading(rows[rows["dataset"] == name], patients=inputs.patients_known(name))
        for name in inputs.in_order(rows["dataset"])
    }
    return {"wide": effects.draw(panels, groups), "narrow": effects.draw(panels, groups, narrow=True)}


def _rests_on(inputs: Inputs, comparisons: pd.DataFrame) -> list[tuple[str, str]]:
    """Say how many records, generators and seeds the answers rest on."""
    counts = inputs.table("data")
    sizes = {(row["dataset"], row["split"]): row for row in rows_of(counts[counts["class"] == ALL])}
    datasets = []
    for name in inputs.in_order(comparisons["dataset"]):
        every, test = (sizes[name, split] for split in (ALL, "test"))
        datasets.append(say.size(name, every, test, patients=inputs.patients_known(name)))
    seeds = sorted(comparisons["seeds"].unique())
    number = plural(int(seeds[0]), "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    own = contenders(inputs.config)
    controls = [name for name in inputs.config.generators if name not in own]
    generators = listed(own) + (f", and the control {listed(controls)}" if controls else "")
    trained = len(inputs.table("training"))
    return [
        ("Records", f"{'; '.join(datasets)}."),
        ("Generators", f"{generators}. Each was trained and sampled from {say.times(repetitions(comparisons))}."),
        ("Classifiers", f"{plural(trained, 'training')}, {number} for each comparison."),
    ]


def _rare(inputs: Inputs, dataset: str) -> str:
    """List the rhythms of a dataset with too few test patients."""
    counts = inputs.table("data")
    mine = counts[(counts["dataset"] == dataset) & (counts["split"] == "test") & (counts["patients"] < FEWEST)]
    return listed([f"{row['class']} ({row['patients']})" for row in rows_of(mine[mine["class"] != ALL])] or [""])


def _learn_more(inputs: Inputs, comparisons: pd.DataFrame) -> list[tuple[str, str]]:
    """Say what would make the answers surer, from what this study did."""
    found = []
    rare = {name: _rare(inputs, name) for name in inputs.in_order(comparisons["dataset"])}
    lines = [
        say.more_records(name, rhythms, FEWEST, patients=inputs.patients_known(name))
        for name, rhythms in rare.items()
        if rhythms
    ]
    found.append(("More records", " ".join([*lines, say.HALVE])))
    if (seeds := int(comparisons["seeds"].min())) < PAPERS_SEEDS:
        found.append(("More seeds", say.more_seeds(seeds, PAPERS_SEEDS)))
    small = [name for name in contenders(inputs.config) if inputs.config.generator(name).train.get("preset") == "small"]
    if small:
        found.append(("Longer training", say.more_training(small)))
    if inputs.simulated:
        found.append(("Real records", say.REAL_RECORDS))
    return found


def answer(inputs: Inputs) -> dict[str, Any]:
    """Return what the template prints on the first screen."""
    comparisons = inputs.table("comparisons")
    primary = comparisons[comparisons["metric"] == PRIMARY]
    if primary.empty:
        return {"empty": True}
    drawn = main_ratio(primary[primary["experiment"].isin(_DRAWN)])
    limits = forest.axis(drawn) if len(drawn) else (-1.0, 1.0)
    datasets = []
    for name in inputs.in_order(drawn["dataset"]):
        mine = drawn[drawn["dataset"] == name]
        sentences = [
            experiment_sentence(group, str(experiment), str(generator))
            for (experiment, generator), group in mine.groupby(["experiment", "generator"], sort=False)
        ]
        first = rows_of(mine)[0]
        datasets.append(
            {
                "name": name,
                "size": ", ".join(
                    [
                        plural(first["support"], "test record"),
                        *([plural(first["patients"], "patient")] if inputs.patients_known(name) else []),
                        plural(first["seeds"], "seed"),
                    ]
                ),
                "rows": _forest(mine, limits),
                "sentences": sentences,
                "notes": sorted({note for notes in mine["note"] for note in notes.split("; ") if note}),
            }
        )
    return {
        "empty": False,
        "repetitions": repetitions(primary),
        "answers": answers_of(inputs.config, comparisons, inputs.table("verdicts")),
        "figure": effects_figure(inputs),
        "rests_on": _rests_on(inputs, primary),
        "learn_more": _learn_more(inputs, primary),
        "datasets": datasets,
        "scale": Markup(forest.scale(limits)),  # noqa: S704 - drawn from numbers only
    }
