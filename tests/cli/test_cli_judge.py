"""``ecgpipe judge``: units, labels of our own exports, utility, the page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from beating import SPEC, Command, waves

from ecgpipe.cli.judge import _table
from ecgpipe.closeness.records import Records
from ecgpipe.dataset import Dataset, save_dataset
from ecgpipe.judge import page as judge_page
from ecgpipe.judge.judgement import Judgement
from ecgpipe.judge.sets import Source, read
from ecgpipe.judge.utility import BOTH, REAL_ONLY, SYNTHETIC_ONLY, _verdict, utility

LABELS = ["SR", "AFIB", "STACH"] * 10


def _records(seed: int, labels: list[str] | None = None, shown_as: list[str] | None = None) -> Records:
    labels = labels or LABELS
    return Records(waves(labels, seed), SPEC.rate, np.array(shown_as or labels, dtype=object))


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    for name, seed in (("real", 1), ("synthetic", 2), ("train", 3)):
        np.save(tmp_path / f"{name}.npy", waves(LABELS, seed))
        pd.DataFrame({"record": range(len(LABELS)), "label": LABELS}).to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def test_two_arrays_give_a_page(run: Command, arrays: Path) -> None:
    page = arrays / "judged.html"
    code, out, err = run(
        "judge", arrays / "real.npy", arrays / "synthetic.npy", "--level", "quick", "--html", page, "--seed", 3
    )
    assert code == 0, err
    assert re.search(r"^Closeness: \d+ of \d+ measures show a difference from real records", out, re.MULTILINE)
    assert f"The page: {page.as_uri()}" in out
    text = page.read_text()
    assert out.splitlines()[0] in text
    assert text.count("<svg") == 6
    assert not re.findall(r'(?:src|href)="(?!#|data:)', text)
    assert "power spectrum" in text


def test_hostile_names_stay_text(run: Command, arrays: Path) -> None:
    real = (arrays / "real.npy").rename(arrays / "<script>alert(1)&.npy")
    labels = [f"<b>{label}" for label in LABELS]
    pd.DataFrame({"record": range(len(labels)), "label": labels}).to_csv(arrays / "labels.csv", index=False)
    words = ["judge", real, arrays / "synthetic.npy", "--level", "quick", "--html", arrays / "page.html"]
    words += ["--real-labels", arrays / "labels.csv", "--synthetic-labels", arrays / "labels.csv"]
    assert run(*words)[0] == 0
    text = (arrays / "page.html").read_text()
    assert "&lt;script&gt;alert(1)&amp;.npy" in text
    assert "<script" not in text
    assert "<b>" not in text


@pytest.mark.parametrize(("factor", "seems"), [(1000.0, "uV"), (0.001, "V")])
def test_other_units_are_found_and_mended(factor: float, seems: str, run: Command, arrays: Path) -> None:
    np.save(arrays / "other.npy", waves(LABELS, 2) * factor)
    code, out, err = run("judge", arrays / "real.npy", arrays / "other.npy", "--level", "quick")
    assert (code, out) == (2, "")
    assert err.startswith(f"ERROR: {arrays / 'other.npy'} are not in mV: ")
    assert f"give --unit {seems}" in err
    np.save(arrays / "real.npy", waves(LABELS, 1) * factor)
    code, out, err = run("judge", arrays / "real.npy", arrays / "other.npy", "--level", "quick", "--unit", seems)
    assert code == 0, err
    nearest = next(line for line in out.splitlines() if line.split()[:1] == ["nearest_distance"])
    assert 0.01 < float(nearest.split()[1]) < 0.5


def test_scaled_signals_are_told(run: Command, arrays: Path) -> None:
    x = waves(LABELS, 2)
    np.save(arrays / "z.npy", (x - x.mean(axis=2, keepdims=True)) / x.std(axis=2, keepdims=True))
    page = arrays / "page.html"
    code, out, _ = run("judge", arrays / "real.npy", arrays / "z.npy", "--level", "quick", "--html", page)
    assert code == 0
    said = "The synthetic records are z-scored over each lead: their amplitude is lost"
    assert f"WARNING: {said}" in out
    assert said in page.read_text()


@pytest.mark.parametrize("columns", [60, 80, 400])
def test_tables_are_no_wider_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    frame = pd.DataFrame(
        {
            "measure": ["mmd", "a_measure_of_a_long_name"],
            "value": [0.5, 1234.0],
            "low": [-0.00352, np.nan],
            "high": [0.614, np.nan],
            "standing": ["no difference shown", "differs from real"],
            "floor": [0.1, 0.2],
            "floor_low": [0.0, 0.1],
            "floor_high": [0.2, 0.3],
            "note": ["", ""],
        }
    )
    lines = _table(frame.set_index("measure")).splitlines()
    assert max(map(len, lines)) <= columns
    assert (sum("a_measure_of_a_long_name" in line for line in lines) == 1) == (columns == 400)
    text = " ".join(" ".join(lines).split())
    assert "[−0.00352, 0.614]" in text
    assert "[0.1, 0.3]" in text
    assert "note" not in text


def test_exported_wfdb_brings_its_labels(run: Command, dataset_folder: Path, tmp_path: Path) -> None:
    assert run("export", dataset_folder, "--out", tmp_path / "wfdb")[0] == 0
    code, out, err = run("judge", dataset_folder, tmp_path / "wfdb", "--level", "quick", "--seconds", 4)
    assert code == 0, err
    assert re.search(r"^class +AFIB +SR$", out, re.MULTILINE)
    (tmp_path / "wfdb" / "records.csv").unlink()
    code, out, _ = run("judge", dataset_folder, tmp_path / "wfdb", "--level", "quick", "--seconds", 4)
    assert (code, "by class" in out) == (0, False)


def test_of_a_dataset_the_held_out_records_are_judged(
    run: Command, dataset_folder: Path, arrays: Path, tmp_path: Path
) -> None:
    page, out_file = tmp_path / "page.html", tmp_path / "table.csv"
    words = [dataset_folder, arrays / "synthetic.npy", "--level", "quick"]
    code, out, err = run("judge", *words, "--html", page, "--out", out_file)
    assert code == 0, err
    assert f"WARNING: {dataset_folder} is a dataset: its validation and test records are the real ones" in out
    assert "Privacy: " in out
    rows = re.findall(r'<th scope="row">(real|train)</th><td>([^<]*)</td><td class="figure">(\d+)<', page.read_text())
    assert rows == [
        ("real", f"{dataset_folder} (validation, test)", "40"),
        ("train", f"{dataset_folder} (train)", "50"),
    ]
    code, out, err = run("judge", *words, "--train", arrays / "train.npy", "--html", page)
    assert code == 0, err
    assert "is a dataset" not in out
    assert f"<td>{arrays / 'train.npy'}</td>" in page.read_text()


def test_a_dataset_as_training_records_gives_its_training_split(dataset_folder: Path, tmp_path: Path) -> None:
    records, _ = read(Source("train", dataset_folder), 100.0, 4.0)
    assert [records.name(row) for row in (0, 49)] == ["r00", "r49"]
    assert len(records) == 50
    assert len(read(Source("synthetic", dataset_folder), 100.0, 4.0)[0]) == 90
    data = Dataset.load(dataset_folder)
    save_dataset(tmp_path / "learned", data.signals[:50], data.records[:50], data.spec)
    with pytest.raises(ValueError, match="learned has no validation or test records"):
        read(Source("real", tmp_path / "learned"), 100.0, 4.0)


def test_utility_without_training_records_says_what_the_real_ones_must_be(run: Command, arrays: Path) -> None:
    words: list[object] = ["judge", arrays / "real.npy", arrays / "synthetic.npy", "--level", "quick"]
    for name in ("real", "synthetic"):
        words += [f"--{name}-labels", arrays / f"{name}.csv"]
    page = arrays / "page.html"
    code, out, err = run(*words, "--utility", "--steps", 5, "--repetitions", 2, "--html", page)
    assert code == 0, err
    said = "the real records must be ones that the generator did not learn from"
    assert f"WARNING: --utility without --train: {said}" in out
    assert said in page.read_text()


def test_rows_without_standing_have_no_colour(tmp_path: Path) -> None:
    row = {"lead": "all", "class": "all", "measure": "spectrum", "unit": "", "direction": "lower", "n": 9, "note": ""}
    values = [(1.0, 0.9, 1.1), (0.1, 0.05, 0.2), (1.0, np.nan, np.nan)]
    names, floor = ("value", "low", "high"), {"floor": 0.1, "floor_low": 0.0, "floor_high": 0.3}
    table = pd.DataFrame([row | floor | dict(zip(names, three, strict=True)) for three in values])
    sets = {name: _records(1) for name in ("real", "synthetic")}
    judge_page.write(
        Judgement(sets, table, None, None, []), tmp_path / "page.html", dict.fromkeys(sets, "here"), seed=0
    )
    shown = re.findall(r"<td( class=\"\w+\")?>(differs from real records|no difference shown|)</td></tr>", (
        (tmp_path / "page.html").read_text()
    ))  # fmt: skip
    assert shown == [
        (' class="worse"', "differs from real records"),
        (' class="like"', "no difference shown"),
        ("", ""),
    ]


def test_errors_are_one_paragraph(run: Command, arrays: Path) -> None:
    real, synthetic = arrays / "real.npy", arrays / "synthetic.npy"
    np.save(arrays / "flat.npy", np.zeros((4, 400)))
    for words, message in (
        (
            [real, arrays / "flat.npy"],
            f"{arrays / 'flat.npy'}: signals have shape (4, 400); expected (records, 12 leads",
        ),
        ([real, synthetic, "--utility"], "need labels of every set: give --real-labels too"),
        ([real, synthetic, "--out", arrays / "x.txt"], "must end in .csv or .parquet"),
        ([real, synthetic, "--train-labels", arrays / "train.csv"], "there are labels and no --train"),
    ):
        code, out, err = run("judge", *words)
        assert (code, out) == (2, ""), words
        assert message in " ".join(err.replace("│", " ").split()), err


def test_the_command_tells_utility(run: Command, arrays: Path) -> None:
    words: list[object] = ["judge", arrays / "real.npy", arrays / "synthetic.npy", "--train", arrays / "train.npy"]
    for name in ("real", "synthetic", "train"):
        words += [f"--{name}-labels", arrays / f"{name}.csv"]
    page = arrays / "page.html"
    code, out, err = run(*words, "--level", "quick", "--utility", "--steps", 5, "--repetitions", 2, "--html", page)
    assert code == 0, err
    assert "Utility: with the synthetic records added, macro F1 is" in out
    assert "Privacy: " in out
    assert "Do they help a classifier?" in page.read_text()


def test_utility_tells_good_records_from_mislabelled_ones() -> None:
    few = _records(11, LABELS[:15])
    turned = [{"SR": "AFIB", "AFIB": "STACH", "STACH": "SR"}[label] for label in LABELS]
    found = {}
    for name, synthetic in (("good", _records(12)), ("bad", _records(12, shown_as=turned))):
        table = utility(_records(10), synthetic, few, steps=30, repetitions=2)
        found[name] = table[table["metric"] == "macro F1"].set_index("trained_on")
    assert found["good"].loc[SYNTHETIC_ONLY, "value"] > 0.9
    assert found["bad"].loc[SYNTHETIC_ONLY, "value"] < 0.2
    assert found["bad"].loc[SYNTHETIC_ONLY, "verdict"] == "they harm"
    assert found["good"].loc[REAL_ONLY, "training_records"] == 12
    assert found["good"].loc[BOTH, "training_records"] == 12 + 30
    assert found["good"].loc[BOTH, "value"] >= found["bad"].loc[BOTH, "value"]


def test_utility_splits_patients_and_refuses_too_few() -> None:
    table = utility(_records(1), _records(2), None, steps=5, repetitions=2)
    assert set(table["test_records"]) == {6}
    assert table.loc[table["trained_on"] == REAL_ONLY, "training_records"].iloc[0] == 18
    with pytest.raises(ValueError, match="at least 5 records of each class; there are 4 of AFIB"):
        utility(_records(1, ["SR"] * 8 + ["AFIB"] * 4), _records(2), None)
    with pytest.raises(ValueError, match="the real records have SR only"):
        utility(_records(1, ["SR"] * 8), _records(2), None)


def test_utility_refuses_parts_that_lack_a_class() -> None:
    patients = np.array([f"p{row}" for row in range(30)])
    patients[np.array(LABELS) == "AFIB"] = "one"
    real, synthetic, train = (_records(seed) for seed in (1, 2, 3))
    with pytest.raises(ValueError, match=r"the real records leave no AFIB to (learn from|validate on|test on)"):
        utility(replace(real, patients=patients), synthetic, None)
    with pytest.raises(ValueError, match="the train records leave no AFIB to"):
        utility(real, synthetic, replace(train, patients=patients))
    with pytest.raises(ValueError, match="there is no STACH among the train records"):
        utility(real, synthetic, _records(3, ["SR", "AFIB"] * 10))
    with pytest.raises(ValueError, match="there is no AFIB among the synthetic records"):
        utility(real, _records(2, shown_as=["other"] * 30), train)


def test_an_interval_that_is_not_known_tells_nothing() -> None:
    assert [_verdict(*bounds) for bounds in ((np.nan, np.nan), (np.nan, 0.1), (0.1, np.nan))] == ["cannot tell"] * 3
    assert [_verdict(*bounds) for bounds in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))] == [
        "they help",
        "they harm",
        "no difference was shown",
    ]
