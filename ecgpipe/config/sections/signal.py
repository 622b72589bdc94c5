"""`signal`: the form every ECG is brought to."""

from __future__ import annotations

from pydantic import Field

from ecgpipe.config.sections.base import Section


class SignalSettings(Section):
    """Sampling rate and length that every ECG is converted to."""

    rate: int = Field(
        100,
        ge=50,
        le=1000,
        description="Sampling rate of every signal, in Hz. PTB-XL is fetched at 100 or 500 Hz, whichever is needed.",
    )
    seconds: float = Field(
        10.0,
        gt=0,
        le=60,
        description="Length of every signal, in seconds: longer recordings are cropped to their first part, shorter "
        "ones are refused.",
    )
