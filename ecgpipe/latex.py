"""Tables as LaTeX with booktabs, any text in them as text."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

_SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}",
}  # fmt: skip


def escaped(text: str) -> str:
    """Return a text as LaTeX writes it."""
    return "".join(_SPECIAL.get(letter, " " if letter.isspace() else letter) for letter in text)


def booktabs(frame: pd.DataFrame) -> str:
    """Return a table as LaTeX: a ``longtable`` with the rules of booktabs, numbers with four digits that count."""
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool for name in frame]
    head = " & ".join(escaped(str(name)) for name in frame)
    rows = [" & ".join(_cell(value) for value in row) for row in frame.itertuples(index=False)]
    lines = [
        r"% \usepackage{booktabs,longtable}",
        rf"\begin{{longtable}}{{{''.join('r' if number else 'l' for number in numeric)}}}",
        rf"\toprule {head} \\ \midrule \endhead",
        *(rf"{row} \\" for row in rows),
        r"\bottomrule",
        r"\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "--"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else escaped(str(value))
    return escaped(str(value))
