"""Which hospital records come from: a rhythm that one hospital alone has is told apart as that hospital may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from ecgpipe.layouts import subset_of


def count_sites(records: pd.DataFrame, classes: Sequence[str], two_hospitals: Collection[str]) -> dict[str, Any]:
    """Count records by site and class, and say which class comes from one of several sites.

    A site is a data set, or one of the two hospitals of ecg-arrhythmia: ``chapman (ningbo)``.

    Args:
        records: kept records, with columns record, label and source (the data set).
        classes: of the study.
        two_hospitals: names of the data sets that are ecg-arrhythmia.

    Returns:
        ``counts`` by site and class, and ``sentences``.
    """
    sites = [
        f"{source} ({subset_of(record)})" if source in two_hospitals and subset_of(record) else source
        for record, source in zip(records["record"], records["source"], strict=True)
    ]
    found = Counter(zip(sites, records["label"], strict=True))
    names = sorted(set(sites))
    counts = {site: {name: found[site, name] for name in classes} for site in names}
    sentences = []
    for name in classes:
        having = [site for site in names if found[site, name]]
        if len(having) == 1 and len(names) > 1:
            others = ", ".join(site for site in names if site not in having)
            sentences.append(
                f"All {found[having[0], name]} {name} records come from {having[0]}, none from {others}: networks may "
                "tell the hospital apart, not the rhythm."
            )
    return {"counts": counts, "sentences": sentences}
