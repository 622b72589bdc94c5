"""Write the report, one HTML page that holds all it shows: what the workflow calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup

from ecgpipe.closeness.names import PICTURES
from ecgpipe.config import Config
from ecgpipe.files import write_text
from ecgpipe.leads import LEADS
from ecgpipe.prose.wording import METRIC_NAMES
from ecgpipe.report import closeness
from ecgpipe.report.answer import answer
from ecgpipe.report.data import records
from ecgpipe.report.ecgs import drawings
from ecgpipe.report.inputs import Inputs, Model
from ecgpipe.report.made import made, missing, runtime
from ecgpipe.report.provenance import GitState
from ecgpipe.report.results import comparisons, results, training
from ecgpipe.report.svg import image
from ecgpipe.vocabulary import COMPARED, PRIMARY

log = logging.getLogger(__name__)


def build_report(
    config: Config,
    *,
    tables: str | Path,
    data: Mapping[str, Path],
    samples: Mapping[Model, Path],
    models: Mapping[Model, Path],
    out: str | Path,
    git: GitState | None,
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
        missing=missing(inputs),
        answer=answer(inputs),
        data=records(inputs),
        ecgs=drawings(inputs),
        results=results(inputs),
        comparisons=comparisons(inputs),
        closeness=compared,
        training=training(inputs),
        runtime=runtime(inputs),
        made=made(inputs),
    )
    write_text(out, page)
    log.info("%s: %.1f MB", out, len(page.encode()) / 1e6)
