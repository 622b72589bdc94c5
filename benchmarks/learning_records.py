"""The records and the judges of `learning.py`: two simulated hospitals, and the real records of a PhysioNet copy."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from ecgpipe.acquire.run import acquire
from ecgpipe.classify import inputs, training
from ecgpipe.config import ClassifierSettings, DatasetSettings, Preprocess, SignalSettings
from ecgpipe.dataset import Dataset, SignalSpec, save_dataset
from ecgpipe.preprocess.run import preprocess
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS
from ecgpipe.simulator.patients import draw_patient

log = logging.getLogger(__name__)

SPEC = SignalSpec(100.0, 1000, RHYTHMS)
JUDGE = ClassifierSettings(
    channels=24, width=64, dense_layers=2, dropout=0.2, learning_rate=1.5e-3, epochs=16, patience=6
)
REFERENCE, DRAWN = 490, 210
"""Simulated records that samples are compared with, and samples drawn; each class has an equal share of both."""
FEWEST = 20
"""Training records that a rhythm of the real records needs."""


@dataclasses.dataclass(frozen=True)
class Set:
    """Records to learn from, and records of the same kind that nothing learned from.

    Attributes:
        dataset: the records to learn from.
        reference: what the samples' features are compared with.
        more: what is measured in the samples' place.
        halves: two sets of held-out records, whose distance is what the distance of perfect samples would be.
    """

    dataset: Dataset
    reference: Dataset
    more: Dataset
    halves: tuple[Dataset, Dataset]


def simulated(labels: np.ndarray, hospitals: list[str], seed: int, splits: list[str], folder: Path) -> Dataset:
    """Return simulated records; the first call makes and saves them."""
    if not (folder / "records.parquet").exists():
        signals = np.empty((len(labels), 12, SPEC.length), dtype=np.float32)
        for i, (label, name) in enumerate(zip(labels, hospitals, strict=True)):
            rng, hospital, rhythm = np.random.default_rng([seed, i]), HOSPITALS[name], RHYTHMS[label]
            patient = draw_patient(rng, hospital, rhythm)
            signals[i] = simulate_ecg(rng, rhythm, hospital, patient, SPEC.rate, SPEC.length / SPEC.rate)
        records = pd.DataFrame(
            {
                "record": [f"{i:05d}" for i in range(len(labels))],
                "patient": [f"{i:05d}" for i in range(len(labels))],
                "label": [RHYTHMS[label] for label in labels],
                "split": splits,
                "source": hospitals,
                "age": 60.0,
                "sex": "",
                "codes": "",
            }
        )
        save_dataset(folder, signals, records, SPEC)
    return Dataset.load(folder)


def rows(dataset: Dataset, chosen: np.ndarray) -> Dataset:
    """Return some records of a dataset, in memory."""
    return Dataset(np.array(dataset.signals[chosen]), dataset.records.iloc[chosen].reset_index(drop=True), dataset.spec)


def judge_records(work: Path) -> Dataset:
    """Return 8,400 simulated records, half from each hospital, equally many of each rhythm."""
    number = np.arange(8400)
    splits = np.where(number < 6300, "train", np.where(number < 7000, "validation", "test"))
    hospitals = np.where(number // 7 % 2, "a", "b")
    return simulated(number % 7, hospitals.tolist(), 100, splits.tolist(), work / "judge_records")


def hospital_records(work: Path, hospital: str) -> Set:
    """Return 2,000 records of a hospital to learn from, and others that neither generator nor judge learned from."""
    number = np.arange(2000)
    splits = np.where(number < 1600, "train", np.where(number < 1800, "validation", "test"))
    seed = {"a": 11, "b": 12}[hospital]
    dataset = simulated(
        number % 7, [hospital] * len(number), seed, splits.tolist(), work / f"hospital_{hospital}_records"
    )
    others = judge_records(work)
    kept = np.flatnonzero(
        (others.records["source"] == hospital).to_numpy() & (others.records["split"] != "train").to_numpy()
    )
    reference, more = rows(others, kept[:REFERENCE]), rows(others, kept[REFERENCE : REFERENCE + DRAWN])
    return Set(dataset, reference, more, (more, reference))


def real_records(work: Path) -> Set:
    """Return PTB-XL's records in ECGPIPE_PHYSIONET, of rhythms with at least :data:`FEWEST` training records.

    The split is the study's; all records outside the training split are held out.
    """
    folder = work / "real_records"
    if not (folder / "records.parquet").exists():
        settings = DatasetSettings.model_validate(
            {"format": "ptbxl", "source": {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}}
        )
        signal, options, raw = SignalSettings(rate=100), Preprocess(), work / "raw"
        manifest = acquire(settings, signal, raw)
        preprocess(raw, manifest, settings, signal, options, folder, source_name="ptbxl", workers=1)
    every = Dataset.load(folder)
    if every.spec != SPEC:
        raise ValueError(f"the real records are {every.spec}, the judge reads {SPEC}")
    counts = every.records.loc[every.records["split"] == "train", "label"].value_counts()
    dataset = rows(every, np.flatnonzero(every.records["label"].isin(counts.index[counts >= FEWEST]).to_numpy()))
    held_out = np.flatnonzero((dataset.records["split"] != "train").to_numpy())
    # Half of each rhythm in each half.
    held_out = held_out[np.argsort(dataset.labels[held_out], kind="stable")]
    whole = rows(dataset, held_out)
    return Set(dataset, whole, whole, (rows(dataset, held_out[::2]), rows(dataset, held_out[1::2])))


class Judge:
    """The study's classifier; its last hidden layer is the features.

    Args:
        records: whose training split it learns from.
        path: of its weights; trained if there are none yet.
        seed: of the training.
    """

    def __init__(self, records: Dataset, path: Path, seed: int = 0) -> None:
        self.network = training.build(SPEC, JUDGE, seed)
        if not path.exists():
            device = torch.device("cpu")
            train = inputs.select(records, "train")
            form = inputs.Standardizer.fit(train)
            log.info("training the judge %s", path.stem)
            training.fit(
                self.network,
                inputs.standardized(train, form, device),
                inputs.standardized(inputs.select(records, "validation"), form, device),
                JUDGE,
                seed,
                device,
            )
            tensors = {k: v.contiguous() for k, v in self.network.state_dict().items()}
            moments = {k: torch.from_numpy(np.asarray(getattr(form, k))) for k in ("mean", "deviation")}
            save_file({**tensors, **moments}, path)
        tensors = load_file(path)
        self.mean, self.deviation = (tensors.pop(k).float().reshape(1, -1, 1) for k in ("mean", "deviation"))
        self.network.load_state_dict(tensors)
        self.network.eval()

    @torch.no_grad()
    def __call__(self, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes read from signals ``(n, 12, 1000)``, ``(n,)``, and their features ``(n, 64)``."""
        found, features = [], []
        for first in range(0, len(signals), 64):
            x = torch.from_numpy(np.ascontiguousarray(signals[first : first + 64], dtype=np.float32))
            hidden = self.network.head[:-2](self.network.features((x - self.mean) / self.deviation))
            found.append(self.network.head[-1](hidden).argmax(1).numpy())
            features.append(hidden.double().numpy())
        return np.concatenate(found), np.concatenate(features)


def simulated_judge(work: Path) -> Judge:
    """Return the judge of the simulated records, which learned from others of both hospitals."""
    return Judge(judge_records(work), work / "judge.safetensors")


def real_judge(work: Path) -> Judge:
    """Return the judge of the real records, which learned from the records that generators learn from."""
    return Judge(real_records(work).dataset, work / "judge_real.safetensors")
