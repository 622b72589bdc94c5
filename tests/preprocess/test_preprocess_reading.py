"""Data files of every kind: several of a record, several samples a frame, long ones, and what is no file."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from raw_records import SINUS_RHYTHM, challenge_settings, digital_ecg, manifest, signal_lines, write_record

from ecgpipe.acquire.run import acquire
from ecgpipe.config import FolderSource, Preprocess, SignalSettings
from ecgpipe.dataset import Dataset
from ecgpipe.leads import LEADS
from ecgpipe.preprocess import labels, samples
from ecgpipe.preprocess.reading import lead_rate, read_header, read_leads, read_recording
from ecgpipe.preprocess.reasons import InvalidRecord
from ecgpipe.preprocess.run import preprocess

DIGITAL = digital_ecg(1)
MILLIVOLTS = DIGITAL.T / 1000.0


def run(raw: Path, out: Path, files: pd.DataFrame | None = None) -> Dataset:
    listed = manifest(raw) if files is None else files
    preprocess(raw, listed, challenge_settings(), SignalSettings(), Preprocess(), out, source_name="set", workers=1)
    return Dataset.load(out)


def write_parts(folder: Path, parts: dict[str, tuple[np.ndarray, list[str]]], name: str = "A1") -> None:
    """Write a record whose signals are in several files."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for file, (digital, leads) in parts.items():
        (folder / file).write_bytes(digital.astype("<i2").tobytes())
        lines += signal_lines(file, digital, "16", leads=leads)
    text = [f"{name} {len(lines)} 500 {len(DIGITAL)}", *lines, f"#Dx: {SINUS_RHYTHM}"]
    (folder / f"{name}.hea").write_text("\n".join(text) + "\n")


def write_frames(folder: Path, each: int, storage: str = "16", name: str = "A1") -> None:
    """Write :data:`DIGITAL` with several samples a frame, as wfdb does."""
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.Record(
        record_name=name, n_sig=12, fs=500 // each, sig_len=len(DIGITAL) // each, units=["mV"] * 12, checksum=[0] * 12,
        sig_name=list(LEADS), fmt=[storage] * 12, adc_gain=[1000.0] * 12, baseline=[0] * 12,
        samps_per_frame=[each] * 12, e_d_signal=list(DIGITAL.T.astype(int)), file_name=[f"{name}.dat"] * 12,
        comments=[f"Dx: {SINUS_RHYTHM}"], adc_res=[16] * 12, adc_zero=[0] * 12, init_value=[0] * 12,
        block_size=[0] * 12,
    ).wrsamp(expanded=True, write_dir=str(folder))  # fmt: skip


def reason(folder: Path, name: str = "A1") -> InvalidRecord:
    with pytest.raises(InvalidRecord) as caught:
        read_leads(read_header(folder / f"{name}.hea"), folder)
    return caught.value


def test_frank_leads_in_a_second_file_are_left_aside(tmp_path: Path) -> None:
    """PTB's records; a study fetches no .xyz."""
    write_parts(tmp_path / "raw", {"A1.dat": (DIGITAL, list(LEADS)), "A1.xyz": (DIGITAL[:, :3], ["vx", "vy", "vz"])})
    (tmp_path / "raw" / "A1.xyz").unlink()
    assert run(tmp_path / "raw", tmp_path / "out").signals.shape == (1, 12, 1000)
    assert np.array_equal(read_leads(read_header(tmp_path / "raw" / "A1.hea"), tmp_path / "raw"), MILLIVOLTS)


def test_leads_of_two_files_are_put_together(tmp_path: Path) -> None:
    write_parts(tmp_path, {"A1.dat": (DIGITAL[:, 6:], list(LEADS[6:])), "A1.mat": (DIGITAL[:, :6], list(LEADS[:6]))})
    header = read_header(tmp_path / "A1.hea")
    assert np.array_equal(read_leads(header, tmp_path), MILLIVOLTS)
    assert np.array_equal(read_leads(header, tmp_path, 700), MILLIVOLTS[:, :700])
    (tmp_path / "A1.mat").unlink()
    assert reason(tmp_path).detail == "A1.mat is not there"


