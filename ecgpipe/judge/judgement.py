"""What is found about a set of synthetic ECGs."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ecgpipe.closeness.comparison import COLUMNS, Reference, feature_caches
from ecgpipe.closeness.measures import described
from ecgpipe.closeness.privacy import Privacy, assess
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.settings import Settings
from ecgpipe.prose.rows import rows_of
from ecgpipe.report.closeness_words import standing
from ecgpipe.vocabulary import ALL

LIKE_REAL, WORSE, BETTER = "no difference shown", "differs from real records", "closer than real records"
"""How a value stands to its floor, the same comparison with real records in place of the synthetic ones."""
_STANDINGS = {"": "", "at floor": LIKE_REAL, "beyond floor": WORSE, "past floor": BETTER}


@dataclass(frozen=True)
class Judgement:
    """What is found.

    Attributes:
        sets: the ECGs, by name: real, synthetic and perhaps train.
        closeness: the table of :func:`ecgpipe.closeness.evaluate`; with training records also rows of privacy.
        privacy: None without training records.
        utility: the table of :func:`ecgpipe.judge.utility.utility`; None if it was not asked for.
        notes: what a reader must know of the sets.
    """

    sets: dict[str, Records]
    closeness: pd.DataFrame
    privacy: Privacy | None
    utility: pd.DataFrame | None
    notes: list[str]

    @property
    def pooled(self) -> pd.DataFrame:
        """Rows of all classes and leads together, with the measure's title and ``standing``."""
        rows = self.closeness[(self.closeness["lead"] == ALL) & (self.closeness["class"] == ALL)]
        titles = {name: about["title"] for name, about in described().items()}
        return rows.assign(
            title=[titles.get(name, name.replace("_", " ")) for name in rows["measure"]],
            standing=[_STANDINGS[standing(row)] for row in rows_of(rows)],
        )

    @property
    def by_class(self) -> pd.DataFrame:
        """Values of each measure by class, a row a measure; empty without labels."""
        rows = self.closeness[(self.closeness["lead"] == ALL) & (self.closeness["class"] != ALL)]
        return rows.pivot(index="measure", columns="class", values="value").reindex(rows["measure"].unique())

    def sentences(self) -> list[str]:
        """Say in a sentence each what was found of closeness, privacy and utility."""
        pooled = self.pooled
        judged = pooled[pooled["standing"] != ""]
        worse = judged[judged["standing"] == WORSE]["title"].tolist()
        found = [
            f"Closeness: {len(worse)} of {len(judged)} measures show a difference from real records"
            + (f" ({', '.join(worse)})." if worse else ".")
        ]
        if self.privacy is not None:
            verdict, reason = self.privacy.table[["verdict", "reason"]].iloc[0]
            found.append(f"Privacy: {verdict} ({reason}).")
        if self.utility is not None:
            row = self.utility[self.utility["trained_on"] == "real and synthetic"].iloc[0]
            found.append(
                f"Utility: with the synthetic records added, {row['metric']} is {row['difference']:+.3f} "
                f"[{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]: {row['verdict']}."
            )
        return found


def judge(sets: dict[str, Records], settings: Settings, notes: list[str]) -> Judgement:
    """Judge closeness and, with training records, privacy.

    Args:
        sets: real, synthetic and perhaps train.
        settings: how thoroughly.
        notes: what a reader must know of the sets.

    Raises:
        ValueError: if the sets do not fit together.
    """
    real, synthetic, train = feature_caches(sets["real"], sets["synthetic"], sets.get("train"))
    table = Reference(real, train, settings).compare(synthetic)
    privacy = None
    if train is not None:
        privacy = assess(real, synthetic, train, settings)
        rows = privacy.table.assign(lead=ALL).reindex(columns=list(COLUMNS)).astype(table.dtypes)
        table = pd.concat([table, rows], ignore_index=True)
    return Judgement(sets, table, privacy, None, notes)
