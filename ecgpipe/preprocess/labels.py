"""The label map: which codes mean which class.

The map is a table: class, system (``SCP`` or ``SNOMED-CT``), code, acronym. Classes are numbered in the order in
which the table first names them. Codes decide, never acronyms: ``AF`` is atrial flutter in one data set and atrial
fibrillation in the next. Three tables are shipped, beside this file:

* ``rhythms7``: the study's seven rhythms;
* ``rhythms4``: the four groups into which Zheng et al. (Sci. Data 7:48, 2020) merge their eleven rhythms, AFIB, GSVT,
  SB and SR; the SCP codes beside them are this package's choice of the same meaning;
* ``superclasses5``: PTB-XL's five diagnostic superclasses (Wagner et al., Sci. Data 7:154, 2020), SCP codes only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ecgpipe.config.derived import LABEL_MAPS

SYSTEMS: tuple[str, ...] = ("SCP", "SNOMED-CT")
MAP_COLUMNS: tuple[str, ...] = ("class", "system", "code", "acronym")
RULE = "of several study rhythms, the first by class name in alphabetical order is the label"
"""The rule for both data sets; the original study's authors used it for Chapman and took any one for PTB-XL."""

RESERVED = ("all", "macro")
"""What result tables write in place of a class."""

_CLASS = re.compile(r"[A-Za-z0-9][\w+-]*")


@dataclass(frozen=True)
class LabelMap:
    """The classes of a study and the codes that mean them."""

    classes: tuple[str, ...]
    by_code: dict[tuple[str, str], str]
    """Class by system and code."""

    def rhythms(self, system: str, codes: Iterable[str]) -> list[str]:
        """Return the classes that ``codes`` mean, each once, sorted by name; the first is the record's label."""
        return sorted({self.by_code[system, code] for code in codes if (system, code) in self.by_code})

    def codes(self, system: str) -> list[str]:
        """Return the mapped codes of ``system``, sorted."""
        return sorted(code for known, code in self.by_code if known == system)

    def knows(self, system: str) -> bool:
        """Return whether any code of ``system`` is mapped."""
        return any(known == system for known, _ in self.by_code)


def load(name: str) -> LabelMap:
    """Load one of the maps ``LABEL_MAPS``, or the CSV file at that path.

    Raises:
        ValueError: if there is no such file, or it is not such a table; the message says what to write.
    """
    path = Path(__file__).with_name(f"{name}.csv") if name in LABEL_MAPS else Path(name)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except FileNotFoundError as error:
        shipped = ", ".join(LABEL_MAPS)
        raise ValueError(f"preprocess.label_map: {name!r} is none of {shipped} and no file that is there") from error
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise ValueError(f"preprocess.label_map: {path} is no readable CSV table ({error})") from error
    missing = [column for column in MAP_COLUMNS if column not in table.columns]
    if missing:
        expected = ", ".join(MAP_COLUMNS)
        raise ValueError(f"preprocess.label_map: {path} lacks the columns {', '.join(missing)}; it needs {expected}")
    classes: dict[str, None] = {}
    by_code: dict[tuple[str, str], str] = {}
    for number, row in enumerate(table[list(MAP_COLUMNS)].itertuples(index=False, name=None), start=2):
        label, system, code, _ = (str(value).strip() for value in row)
        where = f"preprocess.label_map: {path}, line {number}"
        if not _CLASS.fullmatch(label):
            raise ValueError(f"{where}: class {label!r} must be letters, digits, _, + or -")
        if label.lower() in RESERVED:
            raise ValueError(f"{where}: class {label!r} has a name that tables use for something else; choose another")
        if system not in SYSTEMS:
            raise ValueError(f"{where}: system {system!r} is not one of {', '.join(SYSTEMS)}")
        if not code or (system == "SNOMED-CT" and not code.isdigit()):
            raise ValueError(f"{where}: {code!r} is no {system} code")
        if by_code.get((system, code), label) != label:
            raise ValueError(f"{where}: {system} {code} means {by_code[system, code]} already")
        classes[label] = None
        by_code[system, code] = label
    if len(classes) < 2:
        raise ValueError(f"preprocess.label_map: {path} names {len(classes)} classes; a classifier needs two")
    return LabelMap(tuple(classes), by_code)
