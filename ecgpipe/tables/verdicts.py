"""The paper's three conclusions beside what this study found: does each agree, disagree, or can nothing be told?

A claim is decided by its own rows, which are named here and not by what was found: the paper's generators, all real
records, one ratio. Comparisons beside them (other shares, ratios, generators) change no verdict.

* "All of them" is an intersection-union test: every row is tested at the full level and all must pass. The chance of
  passing wrongly is that of one row at most (Berger, Multiparameter hypothesis testing and acceptance sampling,
  Technometrics 24:295, 1982), so nothing is corrected.
* "Any of them" is enough to disagree: Holm's correction over the claim's rows.
* "Barely noticeable" is an equivalence within +-:data:`NOTICEABLE`, by two one-sided tests (Schuirmann, Journal of
  Pharmacokinetics and Biopharmaceutics 15:657, 1987).

Claims about augmentation are told beside the simple baselines, which decide none of them: a generator beats the
baselines if it is shown to beat each.

What decides is here; the sentences that go with it are :mod:`ecgpipe.prose.conclusions`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from ecgpipe.prose import conclusions as say
from ecgpipe.tables.comparisons import largest_share, main_ratio
from ecgpipe.tables.resampling import detectable, holm
from ecgpipe.vocabulary import (
    AGAINST_BASELINE,
    AGREES,
    AUGMENTATION,
    BETWEEN,
    CANNOT_TELL,
    DISAGREES,
    EXPERIMENTS,
    FROZEN,
    METHODS,
    PRIMARY,
    TRANSFER,
)

NOTICEABLE = 0.02
"""A difference in a metric that a reader would call noticeable: two points of a hundred."""

GENERATORS = ("diffwave", "time_diffusion", "time_vqvae")
"""The paper's generators. Others, the control and pooled samples among them, decide nothing about its claims."""

BEST = "time_vqvae"
"""The generator that the paper found best at transfer."""

POWER = 0.8


@dataclass(frozen=True)
class Conclusion:
    """One of the paper's conclusions, or a part of one, beside this study's."""

    conclusion: int
    """1 to 3."""
    claim: str
    verdict: str
    """``agrees``, ``disagrees`` or ``cannot tell``."""
    evidence: str
    comparisons: int = 0
    """Number of rows that decide."""
    smallest_effect: float = float("nan")
    """What these test records and seeds could show in every row, each with a probability of 80 %: a true difference of
    this size; of an equivalence, that networks which do not differ do so by less than this."""


def _at_most_real(comparisons: pd.DataFrame, *experiments: str) -> pd.DataFrame:
    """Return comparisons of the paper's generators at each dataset's largest share of real records, one ratio each."""
    rows = comparisons[comparisons["experiment"].isin(experiments) & comparisons["generator"].isin(GENERATORS)]
    return largest_share(main_ratio(rows))


def _shown(rows: pd.DataFrame, sign: int, alpha: float, any_of: bool = False) -> pd.Series:
    """Say in which rows a gain (sign 1) or loss (-1) is shown; ``any_of`` corrects for the number of rows."""
    p = rows["p_value"].to_numpy(dtype=np.float64)
    return (rows["difference"] * sign > 0) & ((holm(p) if any_of else p) < alpha)


def _beyond(rows: pd.DataFrame, alpha: float) -> bool:
    """Say whether any difference is shown to be noticeable, corrected for the number of rows."""
    excess = (rows["difference"].abs() - NOTICEABLE) / rows["standard_error"]
    p = np.minimum(1.0, 2 * stats.t.sf(excess, rows["degrees_of_freedom"]))
    return bool((holm(p) < alpha).any())


def _within(rows: pd.DataFrame, alpha: float) -> bool:
    """Say whether every difference is shown to be less than noticeable, by two one-sided tests."""
    reach = stats.t.ppf(1 - alpha, rows["degrees_of_freedom"]) * rows["standard_error"]
    return bool((rows["difference"].abs() + reach < NOTICEABLE).all())


