"""Scores of the blind test: against known cases and other implementations; and what is refused."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from statsmodels.stats.proportion import proportion_confint

from ecgpipe.blind.scoring import AnswersError, effective, kappa, score, text, wilson
from ecgpipe.cli.app import main

CLASSES = ["SR", "AFIB"]
SETS = ("real", "real", "good", "bad")


@pytest.fixture
def key(tmp_path):
    """Return the key of a test of 80 ECGs: half of them real, a quarter of each of two generators."""
    items = {
        f"e{i:03d}": {
            "real": SETS[i % 4] == "real",
            "set": SETS[i % 4],
            "dataset": "a",
            "rhythm": CLASSES[(i // 4) % 2],
            "record": f"r{i}",
        }
        for i in range(80)
    }
    path = tmp_path / "blind_key.json"
    path.write_text(json.dumps({"format": "ecgpipe blind key 1", "test": "t1", "classes": CLASSES, "items": items}))
    return path


def save(folder, reader, answers, **changes):
    found = {"format": "ecgpipe blind answers 1", "test": "t1", "reader": reader, "answers": answers, **changes}
    path = folder / f"{reader}.json"
    path.write_text(json.dumps(found))
    return path


def answers_of(key, verdict, rhythm=lambda item, truth: truth["rhythm"]):
    items = json.loads(key.read_text())["items"]
    return [{"item": i, "verdict": verdict(i, t), "rhythm": rhythm(i, t)} for i, t in items.items()]


def value(found, **where):
    rows = found.scores
    for name, wanted in where.items():
        rows = rows[rows[name] == wanted]
    assert len(rows) == 1, rows
    return rows.iloc[0]


def sees_bad(_, truth):
    """Call the bad generator's records synthetic, all others real."""
    return "synthetic" if truth["set"] == "bad" else "real"


def test_a_reader_who_sees_through_one_generator(key, tmp_path):
    path = save(tmp_path, "anna", answers_of(key, sees_bad, lambda i, t: "other" if t["rhythm"] == "AFIB" else "SR"))
    found = score([path], key)
    bad, good = (value(found, set=name, rhythm="all", measure="accuracy") for name in ("bad", "good"))
    assert bad["value"] == 1
    assert good["value"] == 0.5  # guessing: all real ones right, all synthetic ones wrong
    assert bad["low"] > 0.5
    assert good["low"] < 0.5 < good["high"]
    assert bad["judgements"] == 60
    called = value(found, set="good", rhythm="SR", measure="called synthetic")
    assert (called["value"], called["judgements"]) == (0, 10)
    assert (called["low"], called["high"]) == pytest.approx(proportion_confint(0, 10, method="wilson"))
    assert value(found, set="real", rhythm="all", measure="rhythm named right")["value"] == 0.5
    assert value(found, set="bad", rhythm="AFIB", measure="rhythm named right")["value"] == 0
    assert found.agreement.empty


def test_always_saying_synthetic_is_guessing(key, tmp_path):
    found = score([save(tmp_path, "x", answers_of(key, lambda i, t: "synthetic"))], key)
    accuracy = found.scores[found.scores["measure"] == "accuracy"]
    assert len(accuracy) == 9
    assert (accuracy["value"] == 0.5).all()


@pytest.mark.parametrize(("right", "n"), [(0, 7), (3, 7), (7, 7), (50, 80)])
def test_wilson_is_that_of_statsmodels(right, n):
    assert wilson(right / n, n, 0.9) == pytest.approx(proportion_confint(right, n, 0.1, method="wilson"))


def test_kappa_is_that_of_scikit_learn_and_statsmodels():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 60)
    ratings = np.stack([np.where(rng.random(60) < p, truth, rng.integers(0, 3, 60)) for p in (0.9, 0.6, 0.4)], axis=1)
    assert kappa(ratings[:, :2].astype(str)) == pytest.approx(cohen_kappa_score(ratings[:, 0], ratings[:, 1]))
    assert kappa(ratings.astype(str)) == pytest.approx(fleiss_kappa(aggregate_raters(ratings)[0]))
    assert np.isnan(kappa(np.full((5, 2), "real")))


def test_readers_who_answer_alike_count_once():
    right = np.array([1, 0, 1, 1, 0, 1, 1, 0, 0, 1], dtype=float)
    ecgs = np.arange(10)
    assert effective(right, ecgs) == 10
    assert effective(np.tile(right, 3), np.tile(ecgs, 3)) == pytest.approx(10)
    assert effective(np.ones(30), np.tile(ecgs, 3)) == 10
    rng = np.random.default_rng(0)
    independent = (rng.random(3000) < 0.7).astype(float)
    assert effective(independent, np.tile(np.arange(1000), 3)) > 2500


def test_intervals_hold_their_level():
    rng = np.random.default_rng(1)
    inside, repetitions = 0, 400
    for _ in range(repetitions):
        hard = rng.beta(4, 2, 40)  # how likely each ECG is to be judged right: readers stumble over the same ones
        right = (rng.random((3, 40)) < hard).astype(float).ravel()
        low, high = wilson(right.mean(), effective(right, np.tile(np.arange(40), 3)), 0.95)
        inside += low <= 4 / 6 <= high
    assert scipy.stats.binomtest(inside, repetitions, 0.95).pvalue > 1e-3 or inside / repetitions > 0.95


