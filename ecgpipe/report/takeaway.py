"""What can be taken away: tables as Parquet, CSV and LaTeX with a data dictionary, figures as SVG and PDF."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecgpipe.files import atomic_path, write_text
from ecgpipe.prose.latex import latex_text, needs_unicode_engine
from ecgpipe.report.dictionary import TABLE_MEANINGS, described
from ecgpipe.report.names import FORMATS, TABLES, has_form
from ecgpipe.report.svg import Drawing

_LONG = 40
"""Characters of a text column that is set as a paragraph."""
_PARAGRAPH = 30
"""Characters of a line of such a paragraph, about."""
_PAGE = 75
"""Characters of a row that fit on a page, about."""
_CAPTION = r"\caption{%s}\label{%s} \\"
_WIDE_CAPTION = (
    r"\multicolumn{%d}{@{}l}{\makebox[0pt][l]{\parbox[t]{\textwidth}{\label{%s}"
    r"\tablename~\thetable: %s}}} \\[\medskipamount]"
)
"""A caption at the left, where a page begins: longtable would set it in the middle of a table wider than a page."""


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
        return "p{5cm}" if column.astype(str).str.len().max() > _LONG else "l"
    return "r"


def latex_table(table: pd.DataFrame, caption: str, label: str) -> str:
    """Return a table as a LaTeX ``longtable`` in the style of booktabs.

    Args:
        table: columns of numbers, booleans and texts.
        caption: plain text.
        label: what ``\\ref`` names it by.

    Returns:
        LaTeX that needs the packages booktabs and longtable and the font encoding T1, every text escaped, numbers with
        four significant digits. What a column holds in all rows alike stands in the caption instead.
    """
    same = _constants(table)
    table = table.drop(columns=list(same))
    caption = latex_text(" ".join([caption, *([f"In all rows: {_listed(same)}."] if same else [])]))
    heads = " & ".join(latex_text(name) for name in table.columns)
    columns = "".join(_alignment(table[name]) for name in table.columns)
    rows = [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.itertuples(index=False, name=None)]
    note = "% has letters that LuaLaTeX or XeLaTeX can print, with a font that has them"
    wide = sum(_width(table[name]) for name in table.columns) > _PAGE
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,longtable}, \usepackage[T1]{fontenc}",
            *([note] if needs_unicode_engine("".join([caption, heads, *rows])) else []),
            *(["% wider than a page: leave out columns that you do not need"] if wide else []),
            rf"\begin{{longtable}}{{{columns}}}",
            _WIDE_CAPTION % (len(table.columns), label, caption) if wide else _CAPTION % (caption, label),
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


def _width(column: pd.Series) -> int:
    """Return about how many characters wide a column is printed."""
    longest = max(map(len, [str(column.name), *column.map(_plain_cell)]))
    return min(longest, _PARAGRAPH) + 2


def _constants(table: pd.DataFrame) -> dict[str, str]:
    """Return the columns of a table of several rows that hold one and the same value, as text."""
    if len(table) == 1:
        return {}
    texts = {name: table[name].map(_plain_cell) for name in table.columns}
    return {name: column.iloc[0] for name, column in texts.items() if column.nunique() == 1}


def _plain_cell(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _listed(same: dict[str, str]) -> str:
    return ", ".join(f"{name} {value or 'empty'}" for name, value in same.items())


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
