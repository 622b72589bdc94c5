"""The commands in README and docs: those that a finished study can answer are run, all others are ones that exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer.main
import yaml
from checkout import ENVIRONMENT, ROOT, Checkout

from ecgpipe.cli.app import app

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DOCUMENTS = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
RUN_HERE = "docs/commands.md"
NOT_RUN = {
    "ecgpipe run": "what a study does is tested elsewhere",
    "ecgpipe run --configfile configs/physionet.yaml --cores 8 --resources gpu=1": "needs PhysioNet and a GPU",
    "cd my_generator && python -m pytest && ecgpipe run": "a study of its own, in test_workflow_own_classes.py",
}
"""Commands of commands.md that are only looked at."""
INSTEAD = {"/data/our_ecgs": "results/raw/demo_ptbxl", " && ecgpipe run": "", "--open": "", "../first_study": "first"}
"""What stands in a test's place of what a reader has."""


def lines(document: str) -> list[str]:
    """Return the commands of a document, continued lines joined, without comments."""
    text = "\n".join(BLOCK.findall((ROOT / document).read_text(encoding="utf-8")))
    joined = re.sub(r"\\\n\s*", "", text)
    return [line for raw in joined.splitlines() if (line := re.sub(r"(^|\s+)#.*$", "", raw).strip())]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_ours_is_one_that_exists(document: str) -> None:
    root = typer.main.get_command(app)
    for line in lines(document):
        for part in line.split(" && "):
            words = shlex.split(part)
            if words[:1] != ["ecgpipe"]:
                continue
            command, rest, names = root, words[1:], ["ecgpipe"]
            while hasattr(command, "commands") and rest and rest[0] in command.commands:
                command = command.commands[rest[0]]
                names.append(rest.pop(0))
            assert len(names) > 1 or rest[0].startswith("-"), f"{document}: there is no command {part!r}"
            options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            passed_on = command.context_settings.get("ignore_unknown_options", False)
            wrong = [w for w in rest if w.startswith("--") and w.split("=")[0] not in {*options, "--help", "--version"}]
            assert passed_on or not wrong, f"{document}: {' '.join(names)} has no {wrong}"


def sets(folder: Path) -> None:
    """Write what the documents call real.npy, synthetic.npy and train.npy, with their labels."""
    sources = {"real": ("data/demo_ptbxl", "test"), "train": ("data/demo_ptbxl", "train")}
    for name, (source, split) in {**sources, "synthetic": ("samples/demo_ptbxl/diffwave", None)}.items():
        records = pd.read_parquet(folder / "results" / source / "records.parquet")
        rows = np.arange(len(records)) if split is None else np.flatnonzero(records["split"] == split)
        np.save(folder / f"{name}.npy", np.load(folder / "results" / source / "signals.npy")[rows])
        labels = pd.DataFrame({"record": np.arange(len(rows)), "label": records["label"].to_numpy()[rows]})
        labels.to_csv(folder / f"{name}.csv", index=False)


@pytest.mark.long
@pytest.mark.workflow
@pytest.mark.xdist_group("workflow")
def test_the_commands_on_a_finished_study_do_what_they_say(checkout: Checkout) -> None:
    folder = checkout.folder
    shutil.copyfile(folder / "configs" / "tiny.yaml", folder / "config.yaml")
    wide = yaml.safe_load((folder / "config.yaml").read_text())
    wide["study"] = {**wide["study"], "name": "wide", "own_folder": True}
    wide["statistics"] = {**wide.get("statistics", {}), "bootstrap": 150}
    (folder / "wide.yaml").write_text(yaml.safe_dump(wide))
    shutil.copytree(folder / "results", folder / "first")
    sets(folder)
    path = f"{Path(sys.executable).parent}:{ENVIRONMENT['PATH']}"
    environment = {**ENVIRONMENT, "PATH": path, "PYTHONPATH": str(folder)}
    known = set(lines(RUN_HERE))
    assert set(NOT_RUN) <= known
    for line in lines(RUN_HERE):
        if line in NOT_RUN:
            continue
        command = line
        for old, new in INSTEAD.items():
            command = command.replace(old, new)
        done = subprocess.run(
            ["bash", "-ec", command], cwd=folder, env=environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr, f"{line}\n{done.stderr[-3000:]}"
    assert (folder / "judged.html").stat().st_size > 10_000
    assert len(list((folder / "afib_wfdb").rglob("*.hea"))) == 50
    assert len(list((folder / "demo_csv").rglob("*.csv"))) > 50
    assert (folder / "my_generator" / "config.yaml").exists()
    assert (folder / "studies" / "wide" / "report" / "index.html").exists()
