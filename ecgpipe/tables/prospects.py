"""What the paper's claims could show in a study, before it is run: from its test patients and seeds, and a prior.

The same tests as in :mod:`ecgpipe.tables.verdicts`, with the error that a comparison in macro F1 is expected to have:
error² = SEED² / seeds + Σ PATIENT² / patients of a rhythm / rhythms², over rhythms with enough test patients.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from ecgpipe.prose import conclusions as say
from ecgpipe.tables.influence import FEWEST
from ecgpipe.tables.resampling import upper_limit
from ecgpipe.tables.verdicts import BEST, GENERATORS, NOTICEABLE, smallest_difference, smallest_margin

SEED = 0.03
"""Standard deviation of the difference in macro F1 from seed to seed, a prior."""

PATIENT = 0.3
"""Standard deviation from patient to patient of the difference between two methods in a rhythm's F1, a prior: what
methods of like skill have in benchmarks/planted_counts.py."""

NONE_JUDGED = (
    "Would be decided by {number} comparisons, but none of them could be judged: that needs two seeds or more, and two "
    f"rhythms with at least {FEWEST} test patients each."
)


def count_tested(records: pd.DataFrame, every: bool = False) -> dict[str, int]:
    """Count the test patients of each rhythm.

    Args:
        records: of a dataset, with ``split``, ``label`` and ``patient``.
        every: whether all patients are tested, as where folds rotate.
    """
    tested = records if every else records[records["split"] == "test"]
    counts = tested.groupby("label")["patient"].nunique()
    return {str(label): int(number) for label, number in counts.items()}


def too_few(patients: Mapping[str, int]) -> str:
    """Say that a dataset has too few test patients for a verdict; empty if it has enough.

    Args:
        patients: test patients of each rhythm.
    """
    enough = [label for label, number in patients.items() if number >= FEWEST]
    if len(enough) >= 2:
        return ""
    most = ", ".join(f"{label} {n}" for label, n in sorted(patients.items(), key=lambda pair: -pair[1])[:3])
    have = f"only {enough[0]} has" if enough else "no rhythm has"
    return f"{have} {FEWEST} test patients ({most or 'there are none'}); a gain can be judged with two such rhythms"


def expected_error(patients: Collection[int], seeds: int, inflation: float = 1.0) -> tuple[float, float] | None:
    """Return standard error and degrees of freedom that a comparison in macro F1 may be expected to have.

    Args:
        patients: test patients of each rhythm.
        seeds: repetitions of each training.
        inflation: of what patients add, where folds rotate (:func:`ecgpipe.tables.rotations.inflation`).

    Returns:
        None if there will be no verdict: one seed, or fewer than two rhythms with enough patients.
    """
    judged = [n for n in patients if n >= FEWEST]
    if seeds < 2 or len(judged) < 2:
        return None
    of_seeds = SEED**2 / seeds
    of_patients = [inflation * PATIENT**2 / n / len(judged) ** 2 for n in judged]
    whole = of_seeds + sum(of_patients)
    # As in the test, which does not trust so few seeds to know their variance.
    trusted = upper_limit(of_seeds, seeds)
    parts = trusted**2 / (seeds - 1) + sum(c**2 / (n - 1) for c, n in zip(of_patients, judged, strict=True))
    return whole**0.5, (trusted + sum(of_patients)) ** 2 / parts


def prospects(
    patients: Mapping[str, Mapping[str, int] | None],
    merged: Collection[str],
    generators: Sequence[str],
    seeds: int,
    transfer: bool,
    confidence: float,
    inflations: Mapping[str, float] | None = None,
) -> list[str]:
    """Say for each of the paper's claims what the study could show.

    Args:
        patients: test patients by dataset and rhythm; None for a dataset that has not been made yet.
        merged: names of datasets that are merges.
        generators: names of the study's generators.
        seeds: repetitions of each training.
        transfer: whether transfer is run at the full share.
        confidence: 1 - confidence is the level of the tests.
        inflations: of what patients add, by dataset; 1 where there is none.

    Returns:
        A line a claim.
    """
    papers = [name for name in generators if name in GENERATORS]
    others = len(papers) - 1 if BEST in papers else 0
    single, union = [name for name in patients if name not in merged], [name for name in patients if name in merged]
    every = list(patients) if transfer else []
    claims = (
        (say.ONE_DATASET, single, len(papers), NOTICEABLE),
        (say.MERGED_DATASETS, union, len(papers), None),
        (say.TRANSFER_BELOW_REAL, every, len(papers), None),
        (say.BEST_AT_TRANSFER, every, others, None),
    )
    lines = []
    for claim, datasets, number, bound in claims:
        if not datasets or not number:
            lines.append(f"{claim} {say.NOT_IN_THE_STUDY}")
            continue
        counts = {name: patients[name] for name in datasets}
        if None in counts.values():
            lines.append(f"{claim} {say.NOT_KNOWN_BEFORE_THE_DATA}")
            continue
        errors = [
            expected_error(list(found.values()), seeds, (inflations or {}).get(name, 1.0))
            for name, found in counts.items()
            if found is not None
        ]
        known = [error for error in errors if error is not None]
        if not known:
            lines.append(f"{claim} {NONE_JUDGED.format(number=number * len(datasets))}")
            continue
        smallest = float("nan")
        if len(known) == len(errors):
            of = smallest_margin if bound else smallest_difference
            smallest = of([e for e, _ in known], [f for _, f in known], 1 - confidence)
        lines.append(f"{claim} {say.could_show(number * len(datasets), smallest, bound)}")
    return lines