def smallest_difference(errors: Collection[float], freedoms: Collection[float], alpha: float) -> float:
    """Return the true difference that the weakest of several comparisons shows with a probability of 80 %."""
    return float(np.max([detectable(e, f, alpha, POWER) for e, f in zip(errors, freedoms, strict=True)]))


def smallest_margin(errors: Collection[float], freedoms: Collection[float], alpha: float) -> float:
    """Return the margin within which the weakest of several comparisons of equals stays with a probability of 80 %.

    Two one-sided tests at level ``alpha``, no difference: |d| + t(1 - alpha) se < margin.
    """
    e, f = np.asarray(list(errors)), np.asarray(list(freedoms))
    return float(np.max(e * (stats.t.ppf(1 - alpha, f) + stats.t.ppf((1 + POWER) / 2, f))))


def _concluded(
    conclusion: int,
    claim: str,
    verdict: str,
    evidence: str,
    rows: pd.DataFrame,
    alpha: float,
    bound: float | None = None,
) -> Conclusion:
    """Conclude from ``rows``; the paper used all real records, so that fewer neither agree nor disagree with it."""
    smallest = smallest_margin if bound else smallest_difference
    could = smallest(rows["standard_error"], rows["degrees_of_freedom"], alpha)
    left_out = "; ".join(sorted({str(name) for name in rows["left_out"] if name}))
    once = say.GENERATORS_ONCE if (rows["repetitions"] == 1).any() else ""
    parts = [evidence, say.could_show(len(rows), could, bound), once, say.left_out(left_out)]
    if (least := rows["fraction"].min()) < 1:
        parts.append(say.part_of_the_real_records(least))
        verdict = CANNOT_TELL
    return Conclusion(conclusion, claim, verdict, " ".join(part for part in parts if part), len(rows), could)


def _beside_baselines(comparisons: pd.DataFrame, claim: pd.DataFrame, alpha: float) -> str:
    """Say which augmentations of a claim beat every simple baseline: each row at the full level, all must pass."""
    rows = _at_most_real(comparisons, AGAINST_BASELINE)
    rows = rows[(rows["metric"] == PRIMARY) & rows["dataset"].isin(claim["dataset"])]
    if rows.empty:
        return say.NO_BASELINE
    better = _shown(rows, 1, alpha).groupby([rows["dataset"], rows["generator"]], sort=False).all()
    return say.beside_baselines(rows["against"].unique().tolist(), better.index[better].tolist())


def _one_dataset(comparisons: pd.DataFrame, merged: Collection[str], alpha: float) -> Conclusion:
    rows = _at_most_real(comparisons, AUGMENTATION)
    rows = rows[(rows["metric"] == PRIMARY) & ~rows["dataset"].isin(merged)]
    if rows.empty:
        return Conclusion(1, say.ONE_DATASET, CANNOT_TELL, say.NO_ONE_DATASET)
    verdict = DISAGREES if _beyond(rows, alpha) else AGREES if _within(rows, alpha) else CANNOT_TELL
    told = say.no_noticeable_change if verdict == AGREES else say.noticeable_change_left_open
    evidence = say.differences(rows) if verdict == DISAGREES else f"{say.differences(rows)} {told(NOTICEABLE)}"
    evidence = f"{evidence} {_beside_baselines(comparisons, rows, alpha)}"
    return _concluded(1, say.ONE_DATASET, verdict, evidence, rows, alpha, NOTICEABLE)


def _merged_datasets(comparisons: pd.DataFrame, merged: Collection[str], alpha: float) -> Conclusion:
    rows = _at_most_real(comparisons, AUGMENTATION)
    rows = rows[rows["dataset"].isin(merged)]
    if rows.empty:
        return Conclusion(2, say.MERGED_DATASETS, CANNOT_TELL, say.NO_MERGED_DATASETS)
    gained, lost = (_shown(rows, sign, alpha) for sign in (1, -1))
    primary = rows["metric"] == PRIMARY
    if gained.all():
        verdict = AGREES
    elif _shown(rows, -1, alpha, any_of=True).any() or lost[primary].all():
        verdict = DISAGREES
    else:
        verdict = CANNOT_TELL
    beside = _beside_baselines(comparisons, rows, alpha)
    evidence = f"{say.differences(rows[primary])} {say.gains_and_losses(rows, gained, lost)} {beside}"
    return _concluded(2, say.MERGED_DATASETS, verdict, evidence, rows, alpha)


