"""What each generator learns with its preset `small` and in a minute, with drafts and without, and how long it takes.

    python benchmarks/learning.py                               # everything that is missing in --work, then the tables
    python benchmarks/learning.py --generators time_diffusion   # what is missing for these generators, then the tables
    python benchmarks/learning.py --render                      # writes the tables of docs/generators.md again

Each generator, and the control, is trained on the records of two simulated hospitals. If ECGPIPE_PHYSIONET names a
folder or address with real records, it is also trained on those. One judge reads the samples: the study's classifier,
trained on simulated records of both hospitals that no generator saw. Finished cells are not computed again; delete a
cell's file in the folder `--work` to repeat it.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from measuring import DATA, DOCS, ROOT, markdown_table, parser, write_section
from safetensors.torch import load_file, save_file

from ecgpipe.acquire.run import acquire
from ecgpipe.classify import inputs, training
from ecgpipe.closeness.distances import frechet_distance
from ecgpipe.config import ClassifierSettings, DatasetSettings, Preprocess, SignalSettings
from ecgpipe.dataset import Dataset, SignalSpec, save_dataset
from ecgpipe.files import read_json, write_json
from ecgpipe.generate.protocol import Signals
from ecgpipe.generate.registry import load_class
from ecgpipe.generate.time_vqvae import ReconstructionError
from ecgpipe.leads import independent_from_twelve, limb_lead_residual
from ecgpipe.preprocess.run import merge, preprocess
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS, RHYTHMS
from ecgpipe.simulator.patients import draw_patient

log = logging.getLogger(__name__)

CSV = DATA / "learning.csv"
LOSSES_CSV = DATA / "learning_losses.csv"
DOCUMENT = DOCS / "generators.md"
SPEC = SignalSpec(100.0, 1000, RHYTHMS)


@dataclasses.dataclass(frozen=True)
class Way:
    """A generator and its settings, where these are not the defaults."""

    generator: str
    train: dict[str, Any] = dataclasses.field(default_factory=dict)
    sample: dict[str, Any] = dataclasses.field(default_factory=dict)


DRAWN_WITH_DRAFTS = {"sampler": "ancestral", "guidance": 2.0, "guidance_levels": [0.1, 3.0]}
DRAWN_WHOLE = {"sampler": "ancestral", "guidance": 4.0}
WHOLE: dict[str, Any] = {"draft": "none", "class_spectrum": None}
"""Training of the ways without drafts: as the preset `small` was before there were any."""
MINUTE_VQVAE = {"stage1": {"steps": 100}, "lf_prior": {"steps": 100}, "hf_prior": {"steps": 40}}
GENERATORS: dict[str, Way] = {
    "class_mean_pca": Way("class_mean_pca"),
    "time_diffusion": Way("time_diffusion", {}, DRAWN_WITH_DRAFTS),
    "time_diffusion_minute": Way("time_diffusion", {"steps": 450}, DRAWN_WITH_DRAFTS),
    "time_diffusion_no_draft": Way("time_diffusion", {**WHOLE, "attention_levels": 2}, DRAWN_WHOLE),
    "time_vqvae": Way("time_vqvae"),
    "time_vqvae_minute": Way("time_vqvae", MINUTE_VQVAE),
    "time_vqvae_no_draft": Way("time_vqvae", {"draft": "none"}, {"guidance": 2.0}),
    "diffwave": Way("diffwave", {}, DRAWN_WITH_DRAFTS),
    "diffwave_minute": Way("diffwave", {"steps": 260}, DRAWN_WITH_DRAFTS),
    "diffwave_no_draft": Way("diffwave", WHOLE, DRAWN_WHOLE),
}
"""What is measured: ``..._minute`` trains for about as long as in the default study."""
JUDGE = ClassifierSettings(
    channels=24, width=64, dense_layers=2, dropout=0.2, learning_rate=1.5e-3, epochs=16, patience=6
)
SEED = 1
LOSSES = ["stage", "step", "train_loss", "validation_loss"]
REFERENCE, DRAWN = 490, 210
"""Real records that samples are compared with, and samples drawn; each class has a seventh of both."""


@dataclasses.dataclass(frozen=True)
class Set:
    """Records to learn from, and real records to compare samples with.

    Attributes:
        dataset: the records to learn from.
        reference: real records whose features the samples' features are compared with.
        more: as many other real records as samples are drawn; they are measured in the samples' place.
    """

    dataset: Dataset
    reference: Dataset
    more: Dataset


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
    return Set(dataset, rows(others, kept[:REFERENCE]), rows(others, kept[REFERENCE : REFERENCE + DRAWN]))


def real_records(work: Path) -> Set:
    """Return the records of PTB-XL and ecg-arrhythmia in ECGPIPE_PHYSIONET; the held-out ones are the reference."""
    signal, options, members = SignalSettings(), Preprocess(), {}
    for name, form, slug, version in (
        ("ptbxl", "ptbxl", "ptb-xl", "1.0.3"),
        ("chapman", "ecg_arrhythmia", "ecg-arrhythmia", "1.0.0"),
    ):
        source = {"kind": "physionet", "slug": slug, "version": version}
        settings = DatasetSettings.model_validate({"format": form, "source": source})
        raw, out = work / "raw" / name, work / name
        manifest = acquire(settings, signal, raw)
        preprocess(raw, manifest, settings, signal, options, out, source_name=name, workers=1)
        members[name] = out
    merge(members, work / "real_records")
    dataset = Dataset.load(work / "real_records")
    if dataset.spec != SPEC:
        raise ValueError(f"the real records are {dataset.spec}, the judge reads {SPEC}")
    held_out = np.flatnonzero((dataset.records["split"] != "train").to_numpy())
    return Set(dataset, rows(dataset, held_out[::2]), rows(dataset, held_out[1::2]))


class Judge:
    """The study's classifier, trained on simulated records of both hospitals; its last hidden layer is the features."""

    def __init__(self, work: Path) -> None:
        path = work / "judge.safetensors"
        self.network = training.build(SPEC, JUDGE, SEED - 1)
        if not path.exists():
            records, device = judge_records(work), torch.device("cpu")
            train = inputs.select(records, "train")
            form = inputs.Standardizer.fit(train)
            log.info("training the judge")
            training.fit(
                self.network,
                inputs.standardized(train, form, device),
                inputs.standardized(inputs.select(records, "validation"), form, device),
                JUDGE,
                SEED - 1,
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


def frechet(one: np.ndarray, two: np.ndarray) -> float:
    """Return the squared Fréchet distance of the Gaussians of two sets of features ``(n, d)``."""
    return frechet_distance(one.mean(0), np.cov(one.T), two.mean(0), np.cov(two.T))


def wilson(right: int, number: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    share, n = right / number, number
    middle, half = share + z * z / (2 * n), z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float((middle - half) / (1 + z * z / n)), float((middle + half) / (1 + z * z / n))


def nearest(signals: np.ndarray, train: np.ndarray) -> float:
    """Return the median over signals of the RMS distance in mV (eight leads) to the nearest training record."""
    a = independent_from_twelve(signals).reshape(len(signals), -1).astype(np.float64)
    b = independent_from_twelve(train).reshape(len(train), -1).astype(np.float64)
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return float(np.median(np.sqrt(squares.min(axis=1).clip(0) / a.shape[1])))


def measured(judge: Judge, signals: np.ndarray, labels: np.ndarray, data: Set) -> dict[str, Any]:
    """Measure samples, or real records in their place."""
    found, features = judge(signals)
    right = found == labels
    low, high = wilson(int(right.sum()), len(right))
    train = data.dataset.signals[data.dataset.indices("train")]
    return {
        "drawn": len(labels),
        "agreement": float(right.mean()),
        "agreement_low": low,
        "agreement_high": high,
        **{f"agreement_{c}": float(right[labels == i].mean()) for i, c in enumerate(RHYTHMS) if (labels == i).any()},
        "frechet": frechet(features, judge(data.reference.signals)[1]),
        "limb_residual_mv": float(limb_lead_residual(signals).max()),
        "nearest_train_mv": nearest(signals, train),
        "nearest_train_mv_held_out": nearest(data.more.signals, train),
    }


def learned(name: str, judge: Judge, data: Set, folder: Path) -> dict[str, Any]:
    """Train a generator, sample from it and measure the samples; save model and losses."""
    way = GENERATORS[name]
    cls: Any = load_class(way.generator, None)
    train, validation = Signals.of(data.dataset, "train"), Signals.of(data.dataset, "validation")
    generator = cls(cls.Settings.model_validate(way.train), data.dataset.spec)
    clock = time.process_time()
    with tempfile.TemporaryDirectory() as state:  # a resumed training would not know its earlier cost
        history = generator.fit(train, validation, seed=SEED, state_dir=Path(state), device="cpu", progress=True)
    seconds = time.process_time() - clock
    generator.save(folder)
    if "stage" in history:
        history[LOSSES].to_csv(folder / "losses.csv", index=False, float_format="%.6g")
    present = np.unique(train.labels)
    labels, seeds = present[np.arange(DRAWN) % len(present)], np.arange(DRAWN)
    settings = cls.SampleSettings.model_validate(way.sample)
    clock = time.process_time()
    signals = np.concatenate(
        [
            generator.sample(labels[i : i + 70], settings=settings, seeds=seeds[i : i + 70], device="cpu")
            for i in range(0, DRAWN, 70)
        ]
    )
    return {
        "seeds": 1,
        "records": len(train),
        "steps": int(history.groupby("stage")["step"].max().sum()) if "stage" in history else 0,
        "cpu_seconds": seconds,
        "sampling_cpu_seconds": time.process_time() - clock,
        "evaluations": getattr(settings, "evaluations", 1),
        "guidance": getattr(settings, "guidance", 1.0),
        **measured(judge, signals, labels, data),
    }


def collect(work: Path) -> pd.DataFrame:
    """Return a row for each finished cell."""
    cells = pd.DataFrame([read_json(path) for path in sorted((work / "cells").glob("*.json"))])
    return cells.sort_values(["dataset", "generator"], ignore_index=True)


def collect_losses(work: Path) -> pd.DataFrame:
    """Return the losses at each validation of all trainings that kept them: dataset, generator and :data:`LOSSES`."""
    found = [pd.DataFrame(columns=["dataset", "generator", *LOSSES])]
    for path in sorted((work / "models").glob("*/losses.csv")):
        dataset, generator = path.parent.name.rsplit("-", 1)
        losses = pd.read_csv(path)
        losses.insert(0, "dataset", dataset)
        losses.insert(1, "generator", generator)
        found.append(losses)
    return pd.concat(found[1:] or found, ignore_index=True)


def losses_table(csv: Path = LOSSES_CSV) -> str:
    """Return the training and validation losses at the end of each stage of each training, as Markdown."""
    heads = ["dataset", "generator", "stage", "steps", "training loss at the end", "validation loss at the end"]
    lines = []
    for (dataset, generator, stage), rows in pd.read_csv(csv).groupby(["dataset", "generator", "stage"], sort=False):
        last, best = rows.iloc[-1], rows.loc[rows["validation_loss"].idxmin()]
        losses = [f"{last['train_loss']:.3f}", f"{last['validation_loss']:.3f}"]
        lowest = f"{best['validation_loss']:.3f}, {best['step']}"
        lines.append([dataset, generator, stage, last["step"], *losses, lowest])
    return markdown_table([*heads, "lowest validation loss, at step"], lines)


def table(csv: Path = CSV) -> str:
    """Return the CSV as a Markdown table."""
    found = pd.read_csv(csv)
    heads = ["dataset", "generator", "steps", "training, CPU s", "agreement [95 %]", "Fréchet distance"]
    lines = []
    for row in found.to_dict("records"):
        lines.append([row["dataset"], row["generator"]])
        if isinstance(row.get("refused"), str):
            lines[-1] += [f"refused: {row['refused']}", *[""] * 5]
            continue
        held_out = "" if row["generator"] == "real" else f" (real: {row['nearest_train_mv_held_out']:.3f})"
        lines[-1] += [
            *("–" if pd.isna(row[name]) else f"{row[name]:.0f}" for name in ("steps", "cpu_seconds")),
            f"{row['agreement']:.2f} [{row['agreement_low']:.2f}, {row['agreement_high']:.2f}]",
            f"{row['frechet']:.1f}",
            f"{row['nearest_train_mv']:.3f}{held_out}",
            f"{row['limb_residual_mv']:.1e}",
        ]
    return markdown_table([*heads, "nearest training record, mV", "limb residual, mV"], lines)


def compute(work: Path, generators: list[str]) -> None:
    """Train and measure the generators whose cells are missing in the working folder."""
    judge = Judge(work)
    makers = {"hospital_a": lambda: hospital_records(work, "a")}
    if os.environ.get("ECGPIPE_PHYSIONET"):
        makers["real"] = lambda: real_records(work)
    makers["hospital_b"] = lambda: hospital_records(work, "b")
    for dataset, make in makers.items():
        missing = [g for g in ("real", *generators) if not (work / "cells" / f"{dataset}-{g}.json").exists()]
        data = make() if missing else None
        for name in missing:
            assert data is not None
            if name == "real":
                cell = measured(judge, data.more.signals, data.more.labels, data)
            else:
                try:
                    cell = learned(name, judge, data, work / "models" / f"{dataset}-{name}")
                except ReconstructionError as error:
                    cell = {"refused": str(error).split(";")[0]}
            log.info("%s, %s: %s", dataset, name, json.dumps(cell))
            write_json(work / "cells" / f"{dataset}-{name}.json", {"dataset": dataset, "generator": name, **cell})


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--work", type=Path, default=ROOT / "results" / "learning", help="working folder")
    arguments.add_argument("--generators", nargs="+", choices=GENERATORS, default=list(GENERATORS))
    args = arguments.parse_args()
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(1)
    if not args.render:
        compute(args.work, args.generators)
        collect(args.work).to_csv(CSV, index=False, float_format="%.6g")
        collect_losses(args.work).to_csv(LOSSES_CSV, index=False, float_format="%.6g")
    for csv, rows in ((CSV, table()), (LOSSES_CSV, losses_table())):
        write_section(DOCUMENT, csv.stem, rows)


if __name__ == "__main__":
    main()
