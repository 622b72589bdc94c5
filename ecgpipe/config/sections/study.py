"""`study`: name and title of the study in the report, and the folder of its results."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from ecgpipe.config.sections.base import Section

_NAME = r"^[A-Za-z][A-Za-z0-9_]{0,39}$"


def _folder_name(name: str) -> str:
    """Refuse what would be no name of a folder, or one elsewhere."""
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            f"{name!r} cannot name a study and its folder: it must begin with a letter, contain only letters, digits "
            "and _, and have at most 40 characters"
        )
    return name


StudyName = Annotated[str, AfterValidator(_folder_name), Field(json_schema_extra={"pattern": _NAME})]


class StudySettings(Section):
    """Name and title of the study in the report, and the folder of its results."""

    title: str = Field("Do synthetic 12-lead ECGs help a rhythm classifier?", description="Title of the report.")
    name: StudyName = Field("study", description="Short name, used in the report and in export files.")
    own_folder: bool = Field(
        False,
        description="Write the results to `studies/<name>/`, beside those of other studies; false: to `results/`. Raw "
        "records stay in `raw_dir`, which studies share.",
    )
