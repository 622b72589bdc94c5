"""What docs/results.md says in short."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from results_share import in_short
from results_text import FOUND, Tables, of, percent, tally

from ecgpipe.prose.findings import plural
from ecgpipe.prose.wording import BASELINE_NAMES, METRIC_NAMES, bounds, listed, number, signed
from ecgpipe.vocabulary import (
    AGAINST_BASELINE,
    AUGMENTATION,
    BASELINES,
    EXPERIMENTS,
    HARMS,
    HELPS,
    METHODS,
    SIMPLE_BASELINE,
    SYNTHETIC_ONLY,
)

AGAINST = {**FOUND, HELPS: "is better", HARMS: "is worse"}
SECOND = "macro_roc_auc"
CONTROL = "class_mean_pca"


def headline(own: pd.DataFrame) -> str:
    """Answer the page's question in a sentence, as far as the verdicts go."""
    gains = own[own["verdict"] == HELPS]
    beating = gains[gains["against_best_baseline"] == HELPS]

    def where(rows: pd.DataFrame) -> str:
        shares = listed([percent(share) for share in sorted(rows["fraction"].unique())])
        generators = listed([f"`{name}`" for name in sorted(rows["generator"].unique())])
        knowing = ", from generators that had learnt from all of them" if (rows["fraction"] < 1).any() else ""
        return f"at {shares} of the real training records ({generators}){knowing}"

    if len(beating):
        return f"**Synthetic records help, and more than the best simple baseline,** {where(beating)}."
    if len(gains) and (gains["best_baseline"] != "").any():
        return (
            f"**Synthetic records help against plain training** {where(gains)}, **but are nowhere shown to help more "
            "than the best simple baseline**, which needs no generator."
        )
    if len(gains):
        return f"**Synthetic records help against plain training** {where(gains)}; no simple baseline was run."
    return "**No gain by synthetic records was shown** at any share of the real training records."


def beside_baselines(comparisons: pd.DataFrame, own: pd.DataFrame) -> list[str]:
    """Say what the comparisons with the best simple baseline found, and how much they could have found."""
    gains = own[own["verdict"] == HELPS]
    beaten = int((gains["against_best_baseline"] == HELPS).sum())
    lines = [
        f"**Against the best simple baseline** at the same share, it {tally(own['against_best_baseline'], AGAINST)}. "
        f"Of {plural(len(gains), 'gain')} over real records alone, {beaten} beat that baseline too."
    ]
    keys = ["generator", "fraction", "ratio"]
    against = of(comparisons, AGAINST_BASELINE)
    best = own[[*keys, "best_baseline"]].merge(
        against, left_on=[*keys, "best_baseline"], right_on=[*keys, "against"], suffixes=("", "_of"), how="inner"
    )
    if len(best):
        lines.append(
            f"These comparisons could show little: Holm's correction is over all {len(against)} comparisons with "
            f"simple baselines, and the median smallest effect is {number(float(best['smallest_effect'].median()), 2)}"
            f". The uncorrected 95 % interval is above zero in {int((best['low'] > 0).sum())} and below zero in "
            f"{int((best['high'] < 0).sum())} of {len(best)}. The best baseline is chosen on the test records, which "
            "favours it."
        )
    second = of(comparisons, AUGMENTATION, metric=SECOND)
    second = second[(second["generator"] != CONTROL) & (second["best_baseline"] != "")]
    if len(second):
        lines.append(
            f"In {METRIC_NAMES[SECOND]}, which is not the primary metric, adding synthetic records "
            f"{tally(second['verdict'])} of {len(second)} against real records alone, and against the best simple "
            f"baseline it {tally(second['against_best_baseline'], AGAINST)}."
        )
    return lines


def pre_trained(comparisons: pd.DataFrame) -> list[str]:
    """Say what pre-training on synthetic records did, of generators and of the control."""
    lines = []
    for method in METHODS:
        rows = of(comparisons, EXPERIMENTS[method])
        own, control = rows[rows["generator"] != CONTROL], rows[rows["generator"] == CONTROL]
        if len(own):
            text = f"{EXPERIMENTS[method].capitalize()} from synthetic records {tally(own['verdict'])} of {len(own)}"
            text += " against real alone"
            if len(control):
                text += f"; from the control's it {tally(control['verdict'])} of {len(control)}"
            lines.append(f"{text}. It was not compared with simple baselines.")
    return lines


def answer(tables: Tables, share: Tables | None = None, further: Sequence[str] = ()) -> str:
    """Say in a few sentences what synthetic records did, and against which bar; ``further`` tells of other runs."""
    comparisons = tables["comparisons"]
    augmented = of(comparisons, AUGMENTATION)
    own, control = augmented[augmented["generator"] != CONTROL], augmented[augmented["generator"] == CONTROL]
    lines = [
        headline(own),
        f"**Against training on the real records alone**, adding synthetic records {tally(own['verdict'])} of "
        f"{plural(len(own), 'comparison')} (generators, shares and ratios).",
    ]
    if (own["best_baseline"] != "").any():
        lines += beside_baselines(comparisons, own)
    if share is not None:
        lines.append(in_short(share))
    lines += further
    simple = of(comparisons, SIMPLE_BASELINE)
    for name in BASELINES:
        rows = simple[simple["setting"] == name]
        if len(rows):
            found = tally(rows["verdict"])
            lines.append(f"Without any generator, the baseline *{BASELINE_NAMES[name]}* {found} of {len(rows)}.")
    if len(control):
        lines.append(
            f"The control `{CONTROL}`, mean records with random variation that have no rhythm of their own, "
            f"{tally(control['verdict'])} of {len(control)}."
        )
    lines += pre_trained(comparisons)
    alone = of(comparisons, SYNTHETIC_ONLY)
    if len(alone):
        best = alone.loc[alone["value"].idxmax()]
        lines.append(
            f"Training on synthetic records alone {tally(alone['verdict'])} of {len(alone)} against all real ones. It "
            f"reaches at most {number(best['value'], 2)} (`{best['generator']}`), real ones "
            f"{number(best['reference'], 2)}: {signed(best['difference'], 2)} {bounds(best['low'], best['high'])}."
        )
    return "\n".join(f"* {line}" for line in lines) + "\n\n"
