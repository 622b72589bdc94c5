"""The benchmark of a GPU: it runs on any machine with tiny networks, and a GPU computes what the CPU computes."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch

DOCS = Path(__file__).resolve().parents[2] / "docs"
GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
CASES = ("diffwave", "diffwave, drafts", "time_diffusion", "time_diffusion, drafts", "time_vqvae", "time_vqvae, drafts")


def test_the_section_is_made_of_the_csv_and_there_is_none_without(load: Callable[[str], ModuleType]) -> None:
    device, text = load("device"), (DOCS / "performance.md").read_text(encoding="utf-8")
    if device.CSV.exists():
        section = device.render(pd.read_csv(device.CSV)).strip()
        assert f"<!-- device: begin -->\n{section}\n<!-- device: end -->" in text
    else:
        assert "<!-- device: begin -->" not in text


@pytest.mark.long
def test_tiny_networks_go_through_every_part(
    load: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, threads = load("device"), torch.get_num_threads()
    monkeypatch.setattr(device, "GENERATORS", ("time_vqvae",))
    monkeypatch.setattr(device, "CASES", {})  # the checks have a test of their own below
    every = device.tasks  # of which larger networks and batches are not needed
    monkeypatch.setattr(
        device,
        "tasks",
        lambda *given: (t for t in every(*given) if not {"full", "larger"} & set(re.split(r"\W+", t[0]))),
    )
    args = argparse.Namespace(
        csv=tmp_path / "device.csv",
        device="cpu",
        ends=time.time() + 500,
        window=0.01,
        records=112,
        compile=(),
        compile_full=False,
        smoke=True,
    )
    try:
        device.measure(args, device.Table(args.csv, args.ends))
    finally:
        torch.set_num_threads(threads)
    found = pd.read_csv(args.csv)
    assert not found["note"].fillna("").str.match("left out|failed").any()
    assert set(found["kind"]) == {
        *("machine", "ceiling", "training", "sampling", "classifier", "repetitions"),
    }
    steps = found[found["kind"] == "training"]
    assert set(steps["stage"]) == {"stage1", "lf_prior", "hf_prior", "enhancer"}
    assert (steps["records_per_second"] > 0).all()
    assert (steps.loc[steps["way"] == "bf16", "gigaflops"] > 0).all()
    assert "| time_vqvae, lf_prior | bf16 |" in device.render(found)
    assert "Without a result" not in device.render(found)


@pytest.mark.slow
def test_without_time_nothing_is_measured_and_the_table_says_so(
    load: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    device = load("device")
    table = device.Table(tmp_path / "device.csv", ends=time.time())
    args = argparse.Namespace(
        csv=table.path, device="cpu", window=0.01, records=112, compile=(), compile_full=False, smoke=True
    )
    device.measure(args, table)
    found = pd.read_csv(table.path)
    assert (found.loc[found["kind"] != "machine", "note"] == "left out: no time").all()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_gpu_computes_what_the_cpu_computes(load: Callable[[str], ModuleType], case: str) -> None:
    if not GPU and case != "time_vqvae":
        pytest.skip("there is no GPU; one case shows that the check itself works")
    checks, training = load("device_checks"), load("device_training")
    records = training.simulated_records(140)
    with training.tf32(training.FP32):
        loss, gradient = checks.beside_the_cpu(case, records, DEVICE)
        assert loss < 1e-4
        assert gradient < 1e-2
        assert checks.drawn_beside_the_cpu(case, records, DEVICE) < 1e-2
    with checks.deterministic():
        # cuDNN's attention adds up gradients in no fixed order, and says so (torch 2.11).
        same = 1e-6 if GPU and case.startswith("time_diffusion") else 0
        assert checks.repeated(case, records, DEVICE) <= same
        assert checks.resumed(case, records, DEVICE) <= same


def test_other_weights_are_a_difference(load: Callable[[str], ModuleType]) -> None:
    checks, training = load("device_checks"), load("device_training")
    records = training.simulated_records(70)
    known = checks.first_losses("time_vqvae", records, "cpu")
    stage = known["stage1"]
    moved = {k: v + 0.01 if v.is_floating_point() else v for k, v in stage.weights.items()}
    other = checks.first_losses("time_vqvae", records, "cpu", {**known, "stage1": stage._replace(weights=moved)})
    assert other["stage1"].loss != stage.loss
    assert other["lf_prior"].loss == known["lf_prior"].loss
