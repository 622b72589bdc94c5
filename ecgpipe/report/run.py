"""Write the report, one HTML page that holds all it shows: what the workflow calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from ecgpipe.closeness.names import PICTURES
from ecgpipe.config import Config
from ecgpipe.files import write_text
from ecgpipe.leads import LEADS
from ecgpipe.prose.methods import linked
from ecgpipe.prose.wording import BASELINE_MEANINGS, BASELINE_NAMES, METRIC_NAMES, added
from ecgpipe.report import closeness, scripts
from ecgpipe.report.answer import answer
from ecgpipe.report.beside import methods_text, take_away, write_beside
from ecgpipe.report.blind import EACH, blind_test, write_key
from ecgpipe.report.data import records
from ecgpipe.report.ecgs import examples
from ecgpipe.report.inputs import Inputs, Model
from ecgpipe.report.labels import spelt_out
from ecgpipe.report.made import made, missing, runtime
from ecgpipe.report.provenance import GitState
from ecgpipe.report.results import comparisons, results, training
from ecgpipe.report.svg import image
from ecgpipe.report.viewer import viewer_data
from ecgpipe.vocabulary import COMPARED, PRIMARY

log = logging.getLogger(__name__)

PAGE_BYTES = 10_000_000
"""Largest page: what the rest of it leaves of that is for the viewer's records."""
LEAST_RECORD_BYTES = 500_000
"""What the viewer's records get even if the rest of the page is larger."""
MARGIN_BYTES = 20_000
"""Left free, for what is only known when the records are: counts, the step."""


def build_report(
    config: Config,
    *,
    tables: str | Path,
    data: Mapping[str, Path],
    samples: Mapping[Model, Path],
    models: Mapping[Model, Path],
    out: str | Path,
    git: GitState | None,
    beside: bool = True,
    ecgs: bool = True,
) -> None:
    """Write the report, and beside it what can be taken away and the blind test.

    Beside the page lie ``tables/`` (Parquet, CSV, LaTeX, a data dictionary), ``figures/`` and ``closeness/<dataset>/``
    (SVG, PDF), ``methods.md`` and ``methods.tex`` with ``references.bib``, ``blind.html`` and ``blind_key.json``.

    Args:
        config: the study.
        tables: folder of the tables, all of :data:`ecgpipe.tables.names.TABLES`.
        data: folder of each dataset, by name, members of merges among them.
        samples: folder of the samples of each (dataset, generator); what is missing is named in the report.
        models: folder of each trained generator, by (dataset, generator); those without a history are left out.
        out: the HTML file.
        git: of :func:`ecgpipe.report.provenance.git_state`; None if the study was not run from a checkout.
        beside: whether to write what can be taken away, too.
        ecgs: whether to show records; without, the page holds no signals, and there is no blind test.

    Raises:
        FileNotFoundError: if a table or a dataset is missing.
    """
    inputs = Inputs(config, Path(tables), data, samples, models, git, ecgs)
    environment = _environment()
    compared = closeness.section(inputs.tables, list(inputs.data), inputs.classes, LEADS)
    judged = write_blind_test(inputs, Path(out).with_name("blind.html"), Path(out).with_name("blind_key.json"))
    script = scripts.script("page.js", "ecg.js", "pane.js", "viewer.js")
    fixed = {
        "style": _style("style.css", "viewer.css"),
        "script": script,
        "policy": scripts.policy(script),
        "config": config,
        "statistics": config.statistics,
        "level": f"{100 * config.statistics.confidence:g} %",
        "metric": METRIC_NAMES[PRIMARY],
        "metrics": [METRIC_NAMES[name] for name in COMPARED],
        "added": added(config.experiments.ratios),
        "baselines": [(BASELINE_NAMES[name], BASELINE_MEANINGS[name]) for name in config.experiments.baselines],
        "simulated": inputs.simulated,
        "classes": inputs.classes,
        "names": spelt_out(inputs.classes),
        "tabs": len(PICTURES),
        "missing": missing(inputs),
        "answer": answer(inputs),
        "data": records(inputs),
        "blind": judged,
        "ecgs": ecgs,
        "examples": examples(inputs),
        "results": results(inputs),
        "comparisons": comparisons(inputs),
        "closeness": compared,
        "training": training(inputs),
        "runtime": runtime(inputs),
        "made": made(inputs),
        "tables": take_away(inputs),
        "methods": {"text": (text := methods_text(inputs)), "pieces": linked(text)},
    }
    if beside:
        write_beside(inputs, fixed, Path(out).parent)
    template = environment.get_template("template.html.j2")
    empty = {"most": 0, "step": 0.0, "unshown_pairs": 1, "unshown_nearest": 1}
    rest = len(template.render(**fixed, viewer=empty, ecg_data="").encode())
    viewer = viewer_data(inputs, max(PAGE_BYTES - MARGIN_BYTES - rest, LEAST_RECORD_BYTES))
    page = template.render(**fixed, viewer=viewer, ecg_data=viewer and scripts.data(viewer))
    write_text(out, page)
    log.info("%s: %.1f MB", out, len(page.encode()) / 1e6)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ecgpipe.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = lambda words: words[:1].upper() + words[1:]
    environment.filters["image"] = image
    environment.filters["code"] = _code
    environment.filters["breakable"] = lambda name: escape(name).replace("_", Markup("_<wbr>"))
    return environment


def _code(text: str) -> Markup:
    """Return a sentence with the words between backquotes set as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        part if place % 2 == 0 else Markup("<code>{}</code>").format(part) for place, part in enumerate(parts)
    )


def _style(*names: str) -> Markup:
    """Return the package's own style sheets."""
    text = "".join((Path(__file__).parent / name).read_text(encoding="utf-8") for name in names)
    return Markup(text)  # noqa: S704 - the package's own files


def write_blind_test(inputs: Inputs, page: Path, key: Path, *, each: int = EACH, seed: int | None = None) -> int:
    """Write the page of the blind test and its key.

    Args:
        inputs: the study's results.
        page: HTML file to write.
        key: JSON file to write; without records for a test, an empty one.
        each: synthetic records of each generator and rhythm.
        seed: decides which records are shown, and in which order; the study's if not given.

    Returns:
        The number of its ECGs.
    """
    test, answers = blind_test(inputs, each, seed) or (None, None)
    script = scripts.script("ecg.js", "pane.js", "blind.js")
    html = (
        _environment()
        .get_template("blind.html.j2")
        .render(
            style=_style("style.css", "viewer.css"),
            script=script,
            policy=scripts.policy(script),
            config=inputs.config,
            simulated=inputs.simulated,
            test=test,
            data=test and scripts.data(test),
        )
    )
    write_text(page, html)
    write_key(key, answers)
    return len(test["records"]) if test else 0
