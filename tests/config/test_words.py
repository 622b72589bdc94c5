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
    r"\ba (row|record|step|job|line|file) an? (seed|patient|record|lead|job|class|cell|training)\b": "per",
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
    )
    for path in ROOT.glob(pattern)
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
