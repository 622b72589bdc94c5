"""The twelve standard leads: names, order, and the exact relations between the limb leads.

Source: Einthoven's law and Goldberger's augmented leads; any ECG textbook.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

LEADS: tuple[str, ...] = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""Standard order of the leads in every array of this package."""

INDEPENDENT: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
"""The eight leads from which the other four follow exactly."""

ALIASES: dict[str, tuple[str, ...]] = {
    "I": ("i", "di", "d1", "li", "l1"),
    "II": ("ii", "dii", "d2", "lii", "l2"),
    "III": ("iii", "diii", "d3", "liii", "l3"),
    "aVR": ("avr",),
    "aVL": ("avl",),
    "aVF": ("avf",),
    "V1": ("v1", "c1"),
    "V2": ("v2", "c2"),
    "V3": ("v3", "c3"),
    "V4": ("v4", "c4"),
    "V5": ("v5", "c5"),
    "V6": ("v6", "c6"),
}
"""What each lead is called in the world, in lower case without blanks: D is "derivación", L "lead", C1-C6 are the chest
electrodes of IEC 60601. Around a name may stand what :data:`_SPELLING` lists."""

_BY_ALIAS = {alias: name for name, aliases in ALIASES.items() for alias in aliases}
_NUMBERED = {"1": "I", "2": "II", "3": "III"}
"""Names only behind a word such as "lead"."""

_SPELLING = re.compile(
    r"""
    (?:(?P<word>mdc_ecg_lead|(?:ecg|ekg)?[ _.]*lead|ecg|ekg|ableitung|abl|derivation|derivacion|derivacao)
       (?:[ _.:]+|-(?=\S))?
      |(?:signal|channel|chan|ch|deriv)(?:[ _.:]+|-(?=\S))(?![1-3])|导联[ _.:-]*)?
    (?P<sign>-)?\s*
    (?P<name>i{1,3}|[dl][ _.-]?(?:i{1,3}|[1-3])|a?[ _.-]?v[ _.-]?[rlf]|[vc][ _.-]?0?[1-6]|[1-3])
    (?P<end>\+|[.:]|导联|[ _.-]?ref|[ _]lead|,\ augmented\ voltage,\ \w+|[ _]?(?:[muµ]v)|neg
       |\s*[(\[](?:[muµ]?v|einthoven|goldberger|wilson|\+)[)\]]|\s*[(\[](?:-|neg|negative|inv|inverted)[)\]])?
    """,
    re.VERBOSE,
)


class NamedLead(NamedTuple):
    """What a name in a file stands for."""

    name: str
    """One of :data:`LEADS`."""
    sign: int
    """-1 if the file holds the lead upside down (``-aVR`` of the Cabrera order), else 1."""


class DuplicateLeadError(ValueError):
    """Two names of a record stand for one lead."""


def named_lead(name: str, aliases: Mapping[str, str | None] | None = None) -> NamedLead | None:
    """Return which standard lead a name stands for, or None if it is none.

    Args:
        name: as a file has it: ``AVR``, ``DII``, ``Lead I``, ``MDC_ECG_LEAD_V1``, ``V1-REF``, ``I+``, ``-aVR``.
        aliases: names of the user's own (in any case), each with one of :data:`LEADS`, with a ``-`` before it if the
            lead is upside down, or with None if it is to be left aside. They come before the names known here.
    """
    plain = _plain(name)
    for alias, lead in (aliases or {}).items():
        if _plain(alias) == plain:
            return None if lead is None else NamedLead(lead.removeprefix("-"), -1 if lead.startswith("-") else 1)
    match = _SPELLING.fullmatch(plain)
    if match is None:
        return None
    core = re.sub("[ _.-]|(?<=[vc])0|(?<=[vc][ _.-])0", "", match["name"])
    found = _BY_ALIAS.get(core) or (_NUMBERED.get(core) if match["word"] else None)
    upside_down = bool(match["sign"]) != bool(re.search(r"neg|inv|\(-|\[-", match["end"] or ""))
    return None if found is None else NamedLead(found, -1 if upside_down else 1)


def standard_order(names: Sequence[str], aliases: Mapping[str, str | None] | None = None) -> list[int]:
    """Return the position of each standard lead in ``names``; for ``aliases`` see :func:`named_lead`.

    Raises:
        DuplicateLeadError: if two names stand for one lead; the message says which.
        ValueError: if a standard lead is missing; the message says which, and what names there are.
    """
    found: dict[str, list[int]] = {}
    for position, raw in enumerate(names):
        if lead := named_lead(raw, aliases):
            found.setdefault(lead.name, []).append(position)
    if missing := [name for name in LEADS if name not in found]:
        raise ValueError(f"missing lead {', '.join(missing)}; there are {_listed(names)}")
    if twice := [name for name in LEADS if len(found[name]) > 1]:
        told = "; ".join(
            f"{name} is there as {' and '.join(names[at].strip() for at in found[name])}" for name in twice
        )
        raise DuplicateLeadError(f"lead {told}; there are {_listed(names)}")
    return [found[name][0] for name in LEADS]


def _plain(name: str) -> str:
    """Return a name in lower case, with plain Latin letters and a plain minus, without quotes and outer blanks."""
    # NFKD turns a Roman numeral of one character into letters, and takes accents apart.
    letters = unicodedata.normalize("NFKD", name.replace("µ", "u"))
    text = "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()
    return re.sub("[\u2010-\u2015\u2212]", "-", text).strip(" \t\"'")


def _listed(names: Sequence[str], most: int = 20) -> str:
    """Return the names that are there, cut short if there are many or long ones."""
    shown = ["".join(c if c.isprintable() else "?" for c in name.strip())[:30] for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def independent_from_twelve(signals: np.ndarray) -> np.ndarray:
    """Keep leads I, II, V1-V6: ``(..., 12, length)`` to ``(..., 8, length)``."""
    return signals[..., [LEADS.index(name) for name in INDEPENDENT], :]


def twelve_from_independent(signals: np.ndarray) -> np.ndarray:
    """Derive III, aVR, aVL and aVF: ``(..., 8, length)`` to ``(..., 12, length)``, same unit and dtype.

    III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2, aVF = II - I / 2 (Einthoven, Goldberger).
    """
    if signals.shape[-2] != len(INDEPENDENT):
        raise ValueError(f"expected 8 leads on axis -2, got shape {signals.shape}")
    one, two = signals[..., 0, :], signals[..., 1, :]
    limb = np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2], axis=-2)
    return np.concatenate([limb, signals[..., 2:, :]], axis=-2)


def limb_lead_residual(signals: np.ndarray) -> np.ndarray:
    """Return the largest violation of the four limb-lead identities: ``(..., 12, length)`` to ``(...)``, in mV."""
    one, two, three, avr, avl, avf = (signals[..., i, :].astype(np.float64) for i in range(6))
    worst = np.stack(
        [
            np.abs(three - (two - one)),
            np.abs(avr + (one + two) / 2),
            np.abs(avl - (one - two / 2)),
            np.abs(avf - (two - one / 2)),
        ]
    )
    return np.asarray(worst.max(axis=(0, -1)))
