"""Words that users read: the field's own, one spelling each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORDS = {
    r"\bdata sets?\b": "dataset",
    r"\byardsticks?\b": "against real pre-training",
    r"\blooks? at the validation\b": "validation",
    r"\blet be\b": "undisturbed",
    r"\bmends?\b": "fix",
    r"\bfor nothing\b": "at no cost, in vain",
    r"\b(an?|one) (row|record|step|job|line|file|folder|label|value|data file) an? "
    r"(seed|patient|record|lead|job|class|cell|training|dataset|validation|label)\b": "per",
    r"\btrue records?\b": "real records",
    r"\banew\b": "again",
    r"\ball the same\b": "still",
    r"\bbe it\b": "whether ... or",
    r"\b(left|leave|leaves) aside\b": "ignore",
    r"\bas (they|it) (is|are) meant\b": "accepted",
    r"\bsmall letters\b|\bin capitals\b": "lower case, upper case",
    r"\bcommonest\b": "most common",
    r"\bthe former ones?\b": "the old one",
    r"\bfiles? lies? beside\b": "is in the same folder",
    r"\bno heart gives\b": "implausible",
}
"""From a pattern that no text may contain to what is said instead."""
TEXTS = sorted(
    path
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "CITATION.cff",
        "docs/**/*.md",
        "configs/schema.json",
        "configs/*.yaml",
        "config.yaml",
        "ecgpipe/report/*.j2",
        "ecgpipe/report/*.js",
        "ecgpipe/report/dictionary.py",
        "ecgpipe/prose/*.py",
        "ecgpipe/preprocess/reasons.py",
        "ecgpipe/cli/templates/*",
    )
    for path in ROOT.glob(pattern)
    if path.is_file()
)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_words(path: Path) -> None:
    found = [
        f"line {number}: {match[0]!r} (say: {instead})"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for pattern, instead in WORDS.items()
        for match in re.finditer(pattern, line, re.IGNORECASE)
    ]
    assert not found, f"{path}: " + "; ".join(found)
