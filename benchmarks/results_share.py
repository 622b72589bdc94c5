"""The part of docs/results.md about generators that know only the share, from a run of its own."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from results_text import Tables, committed, copying, judged, of, older, percent, table, tally

from ecgpipe.config import Config
from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES, bounds, listed, number, signed
from ecgpipe.vocabulary import AUGMENTATION, PRIMARY, SIMPLE_BASELINE, SYNTHETIC_ONLY

CONFIG = "configs/ptbxl_derived_share.yaml"

INTRO = """## Generators that know only the share

Above, every generator had learnt from all real training records. A hospital that has 5 % of them cannot do that. In a
run of its own (`{config}`, commit {commit}, {hours} hours of CPU time) {generators} and the classifiers learn from the
same share of each rhythm, {shares}.{judged} Each generator was trained and sampled from {repetitions} times, and
the {seeds} networks took turns at learning from these samples. Intervals of comparisons with synthetic
records therefore cover the chance in generators, too, with {freedom} degrees of freedom for it, and are wide. The share
was drawn once, for all networks: no interval covers that draw, and all of this section is about these records.
Validation and test records are those of the page, so that weights are chosen with more real records than are learnt
from at the smaller share. One generator was tried.

"""


def _cell(row: Mapping[str, object]) -> str:
    text = f"{signed(row['difference'], 2)} {bounds(row['low'], row['high'])} {row['verdict']}"  # type: ignore[arg-type]
    if row["experiment"] == AUGMENTATION and row["best_baseline"]:
        text += f"; beside {BASELINE_NAMES[str(row['best_baseline'])]}: {row['against_best_baseline']}"
    return text


def _name(row: Mapping[str, object], knows: str) -> str:
    if row["experiment"] == SIMPLE_BASELINE:
        return BASELINE_NAMES[str(row["setting"])]
    if row["experiment"] == SYNTHETIC_ONLY:
        return f"`{row['generator']}` only, {knows}"
    return f"+ `{row['generator']}`, {row['ratio']}, {knows}"


def _knew_all(whole: pd.DataFrame, own: pd.DataFrame, share: float) -> dict[str, str]:
    """Return the cells of the same generators at a share, trained once on all records."""
    rows = of(whole, AUGMENTATION)
    rows = rows[(rows["fraction"] == share) & rows["generator"].isin(own["generator"])]
    return {_name(row, "which knew all"): _cell(row) for row in rows.to_dict("records")}


def _beside_all(own: pd.DataFrame, whole: pd.DataFrame, shares: Mapping[str, float]) -> str:
    """Set the gains of generators that knew the share beside those of the same generators that knew all."""
    lines = []
    alone = of(whole, AUGMENTATION).drop_duplicates("fraction").set_index("fraction")["reference"]
    for (generator, ratio), rows in own.groupby(["generator", "ratio"], sort=False):
        knew = of(whole, AUGMENTATION)
        knew = knew[(knew["generator"] == generator) & (knew["ratio"] == ratio)].set_index("fraction")["difference"]
        both = [
            f"{signed(row['difference'], 2)} ({number(row['reference'], 2)} → {number(row['value'], 2)}) and "
            f"{signed(float(knew[share]), 2)} ({number(float(alone[share]), 2)} → "
            f"{number(float(alone[share] + knew[share]), 2)}) at {percent(share)}"
            for row in rows.to_dict("records")
            if (share := shares[row["dataset"]]) in knew.index
        ]
        if both:
            lines.append(
                f"* `{generator}`, {ratio}: the difference from real records only, of a generator that knew the share "
                f"and of one that knew all, is {listed(both)}. No test compares the two. What the second has more may "
                "be owed to records that the classifier was not given, or to the draw of the share: real records alone "
                "differ between the two runs as well.\n"
            )
    return "".join(lines)


def in_short(tables: Tables) -> str:
    """Return a sentence about generators that knew only the share."""
    own = of(tables["comparisons"], AUGMENTATION)
    generators = listed([f"`{name}`" for name in own["generator"].unique()])
    return (
        "**From generators that had learnt from nothing but the share** "
        f"([a run of its own](#generators-that-know-only-the-share), {generators}), adding synthetic records "
        f"{tally(own['verdict'])} of {len(own)} against real records alone. The median smallest effect there is "
        f"{number(float(own['smallest_effect'].median()), 2)}; smaller gains are not ruled out."
    )


def section(tables: Tables, whole: Tables, config: Config) -> str:
    """Return the section.

    Args:
        tables: of the run.
        whole: of the page's own run, whose generators had learnt from all records.
        config: of the run.
    """
    comparisons, about = tables["comparisons"], tables["about"].set_index("key")["value"]
    shares = {name: config.dataset_settings[name].training_share or 1.0 for name in config.datasets}
    repetitions = config.experiments.generator_repetitions
    text = INTRO.format(
        config=CONFIG,
        commit=committed(about),
        judged=judged(about) + older(about, whole["about"].set_index("key")["value"]),
        hours=f"{tables['runtime']['cpu_seconds'].sum() / 3600:.1f}",
        generators=listed([f"`{name}`" for name in config.generators]),
        shares=" or ".join(percent(share) for share in shares.values()),
        repetitions=repetitions,
        seeds=len(config.experiments.seeds),
        freedom=repetitions - 1,
    )
    own = of(comparisons, AUGMENTATION)
    text += f"* Adding synthetic records {tally(own['verdict'])} of {len(own)} against real records alone"
    text += f", and {tally(own['against_best_baseline'])} against the best simple baseline there.\n"
    alone = of(comparisons, SYNTHETIC_ONLY)
    for row in alone.to_dict("records"):
        text += (
            f"* Synthetic records alone, of `{row['generator']}` that knew {percent(shares[row['dataset']])}: "
            f"{METRIC_NAMES[PRIMARY]} {number(row['value'], 2)}, real records of that share "
            f"{number(row['reference'], 2)}: {signed(row['difference'], 2)} {bounds(row['low'], row['high'])}, "
            f"{row['verdict']}.\n"
        )
    text += _beside_all(own, whole["comparisons"], shares)
    columns, first = [], {}
    for name, share in shares.items():
        rows = of(comparisons[comparisons["dataset"] == name], SIMPLE_BASELINE, AUGMENTATION)
        cells = {_name(row, "which knew the share"): _cell(row) for row in rows.to_dict("records")}
        columns.append({**cells, **_knew_all(whole["comparisons"], own, share)})
        first[name] = rows.iloc[0]
    lines = [["real records", *(f"{first[name]['n_real']:.0f}" for name in shares)]]
    lines.append(["real only", *(number(first[name]["reference"], 2) for name in shares)])
    order = list(dict.fromkeys(key for column in columns for key in column))
    order.sort(key=lambda key: (key not in BASELINE_NAMES.values(), "which knew all" in key))
    lines += [[key, *(column.get(key, "–") for column in columns)] for key in order]
    smallest = own.groupby("dataset")["smallest_effect"].median()
    lines.append(
        ["smallest effect, + synthetic records, median", *(number(float(smallest[name]), 2) for name in shares)]
    )
    heads = [METRIC_NAMES[PRIMARY], *(percent(share) for share in shares.values())]
    found = tables["privacy"].assign(
        generator=lambda rows: (
            rows["generator"] + ", " + rows["dataset"].map({name: percent(share) for name, share in shares.items()})
        )
    )
    return (
        f"{text}\nDifference from real records only, with its 95 % interval; after the semicolon the verdict of the "
        "comparison with the best simple baseline. The rows of generators which knew all are those of the page: "
        "trained once, and compared on shares that were drawn again for each network.\n\n"
        + table(heads, lines)
        + "Are the first repetition's samples copies of training records?\n\n"
        + copying(found)
    )
