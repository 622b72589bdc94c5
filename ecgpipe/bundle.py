"""A finished run as one archive for others: a Workflow Run RO-Crate, without any signals.

Profile: Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5), Leo et al., PLoS ONE 19(9): e0309210, 2024.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgpipe.cards import card
from ecgpipe.config import Config, validate
from ecgpipe.files import atomic_path, read_json, write_text
from ecgpipe.report.provenance import GitState, config_text, git_state
from ecgpipe.report.run import build_report
from ecgpipe.runs import finished, provenances
from ecgpipe.workflow.checksums import checksum_file
from ecgpipe.workflow.code_digest import PACKAGE_ROOT
from ecgpipe.workflow.layout import Layout

PROFILES = (
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
NO_SIGNALS = (
    "No signals are in this bundle: no raw records, no prepared records, no synthetic ECGs, and no weights that could "
    "draw them. The report is that of the study without its pictures of ECGs and its blind test."
)
_TYPES = {
    ".html": "text/html",
    ".md": "text/markdown",
    ".json": "application/json",
    ".csv": "text/csv",
    ".tex": "text/x-tex",
    ".bib": "text/x-bibtex",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".yaml": "application/yaml",
    ".parquet": "application/vnd.apache.parquet",
}
_SIGNALS_OF_THE_REPORT = ("blind.html", "blind_key.json")


class BundleError(Exception):
    """A run that cannot be bundled; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """A finished run, and what its bundle says of it.

    Attributes:
        results: folder of its results.
        config: the configuration that ran, without passwords.
        began, ended: of its first and its last job, ISO 8601.
        git: state of the checkout now; None if there is none.
    """

    results: Path
    config: Config
    began: str
    ended: str
    git: GitState | None

    @classmethod
    def of(cls, folder: str | Path) -> Run:
        """Read a run from a study's folder, or its folder of results.

        Raises:
            RunError: if it is no finished run.
            ConfigError: if its configuration is not one of this version of ecgpipe.
        """
        results = finished(Path(folder))
        made = read_json(results / "report" / "provenance.json")
        config = validate(made["settings"])
        spans = [_span(read_json(path)) for path in provenances(results, config.raw_dir)]
        began, ended = min(began for began, _ in spans), max(ended for _, ended in spans)
        return cls(results, config, began.isoformat(), ended.isoformat(), git_state(PACKAGE_ROOT))

    @property
    def commit(self) -> str:
        """The commit of the code, in words."""
        if self.git is None:
            return "not known: ecgpipe was not run from a git checkout"
        changed = f", with {self.git['changed']} files changed since" if self.git["changed"] else ""
        return f"{self.git['commit']}{changed}"


def _span(made: dict[str, Any]) -> tuple[datetime.datetime, datetime.datetime]:
    """Return when a job began and ended, from its provenance."""
    ended = datetime.datetime.fromisoformat(made["ended"])
    return (ended - datetime.timedelta(seconds=made["seconds"])).replace(microsecond=0), ended


def write_ro_crate(folder: str | Path, out: str | Path, *, licence: str, author: str | None = None) -> list[str]:
    """Write a finished run as a ZIP archive that is a Workflow Run RO-Crate.

    It holds the configuration, the pinned versions, the workflow, the tables, the report, a card of each model, dataset
    and synthetic set, and the provenance and checksums of every job. It holds no signals.

    Args:
        folder: a study's folder, or its folder of results.
        out: the archive.
        licence: address of the licence under which the bundle is given.
        author: name of who ran the study.

    Returns:
        Paths of the files in it.

    Raises:
        RunError, ConfigError: as :meth:`Run.of` says.
        BundleError: if the workflow's files are not installed.
    """
    run = Run.of(folder)
    if not (PACKAGE_ROOT / "Snakefile").exists():
        raise BundleError(f"{PACKAGE_ROOT} has no Snakefile: install ecgpipe from a clone (pip install -e .)")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        _collect(run, root)
        crate = _crate(run, root, licence, author)
        with tempfile.TemporaryDirectory() as other, atomic_path(out) as half:
            archive = Path(other) / "crate.zip"  # rocrate wants this ending
            crate.write_zip(archive)
            shutil.copyfile(archive, half)
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def _collect(run: Run, root: Path) -> None:
    """Write all files of the bundle below ``root``."""
    study = Layout(run.config)
    data, samples, models = (dict(_folders(run.results, kind, study)) for kind in ("data", "samples", "generators"))
    build_report(
        run.config,
        tables=run.results / "tables",
        data={dataset: path for (dataset, _), path in data.items()},
        samples=samples,
        models=models,
        out=root / "report" / "index.html",
        git=run.git,
        ecgs=False,
    )
    for name in _SIGNALS_OF_THE_REPORT:
        (root / "report" / name).unlink()
    for kind, folders in (("datasets", data), ("samples", samples), ("models", models)):
        for names, path in folders.items():
            write_text(root / "cards" / kind / f"{'/'.join(filter(None, names))}.md", card(path))
    for path in provenances(run.results, run.config.raw_dir):
        inside = path.is_relative_to(run.results)
        place = root / "provenance" / (path.relative_to(run.results) if inside else Path("raw") / path.name)
        _copy(path, place)
        _copy(checksum_file(path), place.with_name(checksum_file(path).name))
    for path in (PACKAGE_ROOT / "Snakefile", *sorted((PACKAGE_ROOT / "rules").glob("*.smk"))):
        _copy(path, root / "workflow" / path.relative_to(PACKAGE_ROOT))
    _copy(PACKAGE_ROOT / "constraints.txt", root / "constraints.txt")
    write_text(root / "config.yaml", config_text(run.config))
    write_text(root / "README.md", _readme(run))


