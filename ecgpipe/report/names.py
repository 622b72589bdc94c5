"""Names of the files beside the page: what the workflow promises, without importing what makes them."""

from ecgpipe.closeness.names import TABLES as CLOSENESS_TABLES
from ecgpipe.tables.names import TABLES as RESULT_TABLES

TABLES = (*RESULT_TABLES, *CLOSENESS_TABLES)
"""Tables that can be taken away."""
PICTURE_DATA = ("curves", "points")
"""Tables that hold what pictures show, arrays among them: not written as LaTeX."""
FORMATS = {"parquet": "parquet", "csv": "csv", "latex": "tex"}
"""Forms of a table, with their suffix."""
DICTIONARY = ("dictionary.csv", "dictionary.md")
METHODS = ("methods.md", "methods.tex", "references.bib")

STUDY_FIGURES = ("effects", "training")
DATASET_FIGURES = ("curves", "rhythms", "confusion", "closeness")
"""Figures, also of each dataset; the pictures of the closeness stage come on top."""


def table_files() -> list[str]:
    """Return the files of all tables, relative to the report's folder."""
    found = [f"tables/{name}.{suffix}" for name in TABLES for form, suffix in FORMATS.items() if has_form(name, form)]
    return [*found, *(f"tables/{name}" for name in DICTIONARY)]


def has_form(table: str, form: str) -> bool:
    """Say whether a table is written in a form."""
    return form != "latex" or table not in PICTURE_DATA


def figure_names(datasets: list[str]) -> list[str]:
    """Return the names of the figures."""
    return [*STUDY_FIGURES, *(f"{dataset}_{name}" for dataset in datasets for name in DATASET_FIGURES)]
