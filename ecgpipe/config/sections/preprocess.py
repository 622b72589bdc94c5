"""`preprocess`: how raw records become the arrays of the study."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ecgpipe.config.sections.base import Interval, Section, Seed, WorkflowPath


class Quality(Section):
    """Which records are refused for their signals; levels were held against 574 real records."""

    flat_lead_mv: float = Field(
        0.005,
        ge=0,
        description="Flat lead: a lead whose range over the recording is below this, in mV; its record is refused.",
    )
    flat_s: float | None = Field(
        1.0,
        gt=0,
        description="Flat lead: a record is refused if one of its leads stands still for this long at a stretch, in "
        "seconds; null: only whole recordings are looked at.",
    )
    missing_s: float = Field(
        0.0,
        ge=0,
        description="Missing samples (NaN): most time, in seconds, that a lead may lack; up to that, gaps are closed "
        "by straight lines. 0 refuses a record with any.",
    )
    saturation_s: float | None = Field(
        0.2,
        gt=0,
        description="Saturation: a lead that stays at its own largest or smallest value this long at a stretch, in "
        "seconds, 1 mV or more from its median, is cut off, and its record refused; null: not looked for.",
    )
    dropped_s: float | None = Field(
        0.2,
        gt=0,
        description="Dropped samples: a record is refused if all leads stand still at once for this long, in "
        "seconds; null: not looked for.",
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
        description="Gain: ADC units per mV that the data are expected to have. A record whose header says another, "
        "three times or more off, is refused if the header's makes the amplitude one that hardly any heart has and "
        "this one a usual one; null believes every header.",
    )
    limb_leads_mv: float | None = Field(
        0.05,
        gt=0,
        description="Limb leads: a record is refused, as leads are likely exchanged, if III = II - I, aVR = -(I + "
        "II)/2, aVL = I - II/2 or aVF = II - I/2 is off by more than this (root mean square, mV); null: not looked "
        "at.",
    )
    reversal_correlation: float | None = Field(
        -0.5,
        ge=-1,
        le=0,
        description="Arm electrodes: a record is kept, but marked as suspect of exchanged arm electrodes, if the "
        "slopes of its leads I and V6 are correlated by less than this; null: not looked at.",
    )


class Filtering(Section):
    """What is filtered out of every recording, at its own rate before resampling. Nothing, as in the paper."""

    baseline: Literal["none", "median"] = Field(
        "none",
        description="Baseline wander: `median` subtracts what two running medians (0.2 s, then 0.6 s) leave; `none`: "
        "stays.",
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
        description="Which records are refused for their signals, each listed with its measure.",
    )
    filters: Filtering = Field(
        default_factory=Filtering, description="What is filtered out of every recording: nothing, as in the paper."
    )
    split_seed: Seed = Field(
        1, description="Seed of the split by patient, stratified by class, of datasets that come without folds."
    )
