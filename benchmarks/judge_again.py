"""Make the result tables of a finished run again, with the present code and without training anything.

    python benchmarks/judge_again.py --run DIR --config configs/ptbxl_derived.yaml --out FOLDER

DIR is the folder of the run, with ``results/`` and ``.snakemake/``; nothing in it is written. FOLDER receives the
tables. ``python benchmarks/results_page.py --work DIR --tables FOLDER`` makes the page of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from measuring import ROOT

from ecgpipe.config import load
from ecgpipe.tables.names import TABLES
from ecgpipe.workflow.arguments import expanded
from ecgpipe.workflow.study import Study

SCRIPTS = ROOT / "workflow_scripts"


def started(run: Path) -> list[str]:
    """Return the arguments up to ``--settings`` with which the run made its tables: the files it read.

    Raises:
        FileNotFoundError: if the run has not made its tables.
        ValueError: if its log does not begin with these arguments.
    """
    log = run / "results" / "logs" / "tables.log"
    if not log.exists():
        raise FileNotFoundError(f"{log} is missing: name a folder in which a run made its tables")
    first = log.read_text(encoding="utf-8").splitlines()[0]
    _, mark, command = first.partition("started: ")
    words = command.split()
    if not mark or "--settings" not in words:
        raise ValueError(f"{log} does not begin with the job's arguments: make the run's tables first")
    return expanded(words[1 : words.index("--settings")], run)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--run", type=Path, required=True, help="folder of the run, with results/")
    arguments.add_argument("--config", required=True, help="config of the run")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the new tables")
    args = arguments.parse_args()
    study, out = Study(load(args.config), SCRIPTS), args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    places = [
        "--provenance",
        out / "tables.provenance.json",
        "--outputs",
        *(out / f"{name}.parquet" for name in TABLES),
    ]
    words = ["--settings", str(study.tables()), "--out", out, "--code", study.code("tables"), *places]
    subprocess.run(
        [sys.executable, SCRIPTS / "tables.py", *started(args.run), *words, "--log", out / "tables.log"],
        cwd=args.run,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )


if __name__ == "__main__":
    main()
