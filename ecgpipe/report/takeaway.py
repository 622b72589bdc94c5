"""What can be taken away: tables as Parquet, CSV and LaTeX with a data dictionary, figures as SVG and PDF."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecgpipe.files import atomic_path, write_text
from ecgpipe.report.dictionary import TABLE_MEANINGS, described
from ecgpipe.report.names import FORMATS, TABLES, has_form
from ecgpipe.report.svg import Drawing

_SPECIAL = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "\n": " ",
        "−": "$-$",
        "±": r"$\pm$",
        "²": "$^2$",
        "µ": r"$\mu$",
    }
)
_WIDE = 40
"""Characters of a text column that is set as a paragraph."""


def latex_text(value: object) -> str:
    """Return a text with what means something to LaTeX escaped."""
    return str(value).translate(_SPECIAL)


def _latex_cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "--"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{float(value):.4g}".replace("-", "$-$", 1) if value < 0 else f"{float(value):.4g}"
    if isinstance(value, int | np.integer):
        return f"{int(value)}".replace("-", "$-$")
    return latex_text(value)


def _alignment(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return "p{5cm}" if column.astype(str).str.len().max() > _WIDE else "l"
    return "r"


def latex_table(table: pd.DataFrame, caption: str, label: str) -> str:
    """Return a table as a LaTeX ``longtable`` in the style of booktabs.

    Args:
        table: columns of numbers, booleans and texts.
        caption: plain text.
        label: what ``\\ref`` names it by.

    Returns:
        LaTeX that needs the packages booktabs and longtable, every text escaped, numbers with four digits that count.
    """
    heads = " & ".join(latex_text(name) for name in table.columns)
    columns = "".join(_alignment(table[name]) for name in table.columns)
    rows = [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.itertuples(index=False, name=None)]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,longtable}",
            rf"\begin{{longtable}}{{{columns}}}",
            rf"\caption{{{latex_text(caption)}}}\label{{{label}}} \\",
            rf"\toprule {heads} \\ \midrule",
            r"\endfirsthead",
            rf"\toprule {heads} \\ \midrule",
            r"\endhead",
            r"\bottomrule",
            r"\endlastfoot",
            *rows,
            r"\end{longtable}",
            "",
        ]
    )


def _flat(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose columns of arrays are texts: numbers with six digits, separated by spaces."""
    arrays = [name for name in table.columns if len(table) and isinstance(table[name].iloc[0], np.ndarray | list)]
    return table.assign(**{name: table[name].map(lambda own: " ".join(f"{v:.6g}" for v in own)) for name in arrays})


def write_tables(
    tables: str | Path, out: str | Path, forms: Collection[str] = tuple(FORMATS), names: Sequence[str] = TABLES
) -> list[Path]:
    """Write a study's tables for use elsewhere, with a data dictionary.

    Args:
        tables: folder of the tables (``results/tables``); tables that are not there are left out.
        out: folder to write ``<name>.parquet``, ``.csv``, ``.tex`` and the dictionary (``dictionary.csv``, ``.md``) to.
        forms: keys of :data:`ecgpipe.report.names.FORMATS`. What pictures show is not written as LaTeX.
        names: which tables.

    Returns:
        The files.

    Raises:
        ValueError: if there is no such form.
        FileNotFoundError: if there is none of the tables.
    """
    if unknown := set(forms) - set(FORMATS):
        raise ValueError(f"unknown form of a table: {', '.join(sorted(unknown))} (known: {', '.join(FORMATS)})")
    found = {name: Path(tables) / f"{name}.parquet" for name in names if (Path(tables) / f"{name}.parquet").exists()}
    if not found:
        raise FileNotFoundError(f"{tables}: no table of a study here; its folder is results/tables")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    written, rows = [], []
    for name, source in found.items():
        table = pd.read_parquet(source)
        rows += described(name, table)
        for form in FORMATS:
            if form in forms and has_form(name, form):
                written.append(out / f"{name}.{FORMATS[form]}")
                _write_table(name, table, source, form, written[-1])
    dictionary = pd.DataFrame(rows, columns=["table", "column", "type", "meaning"])
    for path, text in (
        (out / "dictionary.csv", dictionary.to_csv(index=False)),
        (out / "dictionary.md", _dictionary_page(dictionary)),
    ):
        write_text(path, text)
        written.append(path)
    return written


def _write_table(name: str, table: pd.DataFrame, source: Path, form: str, path: Path) -> None:
    if form == "parquet":
        with atomic_path(path) as part:
            part.write_bytes(source.read_bytes())
    elif form == "csv":
        write_text(path, _flat(table).to_csv(index=False))
    else:
        write_text(path, latex_table(table, TABLE_MEANINGS.get(name, name), f"tab:{name}"))


def _dictionary_page(dictionary: pd.DataFrame) -> str:
    parts = ["# Data dictionary", ""]
    for name, rows in dictionary.groupby("table", sort=False):
        parts += [
            f"## {name}",
            "",
            TABLE_MEANINGS.get(str(name), ""),
            "",
            "| column | type | meaning |",
            "|---|---|---|",
        ]
        parts += [f"| `{row.column}` | {row.type} | {row.meaning} |" for row in rows.itertuples()]
        parts.append("")
    return "\n".join(parts)


def write_figures(figures: Mapping[str, Drawing], out: str | Path) -> list[Path]:
    """Write figures as ``<name>.svg`` and ``<name>.pdf``; return the files."""
    written = []
    for name, drawing in figures.items():
        path = Path(out) / f"{name}.svg"
        write_text(path, drawing)
        with atomic_path(path.with_suffix(".pdf")) as part:
            part.write_bytes(drawing.pdf())
        written += [path, path.with_suffix(".pdf")]
    return written
