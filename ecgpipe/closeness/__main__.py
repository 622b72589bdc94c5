"""Compare two sets of 12-lead ECGs: python -m ecgpipe.closeness REAL SYNTHETIC."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from ecgpipe.closeness.comparison import COLUMNS, Reference, feature_caches
from ecgpipe.closeness.privacy import Privacy, assess
from ecgpipe.closeness.reading import labelled, read_records
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.settings import Settings
from ecgpipe.files import atomic_path, write_parquet
from ecgpipe.vocabulary import ALL

SIDES = ("real", "synthetic", "train")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ecgpipe.closeness", description=__doc__)
    parser.add_argument("real", type=Path, help="real ECGs: a .npy (n, 12, length) in mV, a WFDB folder, a dataset")
    parser.add_argument("synthetic", type=Path, help="synthetic ECGs, in one of the same forms")
    parser.add_argument(
        "--train",
        type=Path,
        help="real ECGs the generator was trained on; `real` are then held-out ones, and privacy is judged too",
    )
    for what in SIDES:
        parser.add_argument(
            f"--{what}-labels",
            type=Path,
            help=f"CSV of record, label (and patient) of the {what} ECGs, for rows by class",
        )
    parser.add_argument("--rate", type=float, default=100.0, help="Hz, of arrays and to bring WFDB records to (100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length to crop WFDB records to (10)")
    parser.add_argument("--level", choices=["quick", "full"], default="full", help="set of measures (full)")
    parser.add_argument("--most", type=int, default=2000, help="most records a side (2000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of choice, bootstrap and tests (0)")
    parser.add_argument("--out", type=Path, help="also write the whole table here, as .parquet or .csv")
    given = parser.parse_args(arguments)
    try:
        sets = _read(given)
        settings = Settings(level=given.level, most=given.most, seed=given.seed)
        table, privacy = _judged(sets, settings)
    except (FileNotFoundError, ValueError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    if given.out is not None and given.out.suffix == ".csv":
        with atomic_path(given.out) as temporary:
            table.to_csv(temporary, index=False)
    elif given.out is not None:
        write_parquet(given.out, table)
    table = table[table["lead"] == ALL]
    pooled, by_class = table[table["class"] == ALL], table[table["class"] != ALL]
    with pd.option_context("display.width", 200, "display.max_rows", None, "display.max_columns", None):
        shown = pooled.drop(columns=["class", "lead", "p_value"]).fillna({"note": ""})
        print(shown.to_string(index=False, float_format=_written))
        if len(by_class):
            values = by_class.pivot(index="measure", columns="class", values="value")
            values = values.reindex(by_class["measure"].unique())
            print(f"\nby class:\n{values.to_string(float_format=_written, na_rep='-')}")
        if privacy is not None:
            verdict, reason = privacy.table[["verdict", "reason"]].iloc[0]
            print(f"\nprivacy: {verdict} ({reason})")
            print(privacy.pairs.to_string(index=False, float_format=_written))
    return 0


def _judged(sets: dict[str, Records], settings: Settings) -> tuple[pd.DataFrame, Privacy | None]:
    """Return the table of closeness, and with training records privacy, whose rows are then in the table too."""
    real, synthetic, train = feature_caches(sets["real"], sets["synthetic"], sets.get("train"))
    table = Reference(real, train, settings).compare(synthetic)
    if train is None:
        return table, None
    privacy = assess(real, synthetic, train, settings)
    rows = privacy.table.assign(lead=ALL).reindex(columns=list(COLUMNS)).astype(table.dtypes)
    return pd.concat([table, rows], ignore_index=True), privacy


def _written(value: float) -> str:
    return f"{value:.4g}"


def _read(given: argparse.Namespace) -> dict[str, Records]:
    """Read the sets that the arguments name.

    Raises:
        FileNotFoundError, ValueError: if one cannot be read, or labels are given of some only.
    """
    sets = {}
    for what in SIDES:
        if (path := getattr(given, what)) is not None:
            sets[what] = read_records(path, given.rate, given.seconds)
            if (labels := getattr(given, f"{what}_labels")) is not None:
                sets[what] = labelled(sets[what], labels)
    asked = any(getattr(given, f"{what}_labels") is not None for what in SIDES)
    if asked and (without := [what for what, records in sets.items() if records.labels is None]):
        raise ValueError(f"measures by class need labels of every set: give --{without[0]}-labels too")
    return sets


if __name__ == "__main__":
    sys.exit(main())
