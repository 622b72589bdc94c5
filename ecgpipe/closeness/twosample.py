"""Classifier two-sample tests: how well can a classifier tell two sets of records apart?

Lopez-Paz and Oquab, Revisiting classifier two-sample tests, ICLR 2017.
"""

from __future__ import annotations

import numpy as np
import torch

from ecgpipe.arrays import SignalReader
from ecgpipe.classify.inputs import Selection, Standardizer, standardized
from ecgpipe.classify.training import build, fit, predict
from ecgpipe.closeness.records import Records
from ecgpipe.config import ClassifierSettings
from ecgpipe.dataset import SignalSpec

FOLDS = 5
CNN_SEEDS = 5
CNN = ClassifierSettings(
    blocks=5, channels=8, kernel=7, width=32, dense_layers=1, learning_rate=2e-3, batch=32, epochs=12, patience=4
)


def score(correct_a: np.ndarray, correct_b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Return 1 - 2 |accuracy - 0.5| under each weighting, ``(draws,)``: 1 if the sets cannot be told apart, 0 if always.

    The accuracy is the mean of those on the two sets. ``correct_a``, ``correct_b``: share of right answers on each record.
    """
    wa, wb = wa.astype(np.float64), wb.astype(np.float64)
    accuracy = (wa @ correct_a / wa.sum(axis=1) + wb @ correct_b / wb.sum(axis=1)) / 2
    return np.asarray(1 - 2 * np.abs(accuracy - 0.5))


def ridge_correct(a: np.ndarray, b: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cross-validate a ridge classifier on features ``(n, d)`` and ``(m, d)`` of the two sets.

    Returns:
        For each record whether the classifier that had not seen it named its set, ``(n,)`` and ``(m,)``, as 0 or 1.
    """
    from sklearn.linear_model import RidgeClassifierCV  # slow to load

    features = np.concatenate([a, b])
    truth = np.repeat([0, 1], [len(a), len(b)])
    rng = np.random.default_rng(seed)
    fold = np.concatenate([rng.permutation(np.arange(len(part)) % FOLDS) for part in (a, b)])
    correct = np.empty(len(truth))
    for number in range(FOLDS):
        test = fold == number
        learnt = features[~test].astype(np.float64)
        mean, deviation = learnt.mean(axis=0), learnt.std(axis=0)
        deviation = np.where(deviation > 1e-9, deviation, np.inf)
        learnt -= mean
        learnt /= deviation
        model = RidgeClassifierCV(alphas=np.logspace(-1, 5, 7)).fit(learnt, truth[~test])
        correct[test] = model.predict((features[test] - mean) / deviation) == truth[test]
    return correct[: len(a)], correct[len(a) :]


def cnn_correct(a: Records, b: Records, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Train the study's small CNN to tell the two sets apart, five times on other halves, and test it on the rest.

    Returns:
        For each record its share of right answers over the repetitions in which it was not learnt from, ``(n,)`` and
        ``(m,)``; NaN for a record that was learnt from each time.
    """
    signals = np.concatenate([a.signals[:], b.signals[:]])
    truth = np.repeat([0, 1], [len(a), len(b)]).astype(np.int64)
    spec = SignalSpec(a.rate, signals.shape[2], ("first", "second"), a.leads)
    records = Selection(SignalReader.of(signals), truth)
    right, asked = np.zeros(len(truth)), np.zeros(len(truth))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums, and so the result, depend on the number of threads
    try:
        for repetition in range(CNN_SEEDS):
            rng = np.random.default_rng([seed, repetition])
            # Of each set half is learnt from, a tenth stops the training, the rest is asked.
            part = np.concatenate([rng.permutation(np.arange(len(x)) % 10) for x in (a, b)])
            train, validation, test = (np.flatnonzero(w) for w in (part < 5, part == 5, part > 5))
            standardizer = Standardizer.fit(records.subset(train))
            inputs = [
                standardized(records.subset(w), standardizer, torch.device("cpu")) for w in (train, validation, test)
            ]
            model = build(spec, CNN, repetition)
            fit(model, inputs[0], inputs[1], CNN, repetition, torch.device("cpu"))
            right[test] += predict(model, inputs[2]).argmax(axis=1) == truth[test]
            asked[test] += 1
    finally:
        torch.set_num_threads(threads)
    share = np.divide(right, asked, out=np.full(len(truth), np.nan), where=asked > 0)
    return share[: len(a)], share[len(a) :]
