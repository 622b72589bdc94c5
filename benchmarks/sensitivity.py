"""How each measure of closeness responds to a known defect of growing size.

    python benchmarks/sensitivity.py            # measures: some minutes
    python benchmarks/sensitivity.py --render   # writes the table into docs/closeness.md again

Fresh simulated records, as a perfect generator would draw them, are given a defect of growing size and compared with
held-out ones. A measure sees the defect if its 95 % interval lies outside the floor's interval, on the wrong side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from measuring import DATA, DOCS, parser, write_section
from scipy.ndimage import map_coordinates
from tqdm import tqdm

from ecgpipe.arrays import SignalReader
from ecgpipe.classify.inputs import Selection, Standardizer, standardized
from ecgpipe.classify.pretrained import Pretrained, network_tensors
from ecgpipe.classify.training import build, fit
from ecgpipe.closeness.comparison import Reference
from ecgpipe.closeness.controls import CONTROLS
from ecgpipe.closeness.feature_cache import FeatureCache
from ecgpipe.closeness.feature_maps import FeatureMaps, Judge
from ecgpipe.closeness.measures import MEASURES
from ecgpipe.closeness.privacy import assess
from ecgpipe.closeness.records import Records
from ecgpipe.closeness.settings import Settings
from ecgpipe.config import ClassifierSettings
from ecgpipe.dataset import SignalSpec
from ecgpipe.simulator.ecg import simulate_ecg
from ecgpipe.simulator.hospitals import HOSPITALS
from ecgpipe.simulator.patients import draw_patient
from ecgpipe.vocabulary import ALL

CSV = DATA / "sensitivity.csv"
CLASSES = ("AFIB", "AFLT", "SARRH", "SBRAD", "SR", "STACH", "SVTAC")
HELD_OUT, TRAIN, SYNTHETIC = 105, 210, 105
SETTINGS = Settings(draws=60)
JUDGED = ("frechet_classifier", "class_fidelity")
NETWORK = ClassifierSettings(
    blocks=5, channels=8, width=32, dense_layers=1, learning_rate=3e-3, batch=16, epochs=8, patience=8
)


def simulated(n: int, seed: int) -> Records:
    """Return simulated records of the seven rhythms in turn."""
    rng, hospital = np.random.default_rng(seed), HOSPITALS["a"]
    labels = np.array([CLASSES[i % len(CLASSES)] for i in range(n)], dtype=object)
    signals = [simulate_ecg(rng, name, hospital, draw_patient(rng, hospital, name), 100, 10.0) for name in labels]
    return Records(np.stack(signals), 100.0, labels)


def noise(records: Records, level: float, train: Records) -> Records:
    """Add white noise of ``level`` mV to every lead."""
    added = np.random.default_rng(1).normal(0, level, records.signals.shape)
    return replace(records, signals=(records.signals + added).astype(np.float32))


def gain(records: Records, level: float, train: Records) -> Records:
    """Multiply leads V1 to V6 by ``level``."""
    factor = np.where(np.arange(12) < 6, 1.0, level)[:, None].astype(np.float32)
    return replace(records, signals=records.signals * factor)


def warp(records: Records, level: float, train: Records) -> Records:
    """Make time run faster and slower by up to the share ``level``, in one period over the record."""
    length = records.signals.shape[2]
    t = np.arange(length)
    shift = level * length / (2 * np.pi) * np.sin(2 * np.pi * t / length)
    warped = [
        [map_coordinates(lead, [np.clip(t + shift, 0, length - 1)], order=3, mode="nearest") for lead in record]
        for record in records.signals
    ]
    return replace(records, signals=np.array(warped, dtype=np.float32))


def mix(records: Records, level: float, train: Records) -> Records:
    """Replace the share ``level`` of the records by sinus rhythm, with the right labels."""
    more = simulated(7 * round(level * len(records)), 91)
    more = more.take(np.flatnonzero(more.labels == "SR"))
    kept = np.random.default_rng(2).permutation(len(records))[len(more) :]
    return Records(
        np.concatenate([records.signals[kept], more.signals]),
        100.0,
        np.concatenate([records.labels[kept], more.labels]),
    )


def mode_drop(records: Records, level: float, train: Records) -> Records:
    """Leave out ``level`` of the seven rhythms."""
    rest = simulated(len(records) * 7 // (7 - int(level)) + 7, 92)
    rest = rest.take(np.flatnonzero(~np.isin(rest.labels.astype(str), CLASSES[: int(level)])))
    return rest.take(np.arange(len(records)))


def copies(records: Records, level: float, train: Records) -> Records:
    """Replace the share ``level`` of the records by training records shifted by half a second."""
    number = max(1, round(level * len(records)))
    signals, labels = records.signals.copy(), records.labels.copy()
    signals[:number] = np.roll(train.signals[:number], 50, axis=2)
    labels[:number] = train.labels[:number]
    return replace(records, signals=signals, labels=labels)


def control(name: str) -> Callable[[Records, float, Records], Records]:
    """Return a defect that replaces all records by a control made from training records."""
    return lambda records, level, train: CONTROLS[name](train.take(np.arange(len(records))), np.random.default_rng(3))


DEFECTS: dict[str, tuple[Callable[[Records, float, Records], Records], tuple[float, ...], str]] = {
    "none": (lambda records, level, train: records, (0.0,), ""),
    "noise": (noise, (0.02, 0.1), "{:g} mV"),
    "lead gain": (gain, (1.2, 1.5), "×{:g}"),
    "time warp": (warp, (0.1, 0.4), "{:.0%}"),
    "class mix": (mix, (0.2, 0.6), "{:.0%}"),
    "mode drop": (mode_drop, (1, 3), "{:g} of 7"),
    "copies": (copies, (0.01, 0.3), "{:.0%}"),
    **{f"control: {name.replace('_', ' ')}": (control(name), (1.0,), "seen") for name in CONTROLS},
}
"""Each defect, its sizes and the format of a size; the controls have no size."""


def judge(train: Records, validation: Records) -> Judge:
    """Train a small classifier on the training records."""
    spec = SignalSpec(100.0, train.signals.shape[2], CLASSES)
    parts = [
        Selection(SignalReader.of(r.signals), np.searchsorted(CLASSES, r.labels.astype(str)))
        for r in (train, validation)
    ]
    standardizer = Standardizer.fit(parts[0])
    inputs = [standardized(part, standardizer, torch.device("cpu")) for part in parts]
    model = build(spec, NETWORK, 0)
    fit(model, inputs[0], inputs[1], NETWORK, 0, torch.device("cpu"))
    networks = {0: network_tensors(model, standardizer)}
    return Judge(Pretrained("simulated", "none", 1.0, spec, NETWORK, networks))


def measure(defects: list[str]) -> pd.DataFrame:
    """Measure some defects at every size."""
    torch.set_num_threads(1)
    held_out, train, fresh = simulated(HELD_OUT, 11), simulated(TRAIN, 12), simulated(SYNTHETIC, 13)
    judged = judge(train, simulated(49, 14))
    maps = FeatureMaps.fit(train, judged)
    real = FeatureCache(held_out, maps), FeatureCache(train, maps)
    with_labels = Reference(*real, SETTINGS)
    without = Reference(*(FeatureCache(replace(source.records, labels=None), maps) for source in real), SETTINGS)
    columns = ["measure", "value", "low", "high", "floor", "floor_low", "floor_high", "direction", "n"]
    frames = []
    for name, level in tqdm([(defect, size) for defect in defects for size in DEFECTS[defect][1]]):
        spoilt = DEFECTS[name][0](fresh, level, train)
        tables = [
            without.compare(FeatureCache(replace(spoilt, labels=None), maps)),
            with_labels.compare(FeatureCache(spoilt, maps), only=[*JUDGED, "class_mix"]),
        ]
        pooled = pd.concat([t[(t["class"] == "all") & (t["lead"] == "all")].dropna(subset=["value"]) for t in tables])
        frames.append(pooled[columns].assign(defect=name, size=level))
        if name in ("none", "copies", "control: copies"):
            private = assess(real[0], FeatureCache(spoilt, maps), real[1], SETTINGS).table
            private = private[private["class"] == ALL]
            private = private.assign(floor_low=private["floor"], floor_high=private["floor"])
            frames.append(private.reindex(columns=columns).assign(defect=name, size=level))
    table = pd.concat(frames, ignore_index=True)
    return table[["defect", "size", *columns]].round(5)


def seen(row: pd.Series) -> bool:
    """Say whether a measure sees the defect: its interval (of a count, its value) lies beyond the floor's interval."""
    low, high = (row["value"], row["value"]) if np.isnan(row["low"]) else (row["low"], row["high"])
    above, below = low > row["floor_high"], high < row["floor_low"]
    return bool({"lower": above, "higher": below, "floor": above or below}[row["direction"]])


