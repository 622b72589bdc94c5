"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STUDY, ECGS, OWN = "A study", "Anybody's ECGs", "Start something of your own"
"""Headings of the list of commands."""
SNAKEMAKE = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Settings of a command that hands what it does not know to Snakemake."""

ConfigFile = Annotated[Path, typer.Option("--configfile", help="The study's configuration.", show_default=True)]
CONFIG = Path("config.yaml")
PAGE = Path("report") / "index.html"
"""The report within the folder of results."""

Results = Annotated[
    Path | None, typer.Option(help="The study's results, if not those of the config.yaml here.", show_default=False)
]
