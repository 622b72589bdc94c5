"""The release: one version and one date wherever they stand."""

from __future__ import annotations

import datetime
import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_version_and_date_are_the_same_wherever_they_stand() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == version
    released = datetime.date.fromisoformat(str(citation["date-released"]))
    titles = re.findall(r"^## (\S+) \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert titles[0] == (version, released.isoformat())


def test_each_version_has_one_section_in_the_changelog() -> None:
    titles = re.findall(r"^## .*$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert len(set(titles)) == len(titles)
