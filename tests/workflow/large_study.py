"""A study of two thousand jobs, on the tiny one's settings."""

from __future__ import annotations

from typing import Any


def enlarged(tiny: dict[str, Any], datasets: int, generators: int) -> dict[str, Any]:
    """Return the tiny study's configuration with other numbers of datasets and generators.

    Args:
        tiny: ``configs/tiny.yaml`` as read.
        datasets: number of datasets, each simulated from a seed of its own.
        generators: number of generators, each ``diffwave`` trained for a number of steps of its own.
    """
    demo = tiny["dataset_settings"]["demo_ptbxl"]
    return {
        **tiny,
        "datasets": [f"d{i}" for i in range(datasets)],
        "generators": [f"g{i}" for i in range(generators)],
        "dataset_settings": {
            f"d{i}": {**demo, "source": {"kind": "simulated", "records": 120, "seed": i}} for i in range(datasets)
        },
        "generator_settings": {
            f"g{i}": {"class": "ecgpipe.generate.diffwave:GENERATOR", "train": {"steps": 6 + i}}
            for i in range(generators)
        },
    }


def expected_jobs(datasets: int, generators: int) -> dict[str, int]:
    """Return the jobs of such a study that has no results yet, by rule."""
    each_dataset = ("acquire", "preprocess", "classify_real", "classify_baselines", "closeness_controls")
    each_cell = ("generate", "sample", "classify_augmentation", "classify_transfer", "closeness_generator")
    return {
        **dict.fromkeys(each_dataset, datasets),
        **dict.fromkeys(each_cell, datasets * generators),
        **dict.fromkeys(("closeness_tables", "result_tables", "report_page"), 1),
    }