def _head(defect: str) -> str:
    """Return the head of a column: the defect and its sizes."""
    _, sizes, form = DEFECTS[defect]
    written = [form.format(size) for size in sizes]
    return defect if written == [form] else f"{defect} ({', '.join(written)})"


def render(table: pd.DataFrame) -> str:
    """Return the section of docs/closeness.md."""
    table = table.assign(seen=table.apply(seen, axis=1))
    names = list(dict.fromkeys(table["measure"]))
    titles = {name: MEASURES[name].title if name in MEASURES else name.replace("_", " ") for name in names}
    defects = [name for name in DEFECTS if name != "none"]
    lines = [
        f"Fresh simulated records ({SYNTHETIC} of seven rhythms, compared with {HELD_OUT} held-out ones; "
        f"{TRAIN} training records) with a defect of growing size.",
        "A cell is the smallest size of the defect that the measure sees "
        "(its 95 % interval leaves the floor's on the wrong side), “–” if none.",
        "The controls take all records' place; "
        "another class's records under the label show in rows by class, not in these pooled ones.",
        "Written by `python benchmarks/sensitivity.py` from `docs/data/sensitivity.csv`, which holds every value.",
        "",
        "| measure | false alarm | " + " | ".join(_head(d) for d in defects) + " |",
        "|---|---|" + "---|" * len(defects),
    ]
    for name in names:
        mine = table[table["measure"] == name]
        cells = ["yes" if mine.loc[mine["defect"] == "none", "seen"].any() else "no"]
        for defect in defects:
            rows = mine[mine["defect"] == defect]
            found = rows.loc[rows["seen"], "size"]
            cells.append("" if rows.empty else DEFECTS[defect][2].format(found.min()) if len(found) else "–")
        lines.append(f"| {titles[name]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--defects", nargs="+", choices=list(DEFECTS), default=list(DEFECTS), help="measure only these"
    )
    args = arguments.parse_args()
    if not args.render:
        found = measure(args.defects)
        if CSV.exists():
            before = pd.read_csv(CSV)
            found = pd.concat([before[~before["defect"].isin(args.defects)], found], ignore_index=True)
        found["order"] = found["defect"].map(list(DEFECTS).index)
        found.sort_values("order", kind="stable").drop(columns="order").to_csv(CSV, index=False)
    write_section(DOCS / "closeness.md", "sensitivity", render(pd.read_csv(CSV)))


if __name__ == "__main__":
    main()
