"""Every measured section of the documents is what its benchmark writes from the CSV files: run it with ``--render``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "document", "section"),
    [
        ("ablation", "generators.md", "ablation"),
        ("beat_detection", "generators.md", "beat_detection"),
        ("closeness", "performance.md", "closeness"),
        ("closeness_real", "closeness.md", "real"),
        ("codebook", "generators.md", "codebook"),
        ("cpu_training", "performance.md", "cpu_training"),
        ("default_study", "generators.md", "default_study"),
        ("drafts", "generators.md", "drafts"),
        ("full_scale", "performance.md", "full-scale"),
        ("learning_rhythms", "generators.md", "learning_rhythms"),
        ("matrix", "statistics.md", "matrix"),
        ("planted_patients", "closeness.md", "patients"),
        ("planted_rotations", "statistics.md", "rotations"),
        ("planted_truth", "statistics.md", "planted"),
        ("preprocess", "performance.md", "preprocess"),
        ("repetitions", "statistics.md", "repetitions"),
        ("sampling", "performance.md", "sampling"),
        ("workflow", "performance.md", "workflow"),
    ],
)
def test_the_section_is_made_of_the_csv(
    load: Callable[[str], ModuleType], name: str, document: str, section: str
) -> None:
    module = load(name)
    paths = [
        getattr(module, csv)
        for csv in ("CSV", "FULL_CSV", "NULL_CSV", "TAILS_CSV", "RARE_CSV", "CHOICE_CSV", "BEFORE_CSV")
        if hasattr(module, csv)
    ]
    expected = module.render(*(pd.read_csv(path) for path in paths)).strip()
    text = (DOCS / document).read_text(encoding="utf-8")
    assert f"<!-- {section}: begin -->\n{expected}\n<!-- {section}: end -->" in text
