"""Tables of docs/results.md: what networks learn from real records, and what is added to it at each share of them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from results_short import SECOND
from results_text import Tables, between, of, percent, table

from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES, number, signed
from ecgpipe.vocabulary import AUGMENTATION, BASELINES, COMPARED, PRIMARY, REAL, SIMPLE_BASELINE


def one_answer(counts: pd.Series) -> float:
    """Return macro F1 of always predicting the most frequent class of the test records."""
    present = counts[counts > 0]
    share = present.max() / present.sum()
    return float(2 * share / (1 + share) / len(present))


def by_share(tables: Tables, intervals: str) -> str:
    """Return the table of what each generator and baseline adds at each share; ``intervals`` says where these are."""
    comparisons = tables["comparisons"]
    rows = of(comparisons, AUGMENTATION, SIMPLE_BASELINE)
    shares = sorted(rows["fraction"].unique())
    first = rows.drop_duplicates("fraction").set_index("fraction")
    lines = [["real records", *(f"{first.loc[share, 'n_real']:.0f}" for share in shares)]]
    lines.append(["real only", *(number(first.loc[share, "reference"], 2) for share in shares)])

    def cell(row: Mapping[str, object]) -> str:
        text = f"{signed(row['difference'], 2)} {row['verdict']}"  # type: ignore[arg-type]
        if row["experiment"] == AUGMENTATION and row["best_baseline"]:
            text += f"; beside {BASELINE_NAMES[str(row['best_baseline'])]}: {row['against_best_baseline']}"
        return text

    for (_, setting, generator, ratio), mine in rows.fillna({"best_baseline": ""}).groupby(
        ["experiment", "setting", "generator", "ratio"], sort=False
    ):
        name = BASELINE_NAMES[setting] if setting in BASELINES else f"+ `{generator}`, {ratio}"
        cells = {row["fraction"]: cell(row) for row in mine.to_dict("records")}
        lines.append([name, *(cells.get(share, "–") for share in shares)])
    smallest = rows.groupby("fraction")["smallest_effect"].median()
    lines.append(
        ["smallest effect against real only, median", *(number(float(smallest[share]), 2) for share in shares)]
    )
    heads = [METRIC_NAMES[PRIMARY], *(f"{percent(share)}" for share in shares)]
    return (
        "Difference from real records only, by share of the real training records; after the semicolon the verdict of "
        "the comparison with the best simple baseline there. *All*: all synthetic records are added; *balance*: as "
        "many as each rhythm lacks. The smallest effect would have been shown with a probability of 80 % if it were "
        f"the first of its family. Intervals are in {intervals}; one that leaves out zero may still be *no difference "
        "shown*, because verdicts are corrected for the number of comparisons.\n\n" + table(heads, lines)
    )


def learnt(tables: Tables) -> str:
    """Return what networks learn from real records alone, beside one answer for all rhythms."""
    summary, data = tables["summary"], tables["data"]
    tested = data[(data["split"] == "test") & (data["class"] != "all")].set_index("class")
    real = summary[(summary["setting"] == REAL) & (summary["tested"] == summary["dataset"])]
    lines = []
    for share, mine in real.groupby("fraction"):
        values = {(row["class"], row["metric"]): row for row in mine.to_dict("records")}
        named = [between(values[COMPARED[name]]) for name in (PRIMARY, SECOND, "balanced_accuracy")]
        rhythms = [number(values[name, "f1"]["mean"], 2) for name in tested.index]
        lines.append([percent(float(share)), *named, *rhythms])  # type: ignore[arg-type]
    heads = ["share", *(METRIC_NAMES[name] for name in (PRIMARY, SECOND, "balanced_accuracy"))]
    heads += [f"F1 {name} (n = {row['records']})" for name, row in tested.iterrows()]
    return (
        "## What networks learn from the real records alone\n\nAlways answering with the most frequent rhythm has a "
        f"macro F1 of {number(one_answer(tested['records']), 2)}. For comparison: xresnet1d101 reaches a macro ROC-AUC "
        "of 0.957 on PTB-XL's twelve rhythm statements with the whole set (Strodthoff et al., arXiv 2004.13701); "
        "rhythms and test records are others, so this is a rough guide.\n\n" + table(heads, lines)
    )
