"""How often is the test of a difference wrong at small levels, and what do few seeds cost? Normal differences."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from measuring import DATA, markdown_table
from scipy import stats
from tqdm import tqdm

from ecgpipe.tables.resampling import paired_test

CSV = DATA / "tails.csv"
LEVELS = (0.05, 0.01, 0.002, 0.0006)
"""Levels of one comparison: Holm's first in families of 1, 5, 25 and about 80, as in configs/matrix.yaml."""
SEEDS = (3, 5, 20)
DRAWS, PATIENTS = 6000, 48
PARTS = ((0.0, 0.0), (0.0, 0.3), (0.0, 1.0), (0.3, 0.3), (0.3, 1.0), (1.0, 1.0))
"""Standard deviations of the parts of seed and patient."""


def tails() -> pd.DataFrame:
    """Count how often the test rejects normal differences with mean zero, at the small levels of large families.

    A seed's difference on a patient is the sum of the seed's part, the patient's part and noise of unit variance.
    ``width`` is the median half width of the 95 % interval over that of an interval with known variances.
    """
    rng, rows, stratum = np.random.default_rng(2411), [], np.zeros(PATIENTS)
    for seeds, (of_seed, of_patient) in tqdm(list(itertools.product(SEEDS, PARTS)), desc="tails", disable=None):
        found, reach = np.empty(DRAWS), np.empty(DRAWS)
        for number in range(DRAWS):
            differences = of_patient * rng.normal(size=PATIENTS) + rng.normal(size=(seeds, PATIENTS))
            differences += of_seed * rng.normal(size=(seeds, 1))
            means = differences.mean(axis=1)
            test = paired_test(means, (differences - means[:, None]) / PATIENTS, stratum)
            found[number], reach[number] = test.p_value, test.interval(0.95)[1] - test.difference
        rates = {f"{level:g}": round(float((found <= level).mean()), 5) for level in LEVELS}
        parts = {"seed_deviation": of_seed, "patient_deviation": of_patient}
        known = stats.norm.ppf(0.975) * np.sqrt(of_seed**2 / seeds + of_patient**2 / PATIENTS + 1 / seeds / PATIENTS)
        width = round(float(np.median(reach) / known), 3)
        rows.append({"seeds": seeds, **parts, "draws": DRAWS, **rates, "width": width})
    return pd.DataFrame(rows)


def described(table: pd.DataFrame) -> str:
    """Return the table of docs/statistics.md, and what follows from it."""
    rows = [
        [
            row["seeds"],
            f"{row['seed_deviation']:g}",
            f"{row['patient_deviation']:g}",
            *(f"{row[f'{level:g}'] / level:.1f}" for level in LEVELS),
            f"{row['width']:.2f}",
        ]
        for row in table.to_dict("records")
    ]
    heads = ["seeds", "SD of the seed's part", "SD of the patient's part", *(f"at {level:g}" for level in LEVELS)]
    most = ", ".join(f"{(table[f'{level:g}'] / level).max():.1f} times at {level:g}" for level in LEVELS)
    widths = "; ".join(
        f"{mine['width'].min():.2f} to {mine['width'].max():.2f} with {seeds}"
        for seeds, mine in table[table["patient_deviation"] == 1].groupby("seeds")
    )
    beyond = {level: table[f"{level:g}"] > level + 3 * np.sqrt(level / DRAWS) for level in LEVELS}
    above = ", ".join(f"{rows_.sum()} at {level:g}" for level, rows_ in beyond.items())
    few = sorted({int(seeds) for rows_ in beyond.values() for seeds in table.loc[rows_, "seeds"]})
    named = f" (with {', '.join(map(str, few))} seeds)" if few else ""
    return (
        "In a large family Holm's correction looks at small p-values. The next table says how many times too often "
        f"the test rejects normal differences with mean zero ({DRAWS:,} draws, {PATIENTS} patients, noise of each seed "
        "on each patient with a standard deviation (SD) of 1; [tails.csv](data/tails.csv)). It is at most "
        f"{most}. Of {len(table)} rows those more than three simulation errors above the level are: {above}{named}. "
        "*Width* is the median "
        "width of a 95 % interval over what it would be with known variances: where the patient's part has an SD of 1, "
        f"{widths} seeds.\n\n{markdown_table([*heads, 'width'], rows)}"
    )
