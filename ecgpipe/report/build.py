"""The report: one HTML page that holds all it shows."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from ecgpipe.closeness.names import PICTURES
from ecgpipe.config import Config
from ecgpipe.config.derived import is_simulated
from ecgpipe.dataset import SPLITS, Dataset, SignalSpec
from ecgpipe.files import read_json, read_parquet_metadata, write_text
from ecgpipe.leads import LEADS
from ecgpipe.preprocess.reasons import REASONS
from ecgpipe.report import closeness, ecgpaper, figures, provenance, text
from ecgpipe.report.text import Row, rows_of
from ecgpipe.tables.cells import ALL as ALL_SYNTHETIC
from ecgpipe.tables.cells import AUGMENTED, FINETUNED, FROZEN, PROBE, REAL, SYNTHETIC
from ecgpipe.tables.comparisons import AUGMENTATION, PRIMARY, SYNTHETIC_ONLY, TRANSFER, main_ratio
from ecgpipe.tables.data import ALL
from ecgpipe.tables.draws import COMPARED
from ecgpipe.tables.names import TABLES
from ecgpipe.tables.wording import METRIC_NAMES, bounds, number, signed

log = logging.getLogger(__name__)

MAX_ECGS = 120
"""Drawings of ECGs on the page: at about 25 kB each they keep it well below 8 MB."""

Model = tuple[str, str]
"""Dataset and generator."""

_METHODS = {
    REAL: "real only",
    AUGMENTED: "real + {}",
    SYNTHETIC: "{} only",
    FROZEN: "{}, fine-tuned",
    FINETUNED: "{}, all weights fine-tuned",
    PROBE: "{}, linear probe",
    "TrSTeS": "{} only, tested on {}",
    "TrRTeS": "real only, tested on {}",
}
"""What a network was trained on, by setting; {} is the generator."""


@dataclass(frozen=True)
class Inputs:
    """What the report is made of.

    Attributes:
        config: the study.
        tables: folder of the tables.
        data: folder of each dataset.
        samples: folder of the samples of each (dataset, generator).
        models: folder of each trained (dataset, generator).
        git: state of the checkout; None if there is none.
    """

    config: Config
    tables: Path
    data: Mapping[str, Path]
    samples: Mapping[Model, Path]
    models: Mapping[Model, Path]
    git: provenance.GitState | None
    _read: dict[str, pd.DataFrame] = field(default_factory=dict)

    def table(self, name: str) -> pd.DataFrame:
        """Read a table, once.

        Raises:
            FileNotFoundError: if it is missing.
        """
        if name not in self._read:
            path = self.tables / f"{name}.parquet"
            if not path.exists():
                raise FileNotFoundError(f"{path} is missing: make the tables before the report")
            self._read[name] = pd.read_parquet(path)
        return self._read[name]

    @cached_property
    def drawn(self) -> dict[Model, Path]:
        """Samples that are there."""
        return {cell: folder for cell, folder in self.samples.items() if (folder / "signals.npy").exists()}

    @cached_property
    def simulated(self) -> list[str]:
        """Datasets in which a record is simulated."""
        return [name for name in self.data if is_simulated(self.config.dataset_settings, name)]

    def in_order(self, names: pd.Series) -> list[str]:
        """Return the datasets among ``names``, in the order of ``data``."""
        return [name for name in self.data if name in set(names)]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names."""
        return SignalSpec.from_json(read_parquet_metadata(next(iter(self.data.values())) / "records.parquet")).classes


def image(svg: str) -> str:
    """Return an SVG document as a data URI."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def interval(row: Row) -> str:
    """Write mean and interval of a row of the summary."""
    mean, low, high = (float(row[name]) for name in ("mean", "low", "high"))
    return number(mean) if np.isnan(mean) else f"{number(mean)} [{number(low, 2)}, {number(high, 2)}]"


# -- the answer ---------------------------------------------------------------------------------------------------


_DRAWN = (AUGMENTATION, TRANSFER, SYNTHETIC_ONLY)
"""Experiments on the first screen: those of the paper."""


def _extremes(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep, for each dataset, experiment and generator, the smallest and the largest share."""
    groups = rows.groupby(["dataset", "experiment", "generator"])["fraction"]
    return rows[(rows["fraction"] == groups.transform("min")) | (rows["fraction"] == groups.transform("max"))]


