"""Scores of the blind test: how well readers tell synthetic ECGs from real ones, and how well they agree.

Accuracy of a generator is the mean of two shares: of its records called synthetic, and of the real ones called real.
So 0.5 is what guessing gives, whatever a reader's leaning, and 1 what a reader reaches who sees every difference.
Intervals of shares are Wilson's (1927); that of a mean of two shares is joined from both (Zou, Donner, 2008). Several
readers' judgements of one ECG are not independent: their number counts less, by Kish's design effect. Intervals over
readers hold for these readers. Agreement is Cohen's kappa for two readers and Fleiss' (1971) for more.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from ecgpipe.blind.key import ANSWERS_FORMAT, KEY_FORMAT, Key
from ecgpipe.vocabulary import ALL

ALL_READERS = "all readers"
OTHER = "other"
"""A reader's rhythm that is none of the study's, or that could not be told."""
BOOTSTRAP = 2000
_SEED = 20241129
SCORE_COLUMNS = ("reader", "set", "rhythm", "measure", "value", "low", "high", "judgements")
AGREEMENT_COLUMNS = ("readers", "about", "ecgs", "agreed", "kappa", "low", "high")


class AnswersError(ValueError):
    """Answers or a key that cannot be scored; the message names the file."""


@dataclass(frozen=True)
class Scores:
    """What a blind test found.

    Attributes:
        scores: columns :data:`SCORE_COLUMNS`.
        agreement: columns :data:`AGREEMENT_COLUMNS`; empty for one reader.
    """

    scores: pd.DataFrame
    agreement: pd.DataFrame


def _read(path: Path, form: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AnswersError(f"{path} does not exist: name {what}") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AnswersError(f"{path} cannot be read as JSON ({error}): name {what}") from error
    if not isinstance(found, dict) or found.get("format") != form:
        raise AnswersError(f"{path} is not {what}: its format is not {form!r}")
    return found


def read_key(path: str | Path) -> Key:
    """Read ``blind_key.json``.

    Raises:
        AnswersError: if it is no key, or the key of a test without ECGs.
    """
    found = _read(Path(path), KEY_FORMAT, "the blind_key.json that the report wrote beside blind.html")
    items = found.get("items")
    if not isinstance(items, dict) or not items:
        raise AnswersError(f"{path} holds no ECGs: the study had no synthetic records when its report was made")
    fields = {"real": bool, "set": str, "dataset": str, "rhythm": str, "record": str}
    for item, about in items.items():
        if not isinstance(about, dict) or any(not isinstance(about.get(name), kind) for name, kind in fields.items()):
            raise AnswersError(f"{path}: the entry {item!r} is damaged: make the report again")
    return Key(format=KEY_FORMAT, test=str(found.get("test")), classes=list(found.get("classes", [])), items=items)


def read_answers(path: str | Path, key: Key) -> pd.DataFrame:
    """Read one reader's answers.

    Returns:
        A row a judged ECG: item, reader, verdict (``real`` or ``synthetic``), rhythm (class, ``other`` or "").

    Raises:
        AnswersError: if the file holds no answers, or answers to another test.
    """
    path = Path(path)
    found = _read(path, ANSWERS_FORMAT, "a file that the blind test saved")
    if found.get("test") != key["test"]:
        raise AnswersError(
            f"{path} answers another test ({found.get('test')}) than that of the key ({key['test']}): name the key of "
            "the report whose blind.html the reader had, with --key"
        )
    answers = found.get("answers")
    if not isinstance(answers, list) or not answers:
        raise AnswersError(f"{path} holds no answers")
    rhythms, seen = {*key["classes"], OTHER, ""}, set()
    for place, answer in enumerate(answers, 1):
        item = answer.get("item") if isinstance(answer, dict) else None
        if not isinstance(item, str) or item not in key["items"]:
            raise AnswersError(f"{path}, answer {place}: there is no ECG {item!r} in the test")
        if item in seen:
            raise AnswersError(f"{path}: ECG {item} is answered twice")
        seen.add(item)
        if answer.get("verdict") not in ("real", "synthetic") or answer.get("rhythm", "") not in rhythms:
            raise AnswersError(
                f"{path}, ECG {item}: the verdict must be real or synthetic, and the rhythm one of "
                f"{', '.join([*key['classes'], OTHER])}"
            )
    reader = str(found.get("reader") or "").strip() or path.stem
    rows = [(a["item"], reader, a["verdict"], a.get("rhythm", "")) for a in answers]
    return pd.DataFrame(rows, columns=["item", "reader", "verdict", "rhythm"])


def wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of ``n`` judgements; (NaN, NaN) without any."""
    if n <= 0:
        return float("nan"), float("nan")
    z = float(scipy.stats.norm.ppf(0.5 + confidence / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def effective(right: np.ndarray, ecgs: np.ndarray) -> float:
    """Return how many independent judgements these are worth: the number divided by Kish's design effect.

    Args:
        right: 0 or 1 of each judgement.
        ecgs: the ECG of each.

    The design effect is the variance of the mean over ECGs in that over judgements, between 1 and the mean number of
    judgements an ECG; where all are right or all wrong it is that number.
    """
    groups = pd.DataFrame({"ecg": ecgs, "off": right - right.mean()}).groupby("ecg")["off"]
    n, k = len(right), groups.ngroups
    share = float(right.mean())
    if k == n:
        return float(n)
    most = n / k
    if share in (0.0, 1.0) or k < 2:
        return n / most
    between = float((groups.sum() ** 2).sum()) * k / (k - 1) / n**2
    return n / float(np.clip(between / (share * (1 - share) / n), 1.0, most))


@dataclass(frozen=True)
class _Share:
    """A share with its interval and number of judgements."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, right: pd.Series, ecgs: pd.Series, confidence: float) -> _Share:
        if right.empty:
            return cls(float("nan"), float("nan"), float("nan"), 0)
        values = right.to_numpy(dtype=float)
        share = float(values.mean())
        return cls(share, *wilson(share, effective(values, ecgs.to_numpy()), confidence), len(values))

    def mean_with(self, other: _Share) -> _Share:
        """Return the mean of two independent shares."""
        value = (self.value + other.value) / 2
        below = np.hypot(self.value - self.low, other.value - other.low) / 2
        above = np.hypot(self.high - self.value, other.high - other.value) / 2
        return _Share(value, value - float(below), value + float(above), self.n + other.n)


def _rows(judged: pd.DataFrame, confidence: float) -> list[dict[str, Any]]:
    """Return the rows of one reader, or of all together."""
    rhythms = [ALL, *dict.fromkeys(judged["truth"])]
    rows = []

    def add(name: str, rhythm: str, measure: str, share: _Share) -> None:
        rows.append(
            {"set": name, "rhythm": rhythm, "measure": measure, "value": share.value}
            | {"low": share.low, "high": share.high, "judgements": share.n}
        )

    def share(part: pd.DataFrame, column: str) -> _Share:
        return _Share.of(part[column], part["item"], confidence)

    for rhythm in rhythms:
        mine = judged if rhythm == ALL else judged[judged["truth"] == rhythm]
        real, synthetic = mine[mine["real"]], mine[~mine["real"]]
        called_real = share(real, "right")
        for name, part in [(ALL, synthetic), *synthetic.groupby("set", sort=True)]:
            add(str(name), rhythm, "accuracy", share(part, "right").mean_with(called_real))
            add(str(name), rhythm, "called synthetic", share(part, "right"))
            named = part[part["rhythm"] != ""]
            add(str(name), rhythm, "rhythm named right", share(named, "named"))
        add("real", rhythm, "called real", called_real)
        add("real", rhythm, "rhythm named right", share(real[real["rhythm"] != ""], "named"))
    return rows


def kappa(ratings: np.ndarray) -> float:
    """Return Cohen's (two readers) or Fleiss' kappa of ratings ``(ecgs, readers)``; NaN if all ratings are one."""
    values = np.unique(ratings)
    agreed = np.mean([(ratings[:, a] == ratings[:, b]).mean() for a, b in _pairs(ratings.shape[1])])
    shares = np.stack([(ratings == value).mean(axis=0) for value in values])
    chance = float(shares.prod(axis=1).sum() if ratings.shape[1] == 2 else (shares.mean(axis=1) ** 2).sum())
    return float("nan") if chance > 1 - 1e-12 else float((agreed - chance) / (1 - chance))


def _pairs(readers: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(readers), 2))


def _agreement(judged: pd.DataFrame, readers: Sequence[str], confidence: float) -> list[dict[str, Any]]:
    """Return the agreement of some readers about the ECGs that all of them judged."""
    rows = []
    for about in ("verdict", "rhythm"):
        given = judged[judged["reader"].isin(readers) & (judged[about] != "")]
        table = given.pivot(index="item", columns="reader", values=about).reindex(columns=list(readers)).dropna()
        ratings = table.to_numpy(dtype=str)
        row: dict[str, Any] = {"readers": " and ".join(readers), "about": about, "ecgs": len(ratings)}
        if len(ratings):
            rng = np.random.default_rng(_SEED)
            draws = rng.integers(0, len(ratings), (BOOTSTRAP, len(ratings)))
            drawn = np.array([kappa(ratings[draw]) for draw in draws])
            drawn = drawn[~np.isnan(drawn)]
            tail = (1 - confidence) / 2
            low, high = np.quantile(drawn, [tail, 1 - tail]) if len(drawn) else (np.nan, np.nan)
            agreed = float((ratings == ratings[:, :1]).all(axis=1).mean())
            row |= {"agreed": agreed, "kappa": kappa(ratings), "low": float(low), "high": float(high)}
        rows.append(row)
    return rows


def score(answers: Sequence[str | Path], key: str | Path, confidence: float = 0.95) -> Scores:
    """Score the answers of one or more readers.

    Args:
        answers: files that the blind test saved, one a reader.
        key: ``blind_key.json`` of the report whose test they took.
        confidence: of the intervals.

    Raises:
        AnswersError: if a file cannot be scored, or two are of one reader.
    """
    truth = read_key(key)
    read = {Path(path): read_answers(path, truth) for path in answers}
    if len(read) < len(answers):
        raise AnswersError("a file of answers is named twice")
    owners: dict[str, Path] = {}
    for path, table in read.items():
        reader = str(table["reader"].iloc[0])
        if reader == ALL_READERS:
            raise AnswersError(f"{path}: {reader!r} cannot be a reader's name: change it in the file")
        if reader in owners:
            raise AnswersError(f"{owners[reader]} and {path} are both of reader {reader!r}: name one, or change a name")
        owners[reader] = path
    judged = pd.concat(read.values(), ignore_index=True)
    about = pd.DataFrame(truth["items"]).T.rename(columns={"rhythm": "truth"})[["real", "set", "truth"]]
    judged = judged.join(about, on="item")
    judged["real"] = judged["real"].astype(bool)
    judged["right"] = (judged["verdict"] == "real") == judged["real"]
    judged["named"] = judged["rhythm"] == judged["truth"]
    judged = judged.sort_values("truth", key=lambda column: column.map(truth["classes"].index), kind="stable")
    parts = [(reader, judged[judged["reader"] == reader]) for reader in owners]
    if len(owners) > 1:
        parts.append((ALL_READERS, judged))
    rows = [{"reader": reader, **row} for reader, part in parts for row in _rows(part, confidence)]
    groups = [list(pair) for pair in itertools.combinations(owners, 2)]
    groups += [list(owners)] if len(owners) > 2 else []
    agreement = [row for group in groups for row in _agreement(judged, group, confidence)]
    return Scores(
        pd.DataFrame(rows, columns=list(SCORE_COLUMNS)), pd.DataFrame(agreement, columns=list(AGREEMENT_COLUMNS))
    )


def _written(value: float, low: float, high: float) -> str:
    return "–" if pd.isna(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def text(found: Scores) -> str:
    """Write scores for a terminal: a line for each set and rhythm; of several readers, rhythms for all together."""
    lines = []
    readers = found.scores["reader"].nunique()
    for reader, mine in found.scores.groupby("reader", sort=False):
        if readers > 1 and reader != ALL_READERS:
            mine = mine[mine["rhythm"] == ALL]
        lines += ["", "All readers" if reader == ALL_READERS else f"Reader {reader}", ""]
        lines.append(f"{'set':<20} {'rhythm':<8} {'accuracy':<20} {'called rightly':<20} {'rhythm named right':<20} n")
        for (name, rhythm), rows in mine.groupby(["set", "rhythm"], sort=False):
            by = {row["measure"]: row for row in rows.to_dict("records")}
            called = by.get("called synthetic", by.get("called real"))
            cells = [
                _written(row["value"], row["low"], row["high"]) if row else ""
                for row in (by.get("accuracy"), called, by["rhythm named right"])
            ]
            shown = "all synthetic" if name == ALL else str(name)
            line = f"{shown:<20} {rhythm:<8} " + " ".join(f"{cell:<20}" for cell in cells)
            lines.append(f"{line} {called['judgements'] if called else 0}")
    if len(found.agreement):
        lines += ["", "Agreement between readers", ""]
        for row in found.agreement.to_dict("records"):
            about = "real or synthetic" if row["about"] == "verdict" else "rhythm"
            value = _written(row["kappa"], row["low"], row["high"])
            agreed = "–" if pd.isna(row["agreed"]) else f"{100 * row['agreed']:.0f} %"
            lines.append(f"{row['readers']}, {about}: {agreed} of {row['ecgs']} ECGs alike, kappa {value}")
    lines += ["", "Accuracy: mean of the share of synthetic ECGs called synthetic and of real ones called real; 0.5 is"]
    lines += ["guessing. Rhythm: against the class that a generator was asked for, or the label of the real record."]
    return "\n".join(lines[1:])
