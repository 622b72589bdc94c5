"""What the site changes in the pages: links into the repository, roles of Sphinx."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)\s#]+)[^)\s]*\)")

_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod|obj):(?=<code>)")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Drop the roles of Sphinx, which editors understand in docstrings and the site does not."""
    return _ROLE.sub("", html)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files of the repository outside this folder into their names; they are links on GitHub only."""
    docs = Path(config.docs_dir)

    def shown(link: re.Match[str]) -> str:
        text, target = link.groups()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), target))
        if not place.startswith("../"):
            return link[0]
        if not (docs / place).exists():
            raise FileNotFoundError(f"{page.file.src_uri}: the repository has no {place.removeprefix('../')}")
        return text

    return _LINK.sub(shown, markdown)
