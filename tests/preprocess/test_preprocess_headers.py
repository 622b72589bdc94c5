"""Every header flavour of physionet.md is read right or refused with its reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_records import digital_ecg, signal_lines, write_record

from ecgpipe.leads import LEADS
from ecgpipe.preprocess.headers import parse, parse_age, parse_codes, parse_sex
from ecgpipe.preprocess.reading import gains, read_header, read_leads
from ecgpipe.preprocess.reasons import InvalidRecord

NAME = "JS00001"
DIGITAL = digital_ecg(1)
MILLIVOLTS = DIGITAL.T / 1000.0


def plain_lines(**options: str) -> list[str]:
    return [f"{NAME} 12 500 5000 23-Mar-2021 20:20:55", *signal_lines(f"{NAME}.mat", DIGITAL, **options)]  # type: ignore[arg-type]


def first_line(text: str) -> list[str]:
    return [text, *plain_lines()[1:]]


def joined(between: str) -> list[str]:
    lines = plain_lines()
    return [f"{NAME} 12 500 5000{between}{lines[1]}", *lines[2:]]


READ_RIGHT: dict[str, list[str]] = {
    "as published": plain_lines(),
    "gain with baseline and samples a frame": plain_lines(storage="16x1+24", scale="1000.0(0)/mV"),
    "unit mv": plain_lines(scale="1000/mv"),
    "unit left out": plain_lines(scale="1000"),
    "microvolts": plain_lines(scale="1/uV"),
    "microvolts with micro sign": plain_lines(scale="1/\u00b5V"),
    "volts": plain_lines(scale="1e6/V"),
    "no date": first_line(f"{NAME} 12 500 5000"),
    "no length": first_line(f"{NAME} 12 500"),
    "trailing blanks after date": first_line(f"{NAME} 12 500 5000 23-Mar-2021 20:20:55  \t "),
    "bare date": first_line(f"{NAME} 12 500 5000 05/02/2020"),
    "date before time": first_line(f"{NAME} 12 500 5000 05/02/2020 14:50:55"),
    "record named like its data file": first_line(f"{NAME}.mat 12 500 5000 05-Feb-2020 11:39:16"),
    "lines run together": joined(""),
    "lines run together after a date": joined(" 23-Mar-2021 21:20:44"),
    "lines run together with a blank": joined(" 23-Mar-2021 21:20:44 "),
    "all signal lines run together": [plain_lines()[0], "".join(plain_lines()[1:])],
    "named like its data file and run together": [f"{NAME}.mat 12 500 5000{plain_lines()[1]}", *plain_lines()[2:]],
    "counter frequency": first_line(f"{NAME} 12 500/500(0) 5000"),
    "empty lines": ["", "", *plain_lines(), ""],
}


@pytest.mark.parametrize("flavour", READ_RIGHT)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_flavours_give_the_same_millivolts(tmp_path: Path, flavour: str, end: str) -> None:
    write_record(tmp_path, NAME, DIGITAL)
    text = end.join([*READ_RIGHT[flavour], "# Age: 59", "#Dx: 164889003"]) + end
    (tmp_path / f"{NAME}.hea").write_text(text, encoding="utf-8", newline="")
    header = read_header(tmp_path / f"{NAME}.hea")
    np.testing.assert_allclose(read_leads(header, tmp_path), MILLIVOLTS, rtol=1e-15)
    np.testing.assert_allclose(gains(header), 1000.0)
    assert (header.rate, header.age, header.codes) == (500.0, 59.0, ("164889003",))


def test_leads_come_in_standard_order_by_name(tmp_path: Path) -> None:
    order = [6, 0, 11, 3, 2, 1, 4, 5, 10, 9, 8, 7]
    names = ["avr" if LEADS[i] == "aVR" else LEADS[i] for i in order]
    write_record(tmp_path, NAME, DIGITAL[:, order], leads=names)
    assert np.array_equal(read_leads(read_header(tmp_path / f"{NAME}.hea"), tmp_path), MILLIVOLTS)


def test_further_leads_are_left_aside(tmp_path: Path) -> None:
    more = np.concatenate([DIGITAL[:, :1] * 2, DIGITAL], axis=1)
    write_record(tmp_path, NAME, more, leads=["X", *LEADS])
    assert np.array_equal(read_leads(read_header(tmp_path / f"{NAME}.hea"), tmp_path), MILLIVOLTS)


def test_baseline_and_gain_of_each_lead_count(tmp_path: Path) -> None:
    lines = plain_lines(scale="1000(50)/mV")
    lines[3] = lines[3].replace("1000(50)/mV", "500/mV").replace(" 16 0 ", " 16 -7 ")  # lead III
    write_record(tmp_path, NAME, DIGITAL, record_line=lines[0], lines=lines[1:])
    signals = read_leads(read_header(tmp_path / f"{NAME}.hea"), tmp_path)
    np.testing.assert_allclose(signals[0], (DIGITAL[:, 0] - 50.0) / 1000)
    np.testing.assert_allclose(signals[2], (DIGITAL[:, 2] + 7.0) / 500)


def replaced(old: str, new: str, line: int = 3) -> Callable[[], list[str]]:
    def make() -> list[str]:
        lines = plain_lines()
        assert old in lines[line]
        lines[line] = lines[line].replace(old, new)
        return lines

    return make


REFUSED: dict[str, tuple[Callable[[], list[str]], str, str]] = {
    "empty": (list, "unreadable_header", "no record line"),
    "a page of text": (lambda: ["<html>not found</html>"], "unreadable_header", "record line"),
    "several segments": (lambda: first_line(f"{NAME}/3 12 500 5000"), "unreadable_header", "segments"),
    "a signal line less": (lambda: plain_lines()[:-1], "unreadable_header", "11 signal lines"),
    "a signal line more": (lambda: [*plain_lines(), plain_lines()[-1]], "unreadable_header", "13 signal lines"),
    "no rate": (lambda: first_line(f"{NAME} 12"), "unreadable_header", "record line"),
    "rate 0": (lambda: first_line(f"{NAME} 12 0 5000"), "sampling_rate", "'0'"),
    "rate beyond floats": (lambda: first_line(f"{NAME} 12 1e999 5000"), "sampling_rate", "1e999"),
    "rate in words": (lambda: first_line(f"{NAME} 12 fast 5000"), "unreadable_header", "record line"),
    "number of leads with 5000 digits": (lambda: first_line(f"{NAME} {'9' * 5000} 500"), "unreadable_header", "999"),
    "another record's file": (replaced(f"{NAME}.mat", "JS00002.mat"), "unreadable_header", "JS00002.mat"),
    "a file elsewhere": (
        lambda: [line.replace(f"{NAME}.mat", f"../{NAME}.mat") for line in plain_lines()],
        "unreadable_header",
        f"../{NAME}.mat",
    ),
    "storage in words": (replaced("16+24", "int16"), "unreadable_header", "int16"),
    "gain left out": (replaced("1000/mV ", ""), "unreadable_header", "lacks fields"),
    "gain not a number": (replaced("1000/mV", "nan/mV"), "uncalibrated", "lead 'III'"),
    "gain 0": (replaced("1000/mV", "0/mV"), "uncalibrated", "lead 'III'"),
    "gain infinite": (replaced("1000/mV", "1e999/mV"), "uncalibrated", "lead 'III'"),
    "gain negative": (replaced("1000/mV", "-1000/mV"), "uncalibrated", "lead 'III'"),
    "unit of another kind": (replaced("/mV", "/mmHg"), "unknown_unit", "mmHg"),
    "no lead name": (replaced(" III", ""), "unreadable_header", "lacks fields"),
    "checksum in words": (
        lambda: [*plain_lines()[:12], f"{NAME}.mat 16+24 1000/mV 16 0 0 sum 0 V6"],
        "unreadable_header",
        "sum",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_faulty_headers_are_refused_by_name(fault: str) -> None:
    make, reason, detail = REFUSED[fault]
    with pytest.raises(InvalidRecord) as caught:
        parse("\n".join(make()), NAME)
    assert caught.value.reason == reason
    assert detail in caught.value.detail
    assert len(caught.value.detail) < 200


def test_leads_missing_or_twice_are_refused(tmp_path: Path) -> None:
    for names, reason, lead in (
        ([*LEADS[:5], "X", *LEADS[6:]], "missing_lead", "aVF"),
        ([*LEADS, "v2"], "duplicate_lead", "V2"),
    ):
        digital = np.concatenate([DIGITAL, DIGITAL[:, :1]], axis=1)[:, : len(names)]
        write_record(tmp_path, NAME, digital, leads=names)
        with pytest.raises(InvalidRecord, match=lead) as caught:
            read_leads(read_header(tmp_path / f"{NAME}.hea"), tmp_path)
        assert caught.value.reason == reason


def test_faulty_data_files_are_refused(tmp_path: Path) -> None:
    write_record(tmp_path, NAME, DIGITAL)
    header = read_header(tmp_path / f"{NAME}.hea")
    data = tmp_path / f"{NAME}.mat"
    whole = data.read_bytes()
    for content, reason in (
        (whole[:-24], "short_data"),
        (b"", "short_data"),
        (whole[:5000] + b"\x7f" + whole[5001:], "checksum"),
        (whole[24:] + whole[:24], "checksum"),
    ):
        data.write_bytes(content)
        with pytest.raises(InvalidRecord) as caught:
            read_leads(header, tmp_path)
        assert caught.value.reason == reason
    data.unlink()
    with pytest.raises(InvalidRecord) as caught:
        read_leads(header, tmp_path)
    assert caught.value.reason == "missing_data"


def test_checksums_may_be_signed_unsigned_or_absent(tmp_path: Path) -> None:
    digital = np.maximum(DIGITAL, 0)
    for signed in (True, False):
        lines = signal_lines(f"{NAME}.mat", digital, signed=signed)
        assert any(int(line.split()[6]) < 0 for line in lines) == signed
        write_record(tmp_path, NAME, digital, lines=lines)
        assert np.array_equal(read_leads(read_header(tmp_path / f"{NAME}.hea"), tmp_path), digital.T / 1000)
    absent = [" ".join([*line.split()[:6], "0", *line.split()[7:]]) for line in lines]
    write_record(tmp_path, NAME, digital, lines=absent)
    assert np.array_equal(read_leads(read_header(tmp_path / f"{NAME}.hea"), tmp_path), digital.T / 1000)


def test_missing_samples_become_nan(tmp_path: Path) -> None:
    digital = DIGITAL.copy()
    digital[7, 3] = -32768
    write_record(tmp_path, NAME, digital)
    signals = read_leads(read_header(tmp_path / f"{NAME}.hea"), tmp_path)
    assert np.argwhere(np.isnan(signals)).tolist() == [[3, 7]]


@pytest.mark.parametrize("storage", ["212", "24", "32", "80"])
def test_other_formats_are_read_by_wfdb(tmp_path: Path, storage: str) -> None:
    digital = np.clip(DIGITAL // 10, -120, 120).astype(np.int64)
    wfdb.wrsamp(
        NAME, 500, ["mV"] * 12, list(LEADS), d_signal=digital, fmt=[storage] * 12, adc_gain=[100.0] * 12,
        baseline=[3] * 12, comments=["Dx: 426783006"], write_dir=str(tmp_path),
    )  # fmt: skip
    header = read_header(tmp_path / f"{NAME}.hea")
    expected = wfdb.rdrecord(str(tmp_path / NAME)).p_signal.T
    assert np.array_equal(read_leads(header, tmp_path), expected)
    stored = bytearray((tmp_path / f"{NAME}.dat").read_bytes())
    stored[len(stored) // 2] ^= 1
    (tmp_path / f"{NAME}.dat").write_bytes(stored)
    with pytest.raises(InvalidRecord) as caught:
        read_leads(header, tmp_path)
    assert caught.value.reason == "checksum"
    (tmp_path / f"{NAME}.dat").write_bytes(b"\0" * 5000)
    with pytest.raises(InvalidRecord) as caught:
        read_leads(header, tmp_path)
    assert caught.value.reason in ("unreadable_data", "short_data")


def test_format_16_equals_wfdb_bit_for_bit(tmp_path: Path) -> None:
    wfdb.wrsamp(
        NAME, 500, ["mV"] * 12, list(LEADS), p_signal=MILLIVOLTS.T * 0.7, fmt=["16"] * 12, write_dir=str(tmp_path)
    )
    header = read_header(tmp_path / f"{NAME}.hea")
    assert len({signal.gain for signal in header.signals}) > 1
    assert np.array_equal(read_leads(header, tmp_path), wfdb.rdrecord(str(tmp_path / NAME)).p_signal.T)


def test_codes_age_and_sex() -> None:
    assert parse_codes(",284470004") == ("284470004",)
    assert parse_codes(" 426783006 , 59118001,426783006,") == ("426783006", "59118001")
    assert parse_codes("RBBB") == ("RBBB",)
    assert parse_codes("") == ()
    assert [parse_age(text) for text in ("85", "0", "56.5")] == [85.0, 0.0, 56.5]
    assert all(math.isnan(parse_age(text)) for text in ("NaN", "Unknown", "", "-1", "300", "inf"))
    assert [parse_sex(text) for text in ("Male", "female", " F", "m", "Unknown", "")] == [
        "male", "female", "female", "male", "unknown", "unknown",
    ]  # fmt: skip


def test_a_key_that_comes_twice_adds_up() -> None:
    header = parse("\n".join([*plain_lines(), "#Dx: 426783006", "# dx : 59118001", "# no key here"]), NAME)
    assert header.codes == ("426783006", "59118001")
    assert math.isnan(header.age)
    assert header.sex == "unknown"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.hea"
    path.write_bytes(("\n".join(plain_lines(scale="1/\u00b5V")) + "\n").encode("latin-1"))
    assert read_header(path).signals[0].unit == "\u00b5V"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(plain_lines()).encode())
    assert read_header(path).rate == 500
    path.write_bytes(b"\0" * 70_000)
    with pytest.raises(InvalidRecord, match="bytes"):
        read_header(path)
    path.unlink()
    with pytest.raises(InvalidRecord) as caught:
        read_header(path)
    assert caught.value.reason == "missing_header"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_headers_are_read_or_refused_but_never_crash(data: st.DataObject) -> None:
    text = list("\n".join(plain_lines()[:4]).replace(f"{NAME} 12", f"{NAME} 3"))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.characters() | st.sampled_from(["", "\n", " ", "/", "9" * 400, ".", "-", "("]))
    try:
        header = parse("".join(text), NAME)
    except InvalidRecord:
        return
    assert header.data_file in (f"{NAME}.mat", f"{NAME}.dat")
    assert all(math.isfinite(signal.gain) and signal.gain > 0 for signal in header.signals)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=600), st.integers(0, 900), st.integers(0, 200), st.booleans())
def test_random_bytes_never_crash_nor_leave_the_folder(
    tmp_path: Path, noise: bytes, place: int, cut: int, alone: bool
) -> None:
    """Any bytes, alone or inside a valid header, give twelve leads in mV of the record's own file, or an exclusion."""
    folder = tmp_path / "records"
    if not folder.exists():
        write_record(folder, NAME, DIGITAL)
        (tmp_path / f"{NAME}.mat").write_bytes((folder / f"{NAME}.mat").read_bytes())
    sound = "\n".join(plain_lines()).encode()
    (folder / f"{NAME}.hea").write_bytes(noise if alone else sound[:place] + noise + sound[place + cut :])
    try:
        header = read_header(folder / f"{NAME}.hea")
        assert header.data_file in (f"{NAME}.mat", f"{NAME}.dat")
        signals = read_leads(header, folder)
        gains(header)
    except InvalidRecord:
        return
    assert signals.shape[0] == 12
    assert signals.shape[1] <= len(DIGITAL) + 12
