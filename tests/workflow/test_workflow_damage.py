"""One flipped bit in what a job reads ends that job with the file's name."""

from __future__ import annotations

import os

import pytest
from checkout import Checkout

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

CELL = "results/classifiers/demo_ptbxl/diffwave"
READ_BY = {
    "results/generators/demo_ptbxl/diffwave/model.safetensors": "results/samples/demo_ptbxl/diffwave/records.parquet",
    "results/samples/demo_ptbxl/diffwave/signals.npy": f"{CELL}/augmentation/training.parquet",
    f"{CELL}/augmentation/pretrained.safetensors": f"{CELL}/transfer/training.parquet",
    "results/raw/demo_ptbxl.parquet": "results/data/demo_ptbxl/records.parquet",
}


@pytest.mark.parametrize("damaged", READ_BY)
def test_a_job_does_not_read_what_was_not_written(checkout: Checkout, damaged: str) -> None:
    path = checkout.folder / damaged
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # a disk leaves the time stamp alone
    done = checkout.snakemake(READ_BY[damaged], "--force", check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"ERROR: {damaged} is not the file that its job wrote" in said
    assert "Traceback" not in said.split("ERROR:")[1].split("\n")[0]
