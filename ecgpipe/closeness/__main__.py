"""Compare two sets of 12-lead ECGs: python -m ecgpipe.closeness REAL SYNTHETIC."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from ecgpipe.closeness.evaluate import Settings, evaluate
from ecgpipe.closeness.names import ALL
from ecgpipe.closeness.reading import read_records
from ecgpipe.files import atomic_path, write_parquet


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ecgpipe.closeness", description=__doc__)
    parser.add_argument("real", type=Path, help="real ECGs: a .npy (n, 12, length) in mV, a WFDB folder, a dataset")
    parser.add_argument("synthetic", type=Path, help="synthetic ECGs, in one of the same forms")
    parser.add_argument("--train", type=Path, help="real ECGs the generator learnt from; `real` are then held-out ones")
    parser.add_argument("--rate", type=float, default=100.0, help="Hz, of arrays and to bring WFDB records to (100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length to crop WFDB records to (10)")
    parser.add_argument("--level", choices=["quick", "full"], default="full", help="set of measures (full)")
    parser.add_argument("--most", type=int, default=2000, help="most records a side (2000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of choice, bootstrap and tests (0)")
    parser.add_argument("--out", type=Path, help="also write the whole table here, as .parquet or .csv")
    given = parser.parse_args(arguments)
    try:
        real, synthetic = (read_records(path, given.rate, given.seconds) for path in (given.real, given.synthetic))
        train = read_records(given.train, given.rate, given.seconds) if given.train else None
        settings = Settings(level=given.level, most=given.most, seed=given.seed)
        table = evaluate(real, synthetic, train=train, settings=settings)
    except (FileNotFoundError, ValueError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    if given.out is not None and given.out.suffix == ".csv":
        with atomic_path(given.out) as temporary:
            table.to_csv(temporary, index=False)
    elif given.out is not None:
        write_parquet(given.out, table)
    pooled = table[(table["class"] == ALL) & (table["lead"] == ALL)]
    with pd.option_context("display.width", 200, "display.max_rows", None, "display.max_columns", None):
        shown = pooled.drop(columns=["class", "lead", "p_value"]).fillna({"note": ""})
        print(shown.to_string(index=False, float_format=lambda v: f"{v:.4g}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
