"""`study`: what the report calls this study."""

from __future__ import annotations

from pydantic import Field

from ecgpipe.config.sections.base import Name, Section


class StudySettings(Section):
    """Name and title of the study in the report."""

    title: str = Field("Do synthetic 12-lead ECGs help a rhythm classifier?", description="Title of the report.")
    name: Name = Field("study", description="Short name, used in the report and in export files.")