def test_a_lead_in_a_file_that_is_not_fetched_is_refused(tmp_path: Path) -> None:
    write_parts(tmp_path, {"A1.dat": (DIGITAL[:, :6], list(LEADS[:6])), "A1.xyz": (DIGITAL[:, 6:], list(LEADS[6:]))})
    with pytest.raises(InvalidRecord, match=r"data file 'A1.xyz' is not A1.dat or .mat or .flac"):
        read_header(tmp_path / "A1.hea")


@pytest.mark.parametrize("extension", ["dat", "flac"])
@pytest.mark.parametrize("storage", ["516", "524"])
def test_flac_is_read(tmp_path: Path, extension: str, storage: str) -> None:
    """wfdb writes eight signals a file: ``A1_1.dat`` and ``A1_2.dat``."""
    raw = tmp_path / "raw"
    raw.mkdir()
    wfdb.wrsamp(
        "A1", 500, ["mV"] * 12, list(LEADS), d_signal=DIGITAL.astype(int), fmt=[storage] * 12, adc_gain=[1000.0] * 12,
        baseline=[0] * 12, comments=[f"Dx: {SINUS_RHYTHM}"], write_dir=str(raw),
    )  # fmt: skip
    header = raw / "A1.hea"
    for path in raw.glob("*.dat"):
        path.rename(path.with_suffix(f".{extension}"))
    header.write_text(header.read_text().replace(".dat", f".{extension}"))
    assert np.array_equal(read_leads(read_header(header), raw), MILLIVOLTS)
    source = challenge_settings().model_copy(update={"source": FolderSource(kind="folder", path=str(raw))})
    fetched = acquire(source, SignalSettings(), tmp_path / "fetched")
    assert len(fetched) == 3
    found = run(tmp_path / "fetched", tmp_path / "out", fetched)
    assert list(found.records["record"]) == ["A1"]
    assert len(pd.read_parquet(tmp_path / "out" / "excluded.parquet")) == 0
    write_record(raw, "B1", digital_ecg(2))
    (raw / "B1_9.dat").write_bytes(b"x")  # B1 has a data file: this one is not its
    run(raw, tmp_path / "more")
    excluded = pd.read_parquet(tmp_path / "more" / "excluded.parquet")
    assert excluded[["record", "reason"]].to_numpy().tolist() == [["B1_9", "missing_header"]]
    header.write_text(header.read_text().replace("A1 12 500 5000", "A1 12 500"))
    assert reason(raw).detail == f"A1_1.{extension} is FLAC, and its header does not give its length"


@pytest.mark.parametrize(("each", "storage"), [(5, "16"), (50, "212"), (4, "24")])
def test_several_samples_a_frame_are_samples(tmp_path: Path, each: int, storage: str) -> None:
    """Averaged over their frame, 500 Hz would become 100 Hz, and an R wave of 0.71 mV one of 0.62 mV."""
    write_frames(tmp_path, each, storage)
    header = read_header(tmp_path / "A1.hea")
    assert header.rate == 500 / each
    assert lead_rate(header) == 500
    assert np.array_equal(read_leads(header, tmp_path), MILLIVOLTS)
    assert np.array_equal(read_leads(header, tmp_path, 1234), MILLIVOLTS[:, :1234])
    assert read_recording(header, tmp_path, 100, 200).signals.shape == (12, 1000)
    stored = bytearray((tmp_path / "A1.dat").read_bytes())
    stored[1000] ^= 1
    (tmp_path / "A1.dat").write_bytes(stored)
    assert reason(tmp_path).reason == "checksum"


def test_a_study_of_frames_is_that_of_single_samples(tmp_path: Path) -> None:
    write_frames(tmp_path / "framed", 5)
    write_record(tmp_path / "plain", "A1", DIGITAL)
    framed, plain = (run(tmp_path / name, tmp_path / f"{name} out").signals for name in ("framed", "plain"))
    assert np.array_equal(framed[:], plain[:])


def test_leads_of_different_rates_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path, 5)
    header = tmp_path / "A1.hea"
    lines = header.read_text().splitlines()
    lines[3] = lines[3].replace("16x5", "16x1")
    header.write_text("\n".join(lines) + "\n")
    invalid = reason(tmp_path)
    assert invalid.reason == "sampling_rate"
    assert invalid.detail == "leads with different sampling rates: I has 500 Hz, III has 100 Hz"


