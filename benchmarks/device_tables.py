"""The section of docs/performance.md that `device.py` writes."""

from __future__ import annotations

import pandas as pd
from device_training import BF16, FIRST_STEPS, FP32, TF32, WINDOWS

SAMPLES = 21_000
"""Records that the paper draws from each generator."""
CHECKS = (
    "loss",
    "gradient",
    "records drawn",
    "trained twice",
    "trained twice, deterministic",
    "resumed, deterministic",
)


def table(heads: list[str], rows: list[list[str]], words: int) -> list[str]:
    """Return the lines of a Markdown table whose first ``words`` columns are words and the others numbers."""
    ruler = ["---"] * words + ["---:"] * (len(heads) - words)
    lines = [f"| {' | '.join(line)} |" for line in [heads, ruler, *rows]]
    return ["", *lines]


def number(value: object, form: str) -> str:
    """Format a value; nothing for one that was not measured."""
    return "" if pd.isna(value) else format(float(str(value)), form)


def _ceiling(found: pd.DataFrame, way: str | None) -> float:
    rows = found[(found["kind"] == "ceiling") & (found["way"].isna() if way is None else found["way"] == way)]
    return float(rows["value"].iloc[0]) if len(rows) else float("nan")


def training_table(found: pd.DataFrame, peak: float) -> list[str]:
    """Return the table of training steps; operations are those counted in bf16, which all ways share."""
    rows, keys = found[(found["kind"] == "training") & found["step_ms"].notna()], ["name", "preset", "stage", "batch"]
    counted = rows[rows["gigaflops"].notna()].set_index(keys)["gigaflops"]
    exact = rows[rows["way"] == FP32].set_index(keys)["loss"]
    lines = []
    for row in rows.sort_values(["preset", "name"], ascending=[False, True], kind="stable").to_dict("records"):
        key = tuple(row[k] for k in keys)
        share = counted[key] / row["step_ms"] / peak if key in counted.index else float("nan")
        off = row["loss"] / exact[key] - 1 if key in exact.index and row["way"] != FP32 else float("nan")
        name = row["name"] if row["stage"] == "train" else f"{row['name']}, {row['stage']}"
        lines.append(
            [
                f"`{row['preset']}`",
                name,
                row["way"],
                number(row["batch"], ",.0f"),
                number(row["records_per_second"], ",.0f"),
                number(row["step_ms"], ".1f"),
                number(row["value"] * row["step_ms"] / 3.6e6, ".1f"),
                number(100 * share, ".1f"),
                number(100 * row["busy"], ".0f"),
                number(row["peak_mb"] / 1000, ".1f"),
                number(row["first_step_s"], ".1f"),
                number(100 * off, "+.2f"),
            ]
        )
    heads = ["preset", "network", "way", "batch", "records/s", "ms a step", "hours", "share of peak, %", "GPU busy, %"]
    return table([*heads, "peak memory, GB", "first step, s", "loss beside fp32, %"], lines, 3)


def sampling_table(found: pd.DataFrame) -> list[str]:
    """Return the table of sampling."""
    rows = found[found["kind"] == "sampling"]
    lines = [
        [
            f"`{row['preset']}`",
            row["name"],
            number(row["batch"], ",.0f"),
            number(row["records_per_second"], ",.1f"),
            number(SAMPLES / row["records_per_second"] / 3600, ".2f"),
            number(row["peak_mb"] / 1000, ".1f"),
        ]
        for row in rows.to_dict("records")
    ]
    heads = ["preset", "generator", "records at a time", "records/s", f"hours for {SAMPLES:,}", "peak memory, GB"]
    return table(heads, lines, 2) if lines else []


