"""What the comment lines of a WFDB header say about the patient: age, sex and codes.

``#Age: 59`` and ``# age = 59`` are read, and ``#<age>: 59 <sex>: F``, several keys in a line, of St Petersburg's INCART
records.
"""

from __future__ import annotations

import math
import re
from typing import Literal

Sex = Literal["female", "male", "unknown"]

MAX_AGE = 120.0
"""Years; an age above this is an entry error or a code for something else."""

TOP_CODE = "300"
"""What PTB-XL, and sets made from it, state for every age above 89, for privacy."""

NINETY_OR_OVER = 90.0
"""What such an age becomes here; ``89+`` and ``>89`` become the same."""

_YEARS = {"y": 1.0, "a": 1.0, "j": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25, "t": 1 / 365.25}
"""Length of a unit in years, by its first letter (DICOM: ``056Y``, ``006M``, ``012W``, ``572D``; Jahre, ans, años)."""

_AGE = re.compile(
    r"(?P<above>>=?|≥)?\s*(?P<number>[0-9]{1,6}(?:[.,][0-9]*)?)\s*"
    r"(?P<unit>y|a|yo|y/o|yrs?|years?(?: old)?|mo?|months?|mois|mes|meses|monate?|wk?|weeks?|d|days?|tage?|jours?|j|"
    r"jahre?|ans?|a[nñ]os?|anni)?\.?"
    r"\s*(?P<more>\+| and over| or over| or older)?"
)
_DAYS_OR_YEARS = 31
"""Up to this number a bare ``j`` may be Jahre or jours, and says nothing."""

_NOT_STATED = frozenset(["", "nan", "unknown", "unk", "u", "n/a", "na", "none", "null", "-", "--", "-1", "?", "."])
_SEXES: dict[str, Sex] = {
    **dict.fromkeys(("f", "female", "w", "woman", "weiblich", "femme", "mujer", "femenino", "feminino"), "female"),
    **dict.fromkeys(("m", "male", "man", "männlich", "homme", "hombre", "masculino"), "male"),
}
_PAIR = re.compile(r"#\s*([^\s:=<>(][^:=<>(]{0,60}?)\s*(?:\([^)]*\)\s*)?[:=](.*)")
_WITHOUT_COLON = re.compile(r"#\s*(dx|age)\s+([0-9].*)|#\s*(sex|gender)\s+(\w+)\s*", re.IGNORECASE)
_BRACKETED = re.compile(r"<\s*([^<>]{1,60}?)\s*>\s*:?([^<]*)")
_SAME_KEY = {"gender": "sex"}
_TERM = re.compile(r"(?<=[0-9])\s*(?:\([^()]*\)|\|[^|]*\|)")
"""A code's name behind it, as SNOMED-CT writes it: ``426783006 |Sinus rhythm|``."""
_BETWEEN = re.compile(r"[,;]|(?<=[0-9])\s+(?=[0-9])")
_AROUND = " \t[]'\""
_PLAIN_CODES = re.compile(r"[0-9]*(?:,[0-9]*)*")


def parse_comments(lines: list[str]) -> dict[str, str]:
    """Return the values of comment lines by key in lower case; several lines of codes are joined."""
    found: dict[str, str] = {}
    for line in lines:
        pair = _PAIR.match(line)
        bare = None if pair else _WITHOUT_COLON.fullmatch(line)
        groups = pair.groups() if pair else tuple(filter(None, bare.groups())) if bare else None
        for key, value in [groups] if groups else _BRACKETED.findall(line):
            name = _SAME_KEY.get(key.lower(), key.lower())
            found[name] = f"{found[name]},{value.strip()}" if name == "dx" and name in found else value.strip()
    return found


def parse_age(text: str) -> float:
    """Return an age in years; NaN if the text gives none (``NaN``, ``Unknown``, ``-1``, ``999``).

    Days, weeks and months become fractions of a year. :data:`TOP_CODE` and ages "above 89" become
    :data:`NINETY_OR_OVER`.
    """
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        return math.nan
    number = float(match["number"].replace(",", "."))
    if match["above"] or match["more"]:  # another bound than that of privacy rules is no age
        return NINETY_OR_OVER if number >= NINETY_OR_OVER - 1 and _YEARS[(match["unit"] or "y")[0]] == 1.0 else math.nan
    if match["unit"] is None and number == float(TOP_CODE):
        return NINETY_OR_OVER
    unit = match["unit"] or "y"
    if unit == "j" and number <= _DAYS_OR_YEARS:
        return math.nan
    age = number * (_YEARS["d"] if unit.startswith("jour") else _YEARS[unit[0]])
    return age if age <= MAX_AGE else math.nan


def is_stated(text: str) -> bool:
    """Return whether a value is meant to say something; ``Unknown``, ``NaN`` and ``-1`` are not."""
    return text.strip().lower() not in _NOT_STATED


def parse_sex(text: str) -> Sex:
    """Return the sex that ``Female``, ``F``, ``W``, ``Male``, ``M`` (in any case) stand for, else ``unknown``."""
    return _SEXES.get(text.strip().lower(), "unknown")


def parse_codes(text: str) -> tuple[str, ...]:
    """Return codes in order, each once, without the empty ones (``,284470004``).

    Between them stand commas, semicolons or, of numbers, blanks. Names behind codes are left out, and so are the
    brackets and quotes of a list, and what a spreadsheet adds (``426783006.0``).
    """
    if not _PLAIN_CODES.fullmatch(text):
        codes = (code.strip(_AROUND) for code in _BETWEEN.split(_TERM.sub("", text)))
        text = ",".join(re.sub(r"^([0-9]+)\.0*$", r"\1", code) for code in codes)
    return tuple(dict.fromkeys(code.strip() for code in text.split(",") if code.strip()))