def write_day(folder: Path, storage: str, hours: float) -> int:
    """Write a long record, an ECG and then zeros that take no space; return its samples."""
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        "A1", 500, ["mV"] * 12, list(LEADS), d_signal=np.clip(DIGITAL, -2000, 2000).astype(int), fmt=[storage] * 12,
        adc_gain=[1000.0] * 12, baseline=[0] * 12, comments=[f"Dx: {SINUS_RHYTHM}"], write_dir=str(folder),
    )  # fmt: skip
    length = round(hours * 3600 * 500)
    os.truncate(folder / "A1.dat", length * (24 if storage == "16" else 18))
    header = folder / "A1.hea"
    header.write_text(header.read_text().replace("A1 12 500 5000", f"A1 12 500 {length}"))
    return length


@pytest.mark.parametrize(("storage", "hours"), [("16", 24.0), ("212", 2.0)])
def test_a_day_takes_the_memory_of_ten_seconds(tmp_path: Path, storage: str, hours: float) -> None:
    write_day(tmp_path / "raw", storage, hours)
    header = read_header(tmp_path / "raw" / "A1.hea")
    tracemalloc.start()
    try:
        found = read_recording(header, tmp_path / "raw", 100, 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found.signals, np.clip(MILLIVOLTS, -2, 2))
    assert peak < 100e6


@pytest.mark.parametrize(("storage", "hours"), [("16", 1.0), ("212", 1.0)])
def test_checksums_of_long_records_are_verified_to_their_end(tmp_path: Path, storage: str, hours: float) -> None:
    write_day(tmp_path, storage, hours)
    with open(tmp_path / "A1.dat", "r+b") as handle:
        handle.seek(-1, os.SEEK_END)
        handle.write(b"\x01")
    assert reason_of_ten_seconds(tmp_path).reason == "checksum"


def reason_of_ten_seconds(folder: Path) -> InvalidRecord:
    with pytest.raises(InvalidRecord) as caught:
        read_recording(read_header(folder / "A1.hea"), folder, 100, 1000)
    return caught.value


