"""Start something of your own: ``ecgpipe init`` and ``ecgpipe new``."""

from __future__ import annotations

import importlib.util
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ecgpipe.cli.options import OWN

CONFIGS = {"demo": "config.yaml", "physionet": "configs/physionet.yaml", "folder": "config.yaml"}
"""Configuration that a study starts from, by where its records come from."""
DATASET = "own"
"""Name of the dataset of a folder of your own."""


class StartError(Exception):
    """Something that cannot be started; the message says what to do."""


class From(StrEnum):
    """Where the records of a study come from."""

    DEMO = "demo"
    PHYSIONET = "physionet"
    FOLDER = "folder"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    example = "ecgpipe init my_study --from folder --records /data/our_ecgs"
    app.command(rich_help_panel=OWN, epilog=f"Example: {example}")(init)
    text = "A generator or a classifier of your own: a folder that runs, with its test."
    group = typer.Typer(help=text, no_args_is_help=True)
    group.command(epilog="Example: ecgpipe new generator my_generator")(generator)
    group.command(epilog="Example: ecgpipe new classifier my_classifier")(classifier)
    app.add_typer(group, name="new", rich_help_panel=OWN)


def _template(name: str) -> str:
    from ecgpipe.workflow.code_digest import PACKAGE_ROOT

    path = PACKAGE_ROOT / name
    if not path.exists():
        raise StartError(f"{path} is missing: install ecgpipe from a clone of its repository (pip install -e .)")
    return path.read_text(encoding="utf-8")


def _new(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StartError(f"{folder} is there already; name a folder that is not, or remove it")
    return folder


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    source: Annotated[From, typer.Option("--from", help="Simulated records, PhysioNet's, or a folder of your own.")],
    records: Annotated[Path | None, typer.Option(help="With --from folder: the folder of WFDB records.")] = None,
) -> None:
    """Make a folder with the configuration of a study, ready for `ecgpipe run`."""
    from ecgpipe.files import write_text

    if (source is From.FOLDER) != (records is not None):
        raise typer.BadParameter("goes with --from folder, and --from folder needs it", param_hint="--records")
    _new(folder)
    text = _template(CONFIGS[source])
    if records is not None:
        text = _of_folder(text, records, folder.resolve().name)
    write_text(folder / "config.yaml", text)
    write_text(folder / ".gitignore", "/results/\n/studies/\n/.snakemake/\n")
    print(f"{folder / 'config.yaml'} describes the study; every key is explained there. Next:\n")
    print(f"  cd {folder}\n  ecgpipe check\n  ecgpipe run")


def _of_folder(text: str, records: Path, name: str) -> str:
    """Return the configuration of a study of a user's own records, commented."""
    import tempfile

    import yaml

    from ecgpipe.config import commented, validate
    from ecgpipe.folders import walk
    from ecgpipe.generate.registry import settings_model
    from ecgpipe.inspection import detect

    if not records.is_dir():
        raise StartError(f"{records} is no folder: name the folder that holds the records")
    files = walk(records).files
    if not any(path.lower().endswith(".hea") for path in files):
        raise StartError(f"{records} holds no WFDB header (*.hea): `ecgpipe inspect {records}` says what is there")
    raw: dict[str, Any] = yaml.safe_load(text)
    raw["study"] = {"title": f"Synthetic ECGs for {name}", "name": re.sub(r"\W+", "_", name) or DATASET}
    raw["datasets"] = [DATASET]
    source = {"kind": "folder", "path": str(records.resolve())}
    raw["dataset_settings"] = {
        DATASET: {"format": detect(files), "source": source, "classifier": next(iter(raw["classifiers"]))}
    }
    validate(raw)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "config.yaml"
        head = f"# A study of the records in {str(records.resolve())!r}, with the demo's generators and classifier.\n"
        path.write_text(head + yaml.safe_dump(raw, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return commented(path, settings_model)


def generator(
    name: Annotated[str, typer.Argument(help="Name of the generator and of its folder: letters, digits, _.")],
) -> None:
    """Make a folder with a generator to start from, a small study of it, and its test."""
    _from_templates("generator", name)


def classifier(
    name: Annotated[str, typer.Argument(help="Name of the classifier and of its folder: letters, digits, _.")],
) -> None:
    """Make a folder with a classifier to start from, a small study with it, and its test."""
    _from_templates("classifier", name)


def _from_templates(kind: str, name: str) -> None:
    """Write the folder of a generator or a classifier of one's own."""
    import jinja2

    from ecgpipe.files import write_text

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise typer.BadParameter(f"{name!r} must begin with a small letter, and have small letters, digits and _ only")
    folder = _new(Path(name))
    found = importlib.util.find_spec(name)
    if name in sys.builtin_module_names or (found is not None and found.origin is not None):
        raise typer.BadParameter(f"{name!r} is the name of a module that Python has already; choose another")
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Python, not HTML
    words = {"name": name, "class_name": "".join(part.capitalize() for part in name.split("_"))}
    targets = {".py.j2": f"{name}.py", "_test.py.j2": f"test_{name}.py", ".yaml.j2": "config.yaml"}
    for ending, target in targets.items():
        write_text(folder / target, environment.get_template(kind + ending).render(words))
    print(f"{folder} holds {name}.py, its test and a small study of it. Next:\n")
    print(f"  cd {folder}\n  python -m pytest    # needs pytest\n  ecgpipe run")
