"""Reasons of exclusion: one short code for each, the same in every table."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "missing_header": "no header file",
    "unreadable_header": "the header does not follow the WFDB format, nor a known deviation from it",
    "missing_lead": "one of the twelve standard leads is missing",
    "duplicate_lead": "a standard lead is there twice",
    "unknown_unit": "the signals' unit is not a voltage",
    "uncalibrated": "no usable gain, so that amplitudes have no unit",
    "sampling_rate": "a sampling rate that cannot be brought to the study's",
    "no_study_rhythm": "none of the study's rhythms among its codes",
    "missing_data": "no data file",
    "short_data": "the data file holds fewer samples than the header says",
    "unreadable_data": "the data file cannot be decoded",
    "checksum": "the samples do not have the header's checksum",
    "too_short": "shorter than the study's signals",
    "nan": "samples marked as missing",
    "flat_lead": "a lead without signal",
    "saturation": "a lead that stays at its extreme, as of an amplifier at its limit",
    "dropped_samples": "all leads stand still at once, as of samples that were lost",
    "limb_leads": "limb leads that contradict each other, as of exchanged leads",
    "amplitude": "amplitudes that no heart gives, as of a wrong gain",
    "duplicate_record": "a record of that name is already in the set",
    "not_in_database": "no row in ptbxl_database.csv",
    "unreadable_codes": "the scp_codes of ptbxl_database.csv are not a dictionary",
    "no_fold": "no strat_fold between 1 and 10",
    "no_patient": "no patient number, so that it might be in two splits",
}
"""Every code of the column ``reason`` of ``excluded.parquet``, with its meaning."""


class InvalidRecord(Exception):
    """A record that failed validation; ``reason`` is a key of :data:`REASONS`, ``detail`` says what and where."""

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"unknown reason {reason!r}")
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
