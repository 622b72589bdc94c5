"""Reasons of exclusion: one short code for each, the same in every table."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "missing_header": "no header file",
    "unreadable_header": "the header does not follow the WFDB format, nor a known deviation from it",
    "missing_lead": "one of the twelve standard leads is missing",
    "duplicate_lead": "a standard lead occurs twice",
    "unknown_unit": "the signals' unit is not a voltage",
    "uncalibrated": "no usable gain, so that amplitudes have no unit",
    "sampling_rate": "a sampling rate that cannot be converted to the study's",
    "no_study_rhythm": "none of the study's rhythms among its codes",
    "missing_data": "no data file",
    "short_data": "the data file holds fewer samples than the header says",
    "unreadable_data": "the data file cannot be decoded",
    "checksum": "the samples do not have the header's checksum",
    "too_short": "shorter than the study's signals",
    "nan": "samples marked as missing",
    "flat_lead": "a lead without signal",
    "saturation": "a lead that stays at its extreme, as with a saturated amplifier",
    "dropped_samples": "all leads are constant at the same time, for instance after a loss of samples",
    "limb_leads": "limb leads that contradict each other, for instance because leads were exchanged",
    "amplitude": "implausible amplitudes, for instance from a wrong gain",
    "duplicate_record": "a record of that name is already in the set",
    "duplicate_recording": "the same recording as another record that is kept, by its signals",
    "not_taken": "found in the source folder but not used: not in its SHA256SUMS.txt, a broken link ...",
    "not_in_database": "no row in ptbxl_database.csv",
    "unreadable_codes": "the scp_codes of ptbxl_database.csv are not a dictionary",
    "no_fold": "no strat_fold between 1 and 10",
    "no_patient": "no patient number, so that it might be in two splits",
}
"""Every code of the column ``reason`` of ``excluded.parquet``, with its meaning."""

CODE_LINE = "codes are read from a comment of the header such as `#Dx: 426783006,59118001` (SNOMED-CT)"

KEYS: dict[str, str] = {
    "missing_lead": "add the names of your leads to `leads.aliases`; all twelve are needed",
    "duplicate_lead": "set one of the two names to null in `leads.aliases`",
    "no_study_rhythm": "`preprocess.label_map` says which codes make which class",
    "too_short": "`signal.seconds` is the required length",
    "nan": "`preprocess.quality.missing_s` says how much may be missing",
    "flat_lead": "`preprocess.quality.flat_lead_mv` and `flat_s` are the limits",
    "saturation": "`preprocess.quality.saturation_s` is the limit",
    "dropped_samples": "`preprocess.quality.dropped_s` is the limit",
    "limb_leads": "`preprocess.quality.limb_leads_mv` is the limit, and `leads.aliases` can turn a lead upside down",
    "amplitude": "`preprocess.quality.usual_gain`, `amplitude_mv` and `max_abs_mv` are the limits",
    "duplicate_record": "records are identified by their names",
    "duplicate_recording": "remove one of the two from the source if the other is the one to keep",
    "missing_data": "a header and a data file are needed; check the source's files",
    "missing_header": "a header and a data file are needed; check the source's files",
    "unreadable_header": "write the header as https://physionet.org/physiotools/wag/header-5.htm says",
    "unknown_unit": "write the unit of a voltage after the gain, such as `1000/mV`",
    "uncalibrated": "write the gain, in ADC units per unit of voltage, into the header, such as `1000/mV`",
    "sampling_rate": "write the rate in Hz as the third word of the header",
    "short_data": "copy the data file again, or correct the number of samples in the header",
    "unreadable_data": "copy the data file again, or correct the storage format in the header",
    "checksum": "copy the data file again; if it is right, correct the header's checksums, or write 0 for all of them",
    "not_taken": "add its files to the source's SHA256SUMS.txt, or repair the link",
    "not_in_database": "`dataset_settings` names the source; check its version",
    "unreadable_codes": "write `{'SR': 0.0}` or the like into scp_codes of ptbxl_database.csv",
    "no_fold": "write a number of 1 to 10 into strat_fold of ptbxl_database.csv",
    "no_patient": "write a number into patient_id of ptbxl_database.csv",
}
"""Of each reason: which setting, or what else, helps."""


class InvalidRecord(Exception):
    """A record that failed validation; ``reason`` is a key of :data:`REASONS`, ``detail`` says what and where."""

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"unknown reason {reason!r}")
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}, {self.detail}"
