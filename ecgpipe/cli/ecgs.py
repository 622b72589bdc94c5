"""ECGs for other programs: sample and export."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ecgpipe.cli.options import ECGS


class Form(StrEnum):
    """A format that ECGs are written in."""

    WFDB = "wfdb"
    NPY = "npy"
    CSV = "csv"
    EDF = "edf"


To = Annotated[Form, typer.Option("--to", help="WFDB records, one NumPy array, or a CSV or EDF file a record.")]
Out = Annotated[Path, typer.Option(help="Folder to make.")]
LabelMap = Annotated[str, typer.Option(help="rhythms7, or a CSV as in preprocess.label_map: codes in WFDB headers.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for function, example in (
        (sample, "ecgpipe sample results/generators/demo_ptbxl/diffwave --class AFIB --number 50 --seed 1 --out afib"),
        (export, "ecgpipe export results/data/demo_ptbxl --to csv --out demo_csv"),
    ):
        app.command(rich_help_panel=ECGS, epilog=f"Example: {example}")(function)


def _changed(settings: list[str]) -> dict[str, Any]:
    """Read ``guidance=1.0`` and the like; a value is YAML."""
    import yaml

    changed = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{text} is not of the form NAME=VALUE", param_hint="--set")
        changed[name] = yaml.safe_load(value)
    return changed


def sample(
    model: Annotated[Path, typer.Argument(help="Folder of a trained generator.")],
    out: Out,
    labels: Annotated[
        list[str] | None,
        typer.Option("--class", help="Class to draw, by name or number; may be given often. All that it knows if not."),
    ] = None,
    number: Annotated[int, typer.Option(min=1, help="ECGs of each class.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same ECGs.")] = 0,
    to: To = Form.WFDB,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of sampling to change, as guidance=1.0.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    label_map: LabelMap = "rhythms7",
) -> None:
    """Draw ECGs from a trained generator, with its study's sampling settings."""
    import numpy as np

    from ecgpipe.dataset import Dataset
    from ecgpipe.sample import formats, trained
    from ecgpipe.sample.draw import record_seeds, synthetic_records

    changed = _changed(settings or [])
    sys.path.append(str(Path.cwd()))  # a study's own generator may lie in its folder
    generator = trained.load(model)
    known: dict[str, int] = generator.facts.get("training_records", {})
    asked = labels or [name for name in generator.classes if known.get(name) != 0]
    ids = np.repeat(generator.class_ids([int(name) if name.isdigit() else name for name in asked]), number)
    seeds, used = record_seeds(len(ids), seed), generator.settings(changed)
    signals = generator.draw(ids, seeds, used, device=device)
    records = synthetic_records(generator.name, generator.spec, ids, seeds, used, seed)
    formats.write(Dataset(signals, records, generator.spec), out, to, label_map)
    print(f"{len(ids)} ECGs of {', '.join(asked)}, drawn by {generator.name}, are in {out}")


def export(
    dataset: Annotated[Path, typer.Argument(help="Folder of a dataset or of samples: signals.npy, records.parquet.")],
    out: Out,
    to: To = Form.WFDB,
    label_map: LabelMap = "rhythms7",
) -> None:
    """Write a dataset, real or synthetic, in a format that other programs read."""
    from ecgpipe.dataset import Dataset
    from ecgpipe.sample import formats

    found = Dataset.load(dataset)
    formats.write(found, out, to, label_map)
    print(f"{len(found)} ECGs are in {out}")
