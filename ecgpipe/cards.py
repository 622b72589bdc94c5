"""Model cards and dataset cards: Markdown with a YAML head, as Hugging Face reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from ecgpipe.dataset import Dataset
from ecgpipe.files import read_json
from ecgpipe.sample.names import SAMPLING

SPECIAL = "\\`*_{}[]<>|#"


class CardError(Exception):
    """A folder that there is no card of; the message names it."""


def _plain(text: object) -> str:
    """Return a text that Markdown shows as it is."""
    return "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in " ".join(str(text).split()))


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "cli" / "templates"),
    autoescape=False,  # noqa: S701 - Markdown; texts from files go through `plain`
    trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined,
)  # fmt: skip
_ENVIRONMENT.filters["plain"] = _plain


def card(folder: str | Path) -> str:
    """Return the card of a trained generator, of samples, or of a dataset.

    Args:
        folder: as a study leaves it.

    Raises:
        CardError: if it is none of these.
        ValueError: if a file is damaged.
    """
    folder = Path(folder)
    if (folder / "model.json").exists():
        return _model(folder)
    if (folder / "records.parquet").exists():
        return _dataset(folder)
    raise CardError(f"{folder} holds neither model.json nor records.parquet: name a folder of a model or of samples")


def _made(folder: Path) -> dict[str, Any]:
    path = folder / "provenance.json"
    made: dict[str, Any] = read_json(path) if path.exists() else {}
    return made


def _head(tags: list[str], **more: Any) -> str:
    return yaml.safe_dump({**more, "tags": ["ecg", "12-lead-ecg", *tags]}, sort_keys=False).strip()


def _privacy(folder: Path) -> str:
    """Return what the study found on whether the samples give training records away; empty if it was not judged."""
    path = folder.resolve().parents[2] / "tables" / "privacy.parquet"
    if not path.exists():
        return ""
    table = pd.read_parquet(path)
    mine = table[(table["dataset"] == folder.resolve().parent.name) & (table["generator"] == folder.resolve().name)]
    return f"{mine['verdict'].iloc[0]} ({mine['reason'].iloc[0]})" if len(mine) else ""


def _model(folder: Path) -> str:
    facts = read_json(folder / "model.json")
    if not (isinstance(facts, dict) and {"class", "settings", "signals"} <= set(facts)):
        raise CardError(f"{folder / 'model.json'} is not what a generator writes: train it again")
    name, sampling = folder.resolve().name, {}
    if (folder / SAMPLING).exists():
        kept = read_json(folder / SAMPLING)
        name, sampling = kept["generator"], kept["sample"]
    known = facts.get("training_records", {})
    example = next((label for label in facts["signals"]["classes"] if known.get(label) != 0), "")
    return _ENVIRONMENT.get_template("model_card.md.j2").render(
        example=example,
        head=_head(["synthetic-data", "generative-model"], library_name="ecgpipe"),
        name=name, dataset=folder.resolve().parent.name, facts=facts, sampling=sampling, made=_made(folder),
        privacy=_privacy(folder),
    )  # fmt: skip


def _dataset(folder: Path) -> str:
    dataset = Dataset.load(folder)
    synthetic = "generator" in dataset.records
    counts = pd.crosstab(dataset.records["label"], dataset.records["split"])
    return _ENVIRONMENT.get_template("dataset_card.md.j2").render(
        head=_head(["synthetic-data"] if synthetic else [], pretty_name=folder.resolve().name),
        name=folder.resolve().name, parent=folder.resolve().parent.name, synthetic=synthetic, spec=dataset.spec,
        number=len(dataset), splits=list(counts.columns), counts=list(counts.itertuples(name=None)), made=_made(folder),
        privacy=_privacy(folder) if synthetic else "",
    )  # fmt: skip
