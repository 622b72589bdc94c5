"""`leads`: what leads are called in the files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ecgpipe.config.sections.base import Section

Lead = Literal["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
UpsideDown = Literal["-I", "-II", "-III", "-aVR", "-aVL", "-aVF", "-V1", "-V2", "-V3", "-V4", "-V5", "-V6"]


class Leads(Section):
    """Names of leads in the files."""

    aliases: dict[Annotated[str, Field(min_length=1, max_length=100)], Lead | UpsideDown | None] = Field(
        default_factory=dict,
        description="Further names of leads, in upper or lower case, beyond those that are known (`DII`, `Lead II`, "
        "`MDC_ECG_LEAD_II`, "
        "`V1-REF`, `-aVR`): each with the standard lead that it means (I, II, III, aVR, aVL, aVF, V1 to V6), with a "
        "`-` before it if the files hold the lead upside down, or with null to ignore it.",
    )