@pytest.mark.parametrize("storage", ["16", "212", "24", "32"])
def test_blocks_give_the_samples_of_the_whole(tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wfdb.wrsamp(
        "A1", 500, ["mV"] * 12, list(LEADS), d_signal=np.clip(DIGITAL, -2000, 2000).astype(int), fmt=[storage] * 12,
        adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(tmp_path),
    )  # fmt: skip
    header = read_header(tmp_path / "A1.hea")
    whole = wfdb.rdrecord(str(tmp_path / "A1")).p_signal.T
    monkeypatch.setattr(samples, "BLOCK_SAMPLES", 12 * 777)
    assert np.array_equal(read_leads(header, tmp_path), whole)
    assert np.array_equal(read_leads(header, tmp_path, 778), whole[:, :778])
    assert np.array_equal(read_leads(header, tmp_path, 99_999), whole)


def test_bytes_in_the_other_order_are_read(tmp_path: Path) -> None:
    """Format 61. wfdb reads its physical samples, not its digital ones, of which checksums are made."""
    write_record(tmp_path, "A1", DIGITAL, lines=signal_lines("A1.dat", DIGITAL, "61"))
    (tmp_path / "A1.mat").unlink()
    (tmp_path / "A1.dat").write_bytes(DIGITAL.astype(">i2").tobytes())
    found = read_leads(read_header(tmp_path / "A1.hea"), tmp_path)
    assert np.array_equal(found, wfdb.rdrecord(str(tmp_path / "A1")).p_signal.T)
    (tmp_path / "A1.dat").write_bytes(DIGITAL.astype("<i2").tobytes())
    assert reason_of_ten_seconds(tmp_path).reason == "checksum"


@pytest.mark.parametrize(("storage", "kind", "shift"), [("160", "<u2", 32768), ("32", "<i4", 0)])
def test_other_plain_formats_are_read(tmp_path: Path, storage: str, kind: str, shift: int) -> None:
    write_record(tmp_path, "A1", DIGITAL, lines=signal_lines("A1.dat", DIGITAL, storage))
    (tmp_path / "A1.mat").unlink()
    (tmp_path / "A1.dat").write_bytes((DIGITAL.astype(np.int64) + shift).astype(kind).tobytes())
    assert np.array_equal(read_leads(read_header(tmp_path / "A1.hea"), tmp_path), DIGITAL.T / 1000)


def test_a_truncated_tail_is_found_although_it_is_not_kept(tmp_path: Path) -> None:
    length = write_day(tmp_path, "212", 0.5)
    os.truncate(tmp_path / "A1.dat", length * 18 - 1)
    assert reason_of_ten_seconds(tmp_path).reason == "short_data"


def test_pipes_devices_and_folders_do_not_hang(tmp_path: Path) -> None:
    for name in ("A1", "A2", "A3", "A4", "A5"):
        write_record(tmp_path, name, DIGITAL)
    for path in ("A1.mat", "A2.mat", "A3.mat", "A4.hea", "A5.hea"):
        (tmp_path / path).unlink()
    os.mkfifo(tmp_path / "A1.mat")
    (tmp_path / "A2.mat").symlink_to("/dev/zero")
    (tmp_path / "A3.mat").mkdir()
    os.mkfifo(tmp_path / "A4.hea")
    (tmp_path / "A5.hea").symlink_to("A5.hea")
    found = {name: str(reason(tmp_path, name)) for name in ("A1", "A2", "A3", "A4", "A5")}
    assert found == {
        "A1": "unreadable_data, A1.mat is a named pipe, not a file",
        "A2": "unreadable_data, A2.mat is a device, not a file",
        "A3": "unreadable_data, A3.mat is a folder, not a file",
        "A4": "unreadable_header, A4.hea is a named pipe, not a file",
        "A5": "unreadable_header, A5.hea: Too many levels of symbolic links",
    }
    os.mkfifo(tmp_path / "map.csv")
    for path in (tmp_path / "map.csv", Path("/dev/zero"), tmp_path):
        with pytest.raises(ValueError, match=r"preprocess.label_map: .* is no file"):
            labels.load(str(path))
    (tmp_path / "large.csv").write_bytes(b"")
    os.truncate(tmp_path / "large.csv", labels.MAX_BYTES + 1)
    with pytest.raises(ValueError, match=r"large.csv has more than 4,194,304 bytes"):
        labels.load(str(tmp_path / "large.csv"))


def test_a_stretch_that_no_memory_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_frames(tmp_path, 5, "212")
    monkeypatch.setattr(samples, "MAX_SAMPLES", 1000)
    assert "too many to decode at once" in reason(tmp_path).detail


def test_a_blank_in_a_name_is_told(tmp_path: Path) -> None:
    write_record(tmp_path, "a b", DIGITAL)
    with pytest.raises(InvalidRecord, match=r"the record's name 'a b' has a blank: rename its files"):
        read_header(tmp_path / "a b.hea")


def test_extensions_in_capitals_are_found(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name, old, new in (("A1", "mat", "MAT"), ("A2", "hea", "HEA")):
        write_record(raw, name, digital_ecg(int(name[1])))
        (raw / f"{name}.{old}").rename(raw / f"{name}.{new}")
    assert list(run(raw, tmp_path / "out").records["record"]) == ["A1", "A2"]


def test_records_of_one_name_in_a_folder_a_patient_are_all_read(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for patient in range(3):
        for number, name in enumerate(("rest", "stress")):
            write_record(raw / f"patient{patient}", name, digital_ecg(2 * patient + number))
    write_record(raw / "patient0", "only", digital_ecg(9))
    records = run(raw, tmp_path / "out").records
    assert records[["record", "patient"]].to_numpy().tolist() == [
        ["only", "patient0"],
        *([f"patient{patient}/{name}", f"patient{patient}"] for patient in range(3) for name in ("rest", "stress")),
    ]
    assert (records.groupby("patient")["split"].nunique() == 1).all()
    assert len(pd.read_parquet(tmp_path / "out" / "excluded.parquet")) == 0
