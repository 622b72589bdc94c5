"""Links of the pages that the documentation's site does not check: they lead to files and headings that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "changelog.d/README.md", "results/README.md"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`]*`", re.MULTILINE | re.DOTALL)
FILE = re.compile(
    r"(?<![\w/.-])((?:docs|configs|examples|benchmarks|tests|profiles|envs|rules)/[\w./*-]*\w|config\.yaml|Snakefile)(?![\w*/])"
)


def headings(text: str) -> set[str]:
    """Return the anchors that GitHub and the site make of a page's headings."""
    lines = re.findall(
        r"^#+ +(.+?) *$", CODE.sub(lambda code: code[0] if "\n" not in code[0] else "", text), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}


def faults(page: Path) -> list[str]:
    """Return what is wrong with a page's links."""
    text = page.read_text(encoding="utf-8")
    found = []
    for link in LINK.findall(CODE.sub("", text)):
        if re.match(r"https?://[\w.-]+(/\S*)?$", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists():
            found.append(f"{link}: no such file")
        elif anchor and anchor not in headings(target.read_text(encoding="utf-8")):
            found.append(f"{link}: no such heading")
    return found


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    assert not faults(ROOT / name)


def test_readme_names_files_that_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names = sorted({name.rstrip(".") for name in FILE.findall(text)})
    assert len(names) > 5
    missing = [name for name in names if not (ROOT / name).exists()]
    assert not missing


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# One heading, `code`\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md#one-heading-code) [b](https://example.org/x) `[c](code.md)` [d](other.md#two) ![e](gone.png)\n"
        "```\n[f](in_code.md)\n```\n",
        encoding="utf-8",
    )
    assert faults(page) == ["other.md#two: no such heading", "gone.png: no such file"]
