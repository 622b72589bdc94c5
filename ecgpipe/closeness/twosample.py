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
    kind="cnn",
    blocks=5,
    channels=8,
    kernel=7,
    width=32,
    dense_layers=1,
    dropout=0.25,
    learning_rate=2e-3,
    batch=32,
    loss="cross_entropy",
    label_smoothing=0.0,
    epochs=12,
    steps=None,
    patience=4,
    min_delta=1e-5,
)
"""Network and training of the CNN two-sample test. Every field is given: a default of the study's configuration, which
the digests of the code do not follow, must not decide a result here."""


def score(correct_a: np.ndarray, correct_b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Return 1 - 2 |accuracy - 0.5| under each weighting, ``(draws,)``: 1 if the sets cannot be told apart.

    The accuracy is the mean of those on the two sets; a classifier that is always right (or wrong) scores 0.

    Args:
        correct_a: share of correct answers on each record of the first set, ``(n,)``.
        correct_b: the same of the second set, ``(m,)``.
        wa: bootstrap weights ``(draws, n)``.
        wb: bootstrap weights ``(draws, m)``.
    """
    wa, wb = wa.astype(np.float64), wb.astype(np.float64)
    accuracy = (wa @ correct_a / wa.sum(axis=1) + wb @ correct_b / wb.sum(axis=1)) / 2
    return np.asarray(1 - 2 * np.abs(accuracy - 0.5))


def patient_folds(patients: np.ndarray | None, n: int, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Deal a set's records out to folds at random, ``(n,)``, all records of a patient to the same one.

    A classifier that has met a patient knows the set of that patient's other records.

    Args:
        patients: patient of each record, ``(n,)``; None if every record has a patient of its own.
        n: number of records.
        folds: number of folds.
        rng: source of randomness.
    """
    patient = np.arange(n) if patients is None else np.unique(patients, return_inverse=True)[1]
    return np.asarray(rng.permutation(np.arange(patient.max() + 1) % folds)[patient])


def ridge_correct(
    a: np.ndarray,
    b: np.ndarray,
    seed: int,
    patients_a: np.ndarray | None = None,
    patients_b: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Cross-validate a ridge classifier on features ``(n, d)`` and ``(m, d)`` of the two sets, z-scored in each fold.

    Folds hold whole patients.

    Args:
        a, b: features.
        seed: of the folds.
        patients_a, patients_b: patient of each record; None if every record has a patient of its own.

    Returns:
        Whether each record's set was predicted correctly in the fold that tests it, ``(n,)`` and ``(m,)``, 0 or 1.
    """
    from sklearn.linear_model import RidgeClassifierCV  # scikit-learn is slow to load
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.concatenate([a, b]).astype(np.float64)
    truth = np.repeat([0, 1], [len(a), len(b)])
    rng = np.random.default_rng(seed)
    fold = np.concatenate([patient_folds(p, len(x), FOLDS, rng) for x, p in ((a, patients_a), (b, patients_b))])
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-1, 5, 7)))
    correct = (cross_val_predict(model, features, truth, cv=PredefinedSplit(fold)) == truth).astype(np.float64)
    return correct[: len(a)], correct[len(a) :]


def cnn_correct(a: Records, b: Records, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Train the study's small CNN to tell the two sets apart, five times on random halves, and test it on the rest.

    Returns:
        For each record its share of correct predictions over the repetitions that tested it, ``(n,)`` and ``(m,)``; NaN
        for a record that was never tested.
    """
    signals = np.concatenate([a.signals[:], b.signals[:]])
    truth = np.repeat([0, 1], [len(a), len(b)]).astype(np.int64)
    spec = SignalSpec(a.rate, signals.shape[2], ("first", "second"), a.leads)
    records = Selection(SignalReader.of(signals), truth)
    correct, tested = np.zeros(len(truth)), np.zeros(len(truth))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums, and so the result, depend on the number of threads
    try:
        for repetition in range(CNN_SEEDS):
            rng = np.random.default_rng([seed, repetition])
            # Of each set, half the patients train the network, a tenth is for early stopping, the rest test it.
            part = np.concatenate([patient_folds(x.patients, len(x), 10, rng) for x in (a, b)])
            train, validation, test = (np.flatnonzero(w) for w in (part < 5, part == 5, part > 5))
            standardizer = Standardizer.fit(records.subset(train))
            inputs = [
                standardized(records.subset(w), standardizer, torch.device("cpu")) for w in (train, validation, test)
            ]
            model = build(spec, CNN, repetition)
            fit(model, inputs[0], inputs[1], CNN, repetition, torch.device("cpu"))
            correct[test] += predict(model, inputs[2]).argmax(axis=1) == truth[test]
            tested[test] += 1
    finally:
        torch.set_num_threads(threads)
    share = np.divide(correct, tested, out=np.full(len(truth), np.nan), where=tested > 0)
    return share[: len(a)], share[len(a) :]
