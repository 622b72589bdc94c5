"""Text for LaTeX: what means something to it escaped."""

from __future__ import annotations

import re

_SPECIAL = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "\n": " ",
        "−": "$-$",
        "±": r"$\pm$",
        "²": "$^2$",
        "³": "$^3$",
        "µ": r"$\mu$",
        "μ": r"$\mu$",
        "σ": r"$\sigma$",
        "Σ": r"$\Sigma$",
        "Δ": r"$\Delta$",
        "°": r"$^\circ$",
        "×": r"$\times$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "≈": r"$\approx$",
        "→": r"$\rightarrow$",
        "∞": r"$\infty$",
    }
)
_LIGATURE = re.compile(r"([-'`,])(?=\1)")
"""Two of these become another character in print."""
_UNKNOWN = re.compile("[^\x00-\u024f\u2013\u2014\u2018-\u201d\u2026]")
"""Characters that pdfLaTeX has no letter for: those of other scripts."""


def latex_text(value: object) -> str:
    """Return a text as LaTeX for an input encoding of UTF-8 and a font encoding of T1."""
    return _LIGATURE.sub(r"\1{}", str(value).translate(_SPECIAL))


def needs_unicode_engine(latex: str) -> bool:
    """Say whether LaTeX holds letters of scripts that LuaLaTeX and XeLaTeX alone can print."""
    return bool(_UNKNOWN.search(latex))