def test_agreement_of_two_and_three_readers(key, tmp_path):
    same = answers_of(key, sees_bad)
    odd = answers_of(key, lambda i, t: "real" if int(i[1:]) % 3 else "synthetic", lambda i, t: "other")
    paths = [save(tmp_path, "anna", same), save(tmp_path, "ben", same[:60]), save(tmp_path, "cyd", odd)]
    found = score(paths, key)
    table = found.agreement.set_index(["readers", "about"])
    assert list(table.index.get_level_values(0).unique()) == [
        "anna and ben",
        "anna and cyd",
        "ben and cyd",
        "anna and ben and cyd",
    ]
    assert table.loc[("anna and ben", "verdict"), ["ecgs", "agreed", "kappa"]].tolist() == [60, 1, 1]
    assert abs(table.loc[("anna and cyd", "verdict"), "kappa"]) < 0.35
    assert table.loc[("anna and cyd", "rhythm"), "agreed"] == 0
    assert set(found.scores["reader"]) == {"anna", "ben", "cyd", "all readers"}
    pooled = value(found, reader="all readers", set="bad", rhythm="all", measure="called synthetic")
    assert pooled["judgements"] == 20 + 15 + 20
    written = text(found)
    assert "anna and ben, real or synthetic: 100 % of 60 ECGs alike, kappa 1.00" in written
    assert "All readers" in written


def test_rhythms_left_open_do_not_count(key, tmp_path):
    path = save(tmp_path, "x", answers_of(key, sees_bad, lambda i, t: "" if t["set"] == "good" else "SR"))
    found = score([path], key)
    assert value(found, set="good", rhythm="all", measure="rhythm named right")["judgements"] == 0
    assert np.isnan(value(found, set="good", rhythm="all", measure="rhythm named right")["value"])
    assert "–" in text(found)


BAD = {
    "not there": (None, "does not exist: name a file that the blind test saved"),
    "not JSON": ("{", "cannot be read as JSON"),
    "not answers": ("[]", "is not a file that the blind test saved"),
    "another test": ({"test": "t2"}, r"answers another test \(t2\).*--key"),
    "empty": ({"answers": []}, "holds no answers"),
    "unknown ECG": ({"answers": [{"item": "e999", "verdict": "real", "rhythm": ""}]}, "no ECG 'e999' in the test"),
    "no object": ({"answers": [3]}, "answer 1: there is no ECG None"),
    "twice": ({"answers": [{"item": "e001", "verdict": "real", "rhythm": ""}] * 2}, "e001 is answered twice"),
    "verdict": ({"answers": [{"item": "e001", "verdict": "fake", "rhythm": ""}]}, "must be real or synthetic"),
    "rhythm": ({"answers": [{"item": "e001", "verdict": "real", "rhythm": "VT"}]}, "one of SR, AFIB, other"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_answers_are_refused_by_name(name, key, tmp_path):
    content, message = BAD[name]
    path = tmp_path / "reader.json"
    if isinstance(content, dict):
        answers = content.get("answers", answers_of(key, sees_bad))
        save(tmp_path, "reader", answers, test=content.get("test", "t1"))
    elif content is not None:
        path.write_text(content)
    with pytest.raises(AnswersError, match=message) as error:
        score([path], key)
    assert str(path) in str(error.value)


def test_two_files_of_one_reader_and_a_wrong_key_are_refused(key, tmp_path):
    path = save(tmp_path, "anna", answers_of(key, sees_bad))
    again = tmp_path / "again.json"
    again.write_text(path.read_text())
    with pytest.raises(AnswersError, match="are both of reader 'anna'"):
        score([path, again], key)
    with pytest.raises(AnswersError, match="named twice"):
        score([path, path], key)
    with pytest.raises(AnswersError, match=r"anna\.json is not the blind_key\.json that the report wrote"):
        score([path], path)
    damaged = json.loads(key.read_text())
    del damaged["items"]["e003"]["real"]
    key.write_text(json.dumps(damaged))
    with pytest.raises(AnswersError, match="entry 'e003' is damaged"):
        score([path], key)


def test_command_prints_scores_and_writes_them(key, tmp_path, capsys):
    path = save(tmp_path, "anna", answers_of(key, sees_bad))
    with pytest.raises(SystemExit, match="0"):
        main(["blind", "score", str(path), "--key", str(key), "--csv", str(tmp_path / "scores.csv")])
    shown = capsys.readouterr().out
    assert re.search(r"^bad +all +1\.00 \[0\.\d\d, 1\.00\]", shown, re.MULTILINE)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "scores.csv"), score([path], key).scores, check_dtype=False)


def test_command_ends_with_one_clear_error(key, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["blind", "score", str(tmp_path / "lost.json"), "--key", str(key)])
    assert "lost.json does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit) as error:
        main(["blind", "score", "a.json", "--confidence", "95"])
    assert error.value.code == 2
    assert "95 is not between 0 and 1" in capsys.readouterr().err
