"""`preprocess`: how raw records become the arrays of the study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ecgpipe.config.sections.base import Interval, Section, Seed, WorkflowPath


class Quality(Section):
    """These limits were checked against 574 real records."""

    flat_lead_mv: float = Field(
        0.005,
        ge=0,
        description="Flat lead: a record is refused if the range of one of its leads over the recording is below "
        "this, in mV.",
    )
    flat_s: float | None = Field(
        1.0,
        gt=0,
        description="Flat lead: a record is refused if one of its leads is constant for this long without a break, "
        "in seconds; null: only a lead that is flat throughout counts.",
    )
    missing_s: float = Field(
        0.0,
        ge=0,
        description="Missing samples (NaN): the longest total time, in seconds, that may be missing from a lead; "
        "shorter gaps are interpolated linearly. 0 refuses every record with a missing sample.",
    )
    saturation_s: float | None = Field(
        0.2,
        gt=0,
        description="Saturation: a record is refused if one of its leads stays at its own maximum or minimum for "
        "this long, in seconds, at least 1 mV from its median; null: no check.",
    )
    dropped_s: float | None = Field(
        0.2,
        gt=0,
        description="Dropped samples: a record is refused if all leads are constant at the same time for this long, "
        "in seconds; null: no check.",
    )
    max_abs_mv: float = Field(
        20.0, gt=0, description="Amplitude: a record with a sample beyond this, in mV, is refused as not physiological."
    )
    amplitude_mv: Interval = Field(
        default_factory=lambda: [0.1, 8.0],
        description="Amplitude: lowest and highest typical range of a record's leads, in mV (the median over leads "
        "of the range that holds 98 % of the samples); other records are refused.",
    )
    usual_gain: float | None = Field(
        1000.0,
        gt=0,
        description="Gain: ADC units per mV that the data are expected to have. A record whose header differs by a "
        "factor of three or more is refused if its amplitude is implausible with the header's gain and "
        "plausible with this one; null trusts every header.",
    )
    limb_leads_mv: float | None = Field(
        0.05,
        gt=0,
        description="Limb leads: a record is refused, because leads were probably exchanged, if III = II - I, aVR = "
        "-(I + II)/2, aVL = I - II/2 or aVF = II - I/2 is violated by more than this (root mean square, "
        "mV); null: no check.",
    )
    reversal_correlation: float | None = Field(
        -0.5,
        ge=-1,
        le=0,
        description="Arm electrodes: a record is kept, but marked in the column `suspected`, if the correlation of "
        "the slopes of leads I and V6 is below this, which suggests exchanged arm electrodes; null: no "
        "check.",
    )


class Filtering(Section):
    """They are applied at the rate of the recording, before resampling."""

    baseline: Literal["none", "median"] = Field(
        "none",
        description="Baseline wander: `median` subtracts the baseline that two running medians (0.2 s, then 0.6 s) "
        "estimate; `none` leaves it.",
    )
    band_pass_hz: Interval | None = Field(
        None,
        description="Pass band, in Hz (`[0.5, 40]`): third-order Butterworth, forwards and backwards; an upper edge "
        "at or above half a recording's rate leaves a high-pass. null: none.",
    )
    notch_hz: float | None = Field(
        None,
        gt=0,
        description="Mains frequency to remove, in Hz (50 or 60): notch of quality 30, forwards and backwards; "
        "null: none.",
    )


class Preprocess(Section):
    """How raw records become the arrays of the study."""

    label_map: WorkflowPath = Field(
        "rhythms7",
        description="Which codes make which class: `rhythms7` (the study's seven rhythms), `rhythms4` (the four "
        "merged rhythms of Zheng et al. 2020), `superclasses5` (PTB-XL's diagnostic superclasses) or the path of a "
        "CSV with the columns class, system, code, acronym.",
    )
    quality: Quality = Field(
        default_factory=Quality,
        description="Limits of signal quality. A record beyond one is refused and listed with the measured value.",
    )
    filters: Filtering = Field(
        default_factory=Filtering,
        description="Filters for every recording. By default there are none, as in the paper.",
    )
    split_seed: Seed = Field(
        1, description="Seed of the split by patient, stratified by class, of datasets that come without folds."
    )