def classifier_lines(found: pd.DataFrame) -> list[str]:
    """Return what was measured of classifiers: the two ways to read records, and repetitions."""
    out: list[str] = []
    rows = found[found["kind"] == "classifier"]
    if len(rows):
        lines = [
            [r["name"], r["way"], number(r["batch"], ".0f"), number(r["records_per_second"], ",.0f")]
            for r in rows.to_dict("records")
        ]
        out += [
            "",
            "The classifiers of `configs/paper.yaml`; training includes ten validations of 64 records:",
        ]
        out += table(["classifier", "way", "batch", "records/s"], lines, 2)
    rows = found[(found["kind"] == "repetitions") & found["records_per_second"].notna()]
    for name, both in rows.groupby("name", sort=False):
        rate = both.groupby("way")["records_per_second"].last()
        if {"one after another", "together"} <= set(rate.index):
            one, stacked, first = rate["one after another"], rate["together"], both.iloc[0]
            out += [
                "",
                f"{first['value']:.0f} repetitions of the classifier `{name}` (`benchmarks/repetitions.py`) take "
                f"{one:,.0f} records/s one after another and {stacked:,.0f} together, with stacked parameters: "
                f"{stacked / one:.1f} times as many ({first['note']}).",
            ]
    return out


def check_lines(found: pd.DataFrame) -> list[str]:
    """Return the table of checks."""
    rows = found[(found["kind"] == "check") & found["value"].notna()]
    if rows.empty:
        return []
    values = rows.pivot_table(index="name", columns="stage", values="value", sort=False, dropna=False)
    lines = []
    for name, row in values.iterrows():
        cells = [number(row.get(check), ".1e") for check in CHECKS]
        lines.append([str(name), *("equal" if float(c or 1) == 0 and i > 2 else c for i, c in enumerate(cells))])
    return [
        "",
        "Small networks with all the parts of the presets `paper` and, with drafts, `small`. *Loss*, *gradient* and "
        "*records drawn* are relative differences from the CPU, in float32 without TF32, with the same weights and "
        "noise: the largest over the stages of a training, and the median over records. The other columns are largest "
        "differences of a weight between two trainings of 12 steps a stage in the precision that `auto` chooses; equal "
        "is equal in all bits. *Deterministic* is with `torch.use_deterministic_algorithms`. *Resumed* trainings were "
        "killed every few steps and went on from their checkpoints.",
        *table(["generator", *CHECKS], lines, 1),
    ]


def render(found: pd.DataFrame) -> str:
    """Return the section; rows of the kind ``remark`` say what else there is to know of a measurement."""
    about = found[found["kind"] == "machine"].iloc[0]
    peak = _ceiling(found, BF16)
    missing = found[found["note"].fillna("").str.match("left out|failed")]
    lines = [
        "## On a GPU",
        "",
        f"Measured by `python benchmarks/device.py` on one {about['name']}, {about['way']}, {about['stage']}, "
        f"{about['note']}; the values are in `docs/data/device.csv`. Networks train in the package's own loop on "
        "simulated records of 12 leads and 1,000 samples in main memory; drawing a batch and copying it to the GPU are "
        f"part of a step. Steps are timed after {FIRST_STEPS} others, and the fastest of {WINDOWS} windows counts. "
        "Meanwhile other processes compiled networks on other cores.",
        "",
        f"Products of random 8192 x 8192 matrices reach {_ceiling(found, BF16):.0f} TFLOP/s in bf16, "
        f"{_ceiling(found, TF32):.0f} with TF32 and {_ceiling(found, FP32):.0f} in fp32; a copy moves "
        f"{_ceiling(found, None):.1f} TB/s. *Share of peak* is the multiplications and additions of matrix products, "
        "attention and convolutions a second, counted by torch, over the bf16 product's. *GPU busy* is the time of all "
        "kernels and copies in a step over the time of the step; the rest is Python and the starting of kernels. "
        "*Hours* are those of the preset's number of steps (with a larger batch: as many steps). *First step* includes "
        f"compilation. The last column compares the mean loss of the first {FIRST_STEPS} steps, with equal noise.",
        *training_table(found, peak),
        "",
        "Drawing, in float32 as torch is set by default, with the settings of `configs/paper.yaml` for `paper` and the "
        "default ones for `full`. Of many evaluations only some were timed; all cost the same:",
        *sampling_table(found),
        *classifier_lines(found),
        *check_lines(found),
    ]
    if len(missing):
        said = []
        for row in missing.fillna("").to_dict("records"):
            place = [row[k] for k in ("name", "preset", "stage", "way") if row[k]]
            said.append(f"{', '.join(place)} ({row['note']})")
        lines += ["", f"Without a result: {'; '.join(said)}."]
    for remark in found.loc[found["kind"] == "remark", "note"]:
        lines += ["", remark]
    return "\n".join(lines)