def _transfer(comparisons: pd.DataFrame, alpha: float) -> Conclusion:
    rows = _at_most_real(comparisons, *(EXPERIMENTS[method] for method in METHODS))
    rows = rows[rows["metric"] == PRIMARY]
    if (papers := rows["experiment"] == TRANSFER).any():
        rows = rows[papers]
    if rows.empty:
        return Conclusion(3, say.TRANSFER_BELOW_REAL, CANNOT_TELL, say.NO_TRANSFER)
    verdict = CANNOT_TELL
    if _shown(rows, -1, alpha).all():
        verdict = AGREES
    elif _shown(rows, 1, alpha, any_of=True).any():
        verdict = DISAGREES
    return _concluded(3, say.TRANSFER_BELOW_REAL, verdict, say.differences(rows), rows, alpha)


def _of_best(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the direct comparisons of :data:`BEST` with the paper's other generators, each seen from its side."""
    rows = _at_most_real(comparisons, BETWEEN)
    rows = rows[(rows["metric"] == PRIMARY) & rows["against"].isin(GENERATORS)]
    rows = rows[(rows["generator"] == BEST) | (rows["against"] == BEST)]
    if (papers := rows["setting"] == FROZEN).any():
        rows = rows[papers]
    turned = rows["against"] == BEST
    other_way = rows.rename(columns={"generator": "against", "against": "generator", "low": "high", "high": "low"})
    other_way = other_way.assign(**{name: -other_way[name] for name in ("difference", "low", "high")})
    return pd.concat([rows[~turned], other_way[turned][rows.columns]]).sort_index()


def _best_at_transfer(comparisons: pd.DataFrame, alpha: float) -> Conclusion:
    rows = _of_best(comparisons)
    if rows.empty:
        return Conclusion(3, say.BEST_AT_TRANSFER, CANNOT_TELL, say.nothing_to_rank(BEST))
    verdict = CANNOT_TELL
    if _shown(rows, 1, alpha).all():
        verdict = AGREES
    elif _shown(rows, -1, alpha, any_of=True).any():
        verdict = DISAGREES
    return _concluded(3, say.BEST_AT_TRANSFER, verdict, say.differences(rows), rows, alpha)


def verdicts_table(
    comparisons: pd.DataFrame, merged: Collection[str], simulated: Collection[str], confidence: float
) -> pd.DataFrame:
    """Set the paper's three conclusions beside this study's comparisons.

    The paper's are about real patients: where any data set is simulated the verdict is ``cannot tell``, and what was
    found on the simulated records is only told. So it is where fewer than all real records were learnt from. Only the
    paper's generators count, and its way of fine-tuning where it was run. A claim about several generators or data sets
    must hold for each of them to agree, and one of them is enough to disagree.

    Args:
        comparisons: of :func:`ecgpipe.tables.comparisons.comparisons_table`.
        merged: names of datasets that are merges.
        simulated: names of datasets with simulated records.
        confidence: 1 - confidence is the level of the tests.

    Returns:
        A row a claim, columns as :class:`Conclusion`; the third conclusion makes two claims, judged apart.
    """
    alpha = 1 - confidence
    found = [
        _one_dataset(comparisons, merged, alpha),
        _merged_datasets(comparisons, merged, alpha),
        _transfer(comparisons, alpha),
        _best_at_transfer(comparisons, alpha),
    ]
    if simulated:
        found = [replace(c, verdict=CANNOT_TELL, evidence=say.on_simulated_records(c.evidence)) for c in found]
    return pd.DataFrame([asdict(conclusion) for conclusion in found])
