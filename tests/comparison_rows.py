"""Rows of the comparisons table with each verdict, and columns of the summary, for whatever reads them."""

import pandas as pd
from scipy import stats

BASE = {
    "dataset": "a",
    "experiment": "augmentation",
    "setting": "TrRSTeR",
    "against": "real only",
    "left_out": "",
    "generator": "diffwave",
    "fraction": 1.0,
    "ratio": "all",
    "tested": "a",
    "metric": "macro_f1",
    "reference": 0.5,
    "value": 0.53,
    "difference": 0.03,
    "low": 0.025,
    "high": 0.04,
    "p_holm": 0.012,
    "seeds": 8,
    "repetitions": 1,
    "verdict": "helps",
    "note": "",
    "best_baseline": "",
    "against_best_baseline": "",
}
SUMMARY = ["dataset", "setting", "generator", "fraction", "ratio", "tested", "class", "metric", "mean", "low", "high"]
"""Columns of the summary table that the results page reads."""
HARMS = {"value": 0.45, "difference": -0.05, "low": -0.08, "high": -0.02, "verdict": "harms"}
NONE = {
    "value": 0.501,
    "difference": 0.001,
    "low": -0.01,
    "high": 0.012,
    "p_holm": 0.8,
    "verdict": "no difference shown",
}
WIDE = {**NONE, "low": -0.1, "high": 0.1}


def table(*rows):
    """Make rows; error and p-value follow from the bounds of the interval where they are not given."""
    table = pd.DataFrame([{**BASE, **row} for row in rows])
    nothing = pd.Series(float("nan"), table.index)
    error = table.get("standard_error", nothing).fillna((table["high"] - table["low"]) / 2 / stats.t.ppf(0.975, 9))
    p_value = table.get("p_value", nothing).fillna(
        pd.Series(2 * stats.t.sf(table["difference"].abs() / error, 9), table.index)
    )
    return table.assign(standard_error=error, degrees_of_freedom=9.0, p_value=p_value)
