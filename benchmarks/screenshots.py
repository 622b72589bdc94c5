"""Pictures of the report for the documentation, from a finished study.

    python benchmarks/screenshots.py                                  # after `make study`: results/report/index.html
    python benchmarks/screenshots.py --report elsewhere/index.html

Chromium (``/usr/bin/chromium``, or the one that Playwright installed) opens the page from the disk, with the network
cut, and writes ``docs/images/report_*.png``: the first screen on a desktop and on a phone, the viewer, and the first
screen in dark colours.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from measuring import DOCS, ROOT
from playwright.sync_api import Page, sync_playwright

DESKTOP, PHONE = (1280, 900), (390, 844)


def _top(page: Page) -> None:
    page.evaluate("window.scrollTo(0, 0)")


def _viewer(page: Page) -> None:
    page.locator("#ecgs").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#ecgs').scrollIntoView()")


PICTURES: dict[str, tuple[tuple[int, int], str, Callable[[Page], None]]] = {
    "report_first_screen": (DESKTOP, "light", _top),
    "report_dark": (DESKTOP, "dark", _top),
    "report_phone": (PHONE, "light", _top),
    "report_viewer": (DESKTOP, "light", _viewer),
}
"""Of each picture: size of the window, colours, and the place in the page."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--report", type=Path, default=ROOT / "results" / "report" / "index.html")
    args = arguments.parse_args()
    images = DOCS / "images"
    images.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, ((width, height), colours, place) in PICTURES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=colours,  # type: ignore[arg-type]
                offline=True,
            )
            page = context.new_page()
            page.goto(args.report.resolve().as_uri())
            page.wait_for_load_state("load")
            place(page)
            page.wait_for_timeout(500)
            page.screenshot(path=images / f"{name}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