def _forest(rows: pd.DataFrame, limits: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the forest plot's rows."""
    return [
        {
            "what": _method(row["setting"], row["generator"]),
            "share": text.share(row["fraction"]),
            "plot": Markup(figures.forest_row(row, limits)),  # noqa: S704 - drawn from numbers only
            "difference": f"{signed(row['difference'])} {bounds(row['low'], row['high'])}",
            "p": text.probability(row["p_holm"]),
            "verdict": row["verdict"],
        }
        for row in rows_of(rows)
    ]


def _answer(inputs: Inputs) -> dict[str, Any]:
    comparisons = inputs.table("comparisons")
    primary = comparisons[comparisons["metric"] == PRIMARY]
    if primary.empty:
        return {"empty": True}
    tallies = [text.tally(rows, str(name)) for name, rows in primary.groupby("experiment", sort=False)]
    every, primary = len(primary), main_ratio(primary[primary["experiment"].isin(_DRAWN)])
    shown = _extremes(primary)
    limits = figures.forest_axis(shown)
    datasets = []
    for name in inputs.in_order(primary["dataset"]):
        mine, rows = primary[primary["dataset"] == name], shown[shown["dataset"] == name]
        sentences = [
            text.experiment_sentence(group, str(experiment), str(generator))
            for (experiment, generator), group in mine.groupby(["experiment", "generator"], sort=False)
        ]
        first = rows_of(rows)[0]
        datasets.append(
            {
                "name": name,
                "size": f"{text.plural(first['support'], 'test record')}, {text.plural(first['patients'], 'patient')}, "
                f"{text.plural(first['seeds'], 'seed')}",
                "rows": _forest(rows, limits),
                "sentences": sentences,
                "notes": sorted({note for notes in mine["note"] for note in notes.split("; ") if note}),
            }
        )
    return {
        "empty": False,
        "tallies": tallies,
        "datasets": datasets,
        "reduced": len(shown) < every,
        "scale": Markup(figures.forest_scale(limits)),  # noqa: S704 - drawn from numbers only
        "conclusions": rows_of(inputs.table("verdicts")),
        "smallest": _middle(primary["smallest_effect"]),
    }


def _middle(effects: pd.Series) -> str:
    """Write the middle one of the smallest effects; a missing one is more than there can be."""
    middle = effects.fillna(np.inf).median()
    return f"{number(middle, 2)} {METRIC_NAMES[PRIMARY]}" if middle <= 1 else "more than there can be"


# -- data ---------------------------------------------------------------------------------------------------------


def _data(inputs: Inputs) -> list[dict[str, Any]]:
    counts, exclusions = inputs.table("data"), inputs.table("exclusions")
    sections = []
    for name in inputs.in_order(counts["dataset"]):
        summary = read_json(inputs.data[name] / "summary.json")
        mine = counts[counts["dataset"] == name]
        records = mine.pivot(index="class", columns="split", values="records").loc[[*inputs.classes, ALL]]
        patients = mine[mine["class"] == ALL].set_index("split")["patients"]
        left_out = exclusions[exclusions["dataset"] == name]
        sections.append(
            {
                "name": name,
                "simulated": name in inputs.simulated,
                "members": inputs.config.dataset_settings[name].merge or [],
                "summary": summary,
                "rows": [(label, [int(row[split]) for split in (*SPLITS, ALL)]) for label, row in records.iterrows()],
                "patients": [int(patients[split]) for split in (*SPLITS, ALL)],
                "exclusions": [
                    (row["reason"], REASONS.get(row["reason"], ""), row["records"]) for row in rows_of(left_out)
                ],
            }
        )
    return sections


# -- ECGs ---------------------------------------------------------------------------------------------------------


def _first(dataset: Dataset, label: str) -> int | None:
    """Return the first row of a class, from the test split if it has one."""
    rows = dataset.records.index[dataset.records["label"] == label].to_numpy()
    tested = rows[(dataset.records["split"].to_numpy()[rows] == "test")]
    return int(tested[0]) if len(tested) else int(rows[0]) if len(rows) else None


def _drawing(dataset: Dataset, label: str, title: str) -> dict[str, Any]:
    """Draw the first record of a class, or say that there is none."""
    row = _first(dataset, label)
    if row is None:
        return {"title": title, "missing": f"no record of {label}"}
    record = str(dataset.records["record"].iloc[row])
    svg = ecgpaper.draw(
        np.asarray(dataset.signals[row]), dataset.spec.rate, f"12-lead ECG, {label}: {title}, record {record}"
    )
    return {"title": title, "record": record, "svg": Markup(svg)}  # noqa: S704 - the title is escaped by draw()


def _has_own_samples(inputs: Inputs, name: str) -> bool:
    """Say whether a dataset has samples other than those of its members, which are drawn there."""
    settings, with_samples = inputs.config.dataset_settings[name], {dataset for dataset, _ in inputs.drawn}
    pooled = settings.merge is not None and settings.synthetic == "union"
    return name in with_samples and not (pooled and with_samples & set(settings.merge or []))


def _ecgs(inputs: Inputs) -> dict[str, Any]:
    names = [name for name in inputs.data if _has_own_samples(inputs, name)]
    drawings = sum(1 + sum(d == name for d, _ in inputs.drawn) for name in names)
    shown = inputs.classes[: max(1, MAX_ECGS // max(1, drawings))]
    sections = []
    for name in names:
        real = Dataset.load(inputs.data[name])
        word = "simulated" if name in inputs.simulated else "real"
        sets = [(word, real)]
        sets += [(f"synthetic, {g}", Dataset.load(path)) for (d, g), path in inputs.drawn.items() if d == name]
        classes = [(label, [_drawing(dataset, label, title) for title, dataset in sets]) for label in shown]
        sections.append({"name": name, "classes": classes})
    return {"datasets": sections, "left_out": list(inputs.classes[len(shown) :])}


# -- results ------------------------------------------------------------------------------------------------------


def _method(setting: str, generator: str, ratio: str = ALL_SYNTHETIC) -> str:
    """Name what a network was trained on."""
    name = _METHODS[setting].format(generator, generator) if generator != "none" else _METHODS[setting]
    return name if ratio in ("none", ALL_SYNTHETIC) else f"{name}, {'balanced' if ratio == 'balance' else f'{ratio}:1'}"


Cell = tuple[str, str, str, float]
"""Setting, generator, ratio, fraction."""


def _values(summary: pd.DataFrame) -> dict[Cell, dict[tuple[str, str], Row]]:
    """Arrange the summary of one dataset by cell, then by (class, metric)."""
    cells: dict[Cell, dict[tuple[str, str], Row]] = {}
    for row in rows_of(summary):
        key = row["setting"], row["generator"], row["ratio"], row["fraction"]
        cells.setdefault(key, {})[row["class"], row["metric"]] = row
    order = list(_METHODS)
    return dict(sorted(cells.items(), key=lambda item: (order.index(item[0][0]), *item[0][1:])))


def _result_rows(summary: pd.DataFrame, training: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each cell of one dataset, in the order of :data:`_METHODS`."""
    keys = ["setting", "generator", "ratio", "fraction"]
    medians = training.groupby(keys, as_index=False)[["n_real", "n_synthetic"]].median()
    sizes = {tuple(row[key] for key in keys): row for row in rows_of(medians)}
    rows: list[dict[str, Any]] = []
    for (setting, generator, ratio, fraction), values in _values(summary).items():
        what = _method(setting, generator, ratio)
        trained = {"TrSTeS": (SYNTHETIC, generator), "TrRTeS": (REAL, "none")}.get(setting, (setting, generator))
        size = sizes[*trained, ratio, fraction]
        overall = values[COMPARED["accuracy"]]
        rows.append(
            {
                "what": what,
                "first": bool(rows) and rows[-1]["what"] != what,
                "share": "none" if fraction == 0 else text.share(fraction),
                "records": f"{size['n_real']:,.0f} + {size['n_synthetic']:,.0f}",
                "values": [interval(values[metric]) for metric in COMPARED.values()],
                "seeds": overall["seeds"],
                "support": overall["support"],
            }
        )
    return rows


def _class_rows(summary: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the F1 of every class in every cell at the largest share."""
    most = summary["fraction"].max()
    cells = {
        _method(setting, generator): [values[label, "f1"] for label in classes]
        for (setting, generator, _, fraction), values in _values(summary).items()
        if fraction == most or setting == SYNTHETIC
    }
    first = next(iter(cells.values()))
    body = [
        (label, first[place]["support"], [interval(column[place]) for column in cells.values()], first[place]["note"])
        for place, label in enumerate(classes)
    ]
    return {"heads": list(cells), "rows": body}


def _results(inputs: Inputs) -> list[dict[str, Any]]:
    summary, confusion, training = (inputs.table(name) for name in ("summary", "confusion", "training"))
    sections = []
    for name in inputs.in_order(summary["dataset"]):
        mine = summary[summary["dataset"] == name]
        here = mine[(mine["tested"] == name) | mine["tested"].str.startswith(f"{name}/")]
        plain, counts = (
            main_ratio(table[(table["dataset"] == name) & (table["tested"] == name)]) for table in (mine, confusion)
        )
        curves = figures.learning_curves(plain, PRIMARY)
        sections.append(
            {
                "name": name,
                "rows": _result_rows(here, training[training["dataset"] == name]),
                "curves": curves and image(curves),
                "scores": image(figures.class_scores(plain, inputs.classes)),
                "classes": _class_rows(plain, inputs.classes),
                "confusion": image(figures.confusion_matrices(counts, inputs.classes)),
            }
        )
    return sections


def _comparisons(inputs: Inputs) -> list[dict[str, Any]]:
    """Return every comparison in every metric."""
    rows = inputs.table("comparisons")
    return [
        {
            **{
                name: row[name]
                for name in (
                    "dataset",
                    "tested",
                    "experiment",
                    "generator",
                    "ratio",
                    "against",
                    "verdict",
                    "seeds",
                    "note",
                )
            },
            "share": text.share(row["fraction"]),
            "n_real": number(row["n_real"], 0),
            "n_synthetic": number(row["n_synthetic"], 0),
            "metric": METRIC_NAMES[row["metric"]],
            "reference": number(row["reference"]),
            "value": number(row["value"]),
            "difference": f"{signed(row['difference'])} {bounds(row['low'], row['high'])}",
            "p": text.probability(row["p_value"]),
            "p_holm": text.probability(row["p_holm"]),
            "p_swap": text.probability(row["p_swap"]),
            "smallest": number(row["smallest_effect"]),
        }
        for row in rows_of(rows)
    ]


def _training(inputs: Inputs) -> dict[str, Any] | None:
    """Return the training curves of the generators that have a history."""
    histories = []
    for (dataset, generator), folder in inputs.models.items():
        path = folder / "history.parquet"
        if path.exists():
            history = pd.read_parquet(path)
            if len(history):
                histories.append((f"{dataset}, {generator}", history))
    if not histories:
        return None
    last = [
        {
            "name": name,
            "steps": int(history.groupby("stage")["step"].max().sum()),
            "loss": number(float(history["validation_loss"].iloc[-1]), 4),
        }
        for name, history in histories
    ]
    return {"figure": image(figures.training_curves(histories)), "last": last}


def _missing(inputs: Inputs) -> list[str]:
    """Name the results that the config asks for and that are not there."""
    found, experiments = inputs.table("comparisons"), inputs.config.experiments
    have = set(zip(found["dataset"], found["generator"], found["experiment"], strict=True))
    asked = [AUGMENTATION] if AUGMENTED in experiments.settings else []
    asked += [TRANSFER] if experiments.transfer.fractions else []
    wanted = [(d, g) for d in inputs.config.datasets for g in inputs.config.generators]
    notes = [f"no {e} results of {g} on {d}" for d, g in wanted for e in asked if (d, g, e) not in have]
    notes += [f"no samples of {g} for {d}" for d, g in wanted if (d, g) not in inputs.drawn]
    return notes


# -- how it was made ------------------------------------------------------------------------------------------------


def _runtime(inputs: Inputs) -> dict[str, Any]:
    table = inputs.table("runtime")
    stages = table.groupby("stage", sort=False).agg(
        jobs=("job", "count"),
        seconds=("seconds", "sum"),
        start_up_seconds=("start_up_seconds", "sum"),
        cpu_seconds=("cpu_seconds", "sum"),
        peak_memory_mb=("peak_memory_mb", "max"),
    )

    def written(row: Row) -> list[str]:
        measured = (("start_up_seconds", 1), ("cpu_seconds", 1), ("peak_memory_mb", 0))
        return [f"{row['seconds']:,.1f}", *(number(row[name], digits) for name, digits in measured)]

    return {
        "stages": [(row["stage"], row["jobs"], *written(row)) for row in rows_of(stages.reset_index())],
        "jobs": [(row["stage"], row["job"], *written(row)) for row in rows_of(table)],
        "total": f"{table['seconds'].sum() / 60:,.1f}",
        "start_up": f"{100 * table['start_up_seconds'].sum() / max(table['seconds'].sum(), 1e-9):.0f} %",
    }


def _made(inputs: Inputs) -> dict[str, Any]:
    config = inputs.config
    files = [(f"tables/{name}.parquet", inputs.tables / f"{name}.parquet") for name in TABLES]
    files += [(f"data/{name}/signals.npy", folder / "signals.npy") for name, folder in inputs.data.items()]
    files += [(f"generators/{d}/{g}/model.safetensors", p / "model.safetensors") for (d, g), p in inputs.models.items()]
    files += [(f"samples/{d}/{g}/signals.npy", p / "signals.npy") for (d, g), p in inputs.drawn.items()]
    written = provenance.config_text(config)
    return {
        "git": inputs.git,
        "versions": provenance.versions(),
        "seeds": ", ".join(map(str, config.experiments.seeds)),
        "config": written,
        "config_sha256": hashlib.sha256(written.encode()).hexdigest(),
        "checksums": provenance.checksums(files),
    }


def build(
    config: Config,
    *,
    tables: str | Path,
    data: Mapping[str, Path],
    samples: Mapping[Model, Path],
    models: Mapping[Model, Path],
    out: str | Path,
    git: provenance.GitState | None,
) -> None:
    """Write the report.

    Args:
        config: the study.
        tables: folder of the tables, all of :data:`ecgpipe.tables.names.TABLES`.
        data: folder of each dataset, by name, members of merges among them.
        samples: folder of the samples of each (dataset, generator); what is missing is named in the report.
        models: folder of each trained generator, by (dataset, generator); those without a history are left out.
        out: the HTML file; the pictures of the closeness stage also lie in ``closeness/<dataset>/`` beside it, as SVG.
        git: of :func:`ecgpipe.report.provenance.git_state`; None if the study was not run from a checkout.

    Raises:
        FileNotFoundError: if a table or a dataset is missing.
    """
    inputs = Inputs(config, Path(tables), data, samples, models, git)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ecgpipe.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = lambda words: words[:1].upper() + words[1:]
    environment.filters["image"] = image
    compared = closeness.section(inputs.tables, list(inputs.data), inputs.classes, LEADS)
    for dataset in compared["datasets"] if compared else []:
        for picture in dataset["pictures"]:
            write_text(Path(out).parent / "closeness" / dataset["name"] / f"{picture.name}.svg", picture.svg)
    style = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
    page = environment.get_template("template.html.j2").render(
        style=Markup(style),  # noqa: S704 - the package's own file
        config=config,
        statistics=config.statistics,
        level=f"{100 * config.statistics.confidence:g} %",
        metric=METRIC_NAMES[PRIMARY],
        metrics=[METRIC_NAMES[name] for name in COMPARED],
        simulated=inputs.simulated,
        classes=inputs.classes,
        tabs=max(len(inputs.classes), len(PICTURES)),
        missing=_missing(inputs),
        answer=_answer(inputs),
        data=_data(inputs),
        ecgs=_ecgs(inputs),
        results=_results(inputs),
        comparisons=_comparisons(inputs),
        closeness=compared,
        training=_training(inputs),
        runtime=_runtime(inputs),
        made=_made(inputs),
    )
    write_text(out, page)
    log.info("%s: %.1f MB", out, len(page.encode()) / 1e6)