def _folders(results: Path, kind: str, study: Layout) -> Iterator[tuple[tuple[str, str], Path]]:
    """Yield dataset, generator ("" for real records) and folder of everything of a kind that the study made."""
    cells = {"data": [(name, "") for name in study.datasets], "samples": study.cells, "generators": study.models}
    for dataset, generator in cells[kind]:
        folder = results / kind / dataset / generator
        if (folder / "provenance.json").exists():
            yield (dataset, generator), folder


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _readme(run: Run) -> str:
    return "\n".join(
        [
            f"# {run.config.study.title}",
            "",
            f"A run of ecgpipe {importlib.metadata.version('ecgpipe')}, from {run.began} to {run.ended}, as a Workflow "
            "Run RO-Crate.",
            "",
            NO_SIGNALS,
            "",
            f"Commit of the code when this bundle was made: {run.commit}.",
            "",
            "| what | where |",
            "|---|---|",
            "| the report | `report/index.html` |",
            "| the tables (Parquet, CSV, LaTeX) with a data dictionary | `report/tables/` |",
            "| the configuration that ran, with all defaults | `config.yaml` |",
            "| the workflow, and the tested versions of all packages | `workflow/`, `constraints.txt` |",
            "| cards of models, datasets and synthetic sets | `cards/` |",
            "| what made each result, and checksums | `provenance/` |",
            "",
            "To run it again: install that commit of ecgpipe, then `ecgpipe run --configfile config.yaml`.",
            "",
        ]
    )


def _crate(run: Run, root: Path, licence: str, author: str | None) -> Any:
    """Describe the files below ``root``."""
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.person import Person
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")  # what the profiles extend
    crate.name, crate.description = run.config.study.title, f"A run of the workflow ecgpipe. {NO_SIGNALS}"
    crate.datePublished, crate.license = datetime.datetime.fromisoformat(run.ended), licence
    profiles = [
        crate.add(ContextEntity(crate, url, {"@type": "CreativeWork", "name": name, "version": version}))
        for url, name, version in PROFILES
    ]
    crate.root_dataset["conformsTo"] = profiles
    files = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    workflow = crate.add_workflow(
        files.pop("workflow/Snakefile"),
        "workflow/Snakefile",
        main=True,
        lang="snakemake",
        lang_version=importlib.metadata.version("snakemake"),
        properties={
            "name": "ecgpipe",
            "version": run.git["commit"] if run.git else importlib.metadata.version("ecgpipe"),
        },
    )
    added = {place: crate.add_file(path, place, properties=_described(place)) for place, path in files.items()}
    workflow["hasPart"] = [entity for place, entity in added.items() if place.startswith("workflow/")]
    workflow["softwareRequirements"] = list(_software(crate))
    asked = crate.add(ContextEntity(crate, "#config", _parameter("config", "application/yaml")))
    shown = crate.add(ContextEntity(crate, "#report", _parameter("report", "text/html")))
    workflow["input"], workflow["output"] = asked, shown
    added["config.yaml"]["exampleOfWork"], added["report/index.html"]["exampleOfWork"] = asked, shown
    results = [entity for place, entity in added.items() if place.startswith(("report/", "cards/"))]
    action = crate.add(
        ContextEntity(
            crate,
            "#run",
            {
                "@type": "CreateAction",
                "name": f"Run of ecgpipe: {run.config.study.name}",
                "description": f"Commit of the code when this bundle was made: {run.commit}.",
                "startTime": run.began,
                "endTime": run.ended,
                "actionStatus": "http://schema.org/CompletedActionStatus",
            },
        )
    )
    action["instrument"], action["object"], action["result"] = workflow, added["config.yaml"], results
    if author is not None:
        person = crate.add(Person(crate, "#author", {"name": author}))
        action["agent"] = crate.root_dataset["author"] = person
    crate.root_dataset["mentions"] = action
    return crate


def _parameter(name: str, encoding: str) -> dict[str, Any]:
    profile = {"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"}
    return {
        "@type": "FormalParameter", "additionalType": "File", "name": name, "encodingFormat": encoding,
        "conformsTo": profile, "valueRequired": True,
    }  # fmt: skip


def _described(place: str) -> dict[str, Any]:
    kind = _TYPES.get(Path(place).suffix)
    return {"name": place, **({"encodingFormat": kind} if kind else {})}


def _software(crate: Any) -> Iterator[Any]:
    """Yield the programs that ran."""
    from rocrate.model.contextentity import ContextEntity

    found = {name: importlib.metadata.version(name) for name in ("ecgpipe", "snakemake", "torch", "numpy", "pandas")}
    for name, version in {"python": platform.python_version(), **found}.items():
        about = {"@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        yield crate.add(ContextEntity(crate, f"#{name}", about))
