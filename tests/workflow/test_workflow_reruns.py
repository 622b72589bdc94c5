"""What an edit reruns: precisely what depends on it. Each row is a real dry run on the finished tiny study."""

from __future__ import annotations

import ast
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkout import Checkout, copy_project

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

TABLES = {"result_tables": 1, "report_page": 1}
REPORT = {"report_page": 1}
TRANSFER = {"classify_transfer": 3, **TABLES}
SYNTHETIC = {"classify_augmentation": 3, **TRANSFER}
COMPARED = {"closeness_generator": 3, "closeness_tables": 1, **TABLES}
CONTROLS = {"closeness_controls": 3}
SAMPLES = {"sample": 2, "pool": 1, **SYNTHETIC, **COMPARED}
GENERATORS = {"generate": 2, **SAMPLES}
BASELINES = {"classify_baselines": 3}
CLASSIFIERS = {"classify_real": 3, **BASELINES, **SYNTHETIC, **COMPARED, **CONTROLS}
TINY = "configs/tiny.yaml"

EDITS = {
    "nothing": ((), {}),
    "a generator's code": (
        ("ecgpipe/generate/diffwave.py", "\n\n\nclass ", "\n\n\nEDITED = 1\n\n\nclass "),
        GENERATORS,
    ),
    "a generator's comment": (("ecgpipe/generate/diffwave.py", "\nclass ", "\n# a comment\nclass "), {}),
    "a generator's training": ((TINY, "steps: 6", "steps: 7"), GENERATORS),
    "the seed": ((TINY, "signal:", "seed: 5\nsignal:"), {**GENERATORS, **CONTROLS}),
    "the shared sampler": (("ecgpipe/generate/samplers.py", "\n\n\ndef ", "\n\n\nEDITED = 1\n\n\ndef "), GENERATORS),
    "the sampler's settings": ((TINY, "evaluations: 3", "evaluations: 4"), SAMPLES),
    "the number of samples": ((TINY, "number: 70", "number: 77"), SAMPLES),
    "the classifier's code": (("ecgpipe/classify/cnn.py", "\n\n\nclass ", "\n\n\nEDITED = 1\n\n\nclass "), CLASSIFIERS),
    "the classifier's settings": ((TINY, "channels: 4", "channels: 5"), CLASSIFIERS),
    "a metric": (("ecgpipe/classify/metrics.py", "\n\n\ndef ", "\n\n\nEDITED = 1\n\n\ndef "), TABLES),
    "the statistics": ((TINY, "bootstrap: 100", "bootstrap: 101"), TABLES),
    "the report's template": (("ecgpipe/report/template.html.j2", "</body>", "<p>x</p></body>"), REPORT),
    "the title": ((TINY, "title: Tiny", "title: Teeny"), REPORT),
    "a fraction of the transfer": ((TINY, "    fractions: [0.5]", "    fractions: [1.0]"), TRANSFER),
    "one more seed": ((TINY, "seeds: [0, 1]", "seeds: [0, 1, 2]"), CLASSIFIERS),
    "one seed less": ((TINY, "seeds: [0, 1]", "seeds: [0]"), CLASSIFIERS),
    "a setting more": ((TINY, "[TrRTeR, TrSTeR, TrRSTeR]", "[TrRTeR, TrSTeR, TrRSTeR, TrSTeS]"), SYNTHETIC),
    "the number of workers": ((TINY, "workers: 2", "workers: 1"), REPORT),
    "a setting less": ((TINY, "[TrRTeR, TrSTeR, TrRSTeR]", "[TrRTeR, TrSTeR]"), SYNTHETIC),
    "a share of the classifiers": ((TINY, "fractions: [0.5, 1.0]", "fractions: [1.0]"), {**BASELINES, **SYNTHETIC}),
    "a simple baseline more": ((TINY, "[oversampling]", "[oversampling, mixup]"), {**BASELINES, **TABLES}),
    "no simple baseline": ((TINY, "[oversampling]", "[]"), TABLES),
    "a second repetition of the generators": (
        (TINY, "  seeds: [0, 1]", "  generator_repetitions: 2\n  seeds: [0, 1]"),
        {"generate": 2, "sample": 2, "pool": 1, **SYNTHETIC},
    ),
    "another generator in its place": (
        (TINY, "generators: [diffwave]", "generators: [class_mean_pca]"),
        {**GENERATORS},
    ),
    "one more generator": ((TINY, "generators: [diffwave]", "generators: [diffwave, class_mean_pca]"), GENERATORS),
    "another generator's code": (
        ("ecgpipe/generate/time_vqvae.py", "\n\n\nclass ", "\n\n\nEDITED = 1\n\n\nclass "),
        {},
    ),
    "a message of what runs jobs": (
        ("ecgpipe/workflow/locks.py", "another start of this job is running", "this job was started twice"),
        {},
    ),
    "the code that runs jobs": (("ecgpipe/workflow/running.py", "\n\n\ndef ", "\n\n\nEDITED = 1\n\n\ndef "), {}),
    "what only describes results": (
        ("ecgpipe/workflow/provenance.py", "\n\n\ndef ", "\n\n\nEDITED = 1\n\n\ndef "),
        {},
    ),
    "the label map": (
        ("ecgpipe/preprocess/rhythms7.csv", "SBRAD,", "SBRAD ,"),
        {"preprocess": 2, "merge": 1, **CLASSIFIERS, **GENERATORS},
    ),
    "a docstring of the data's code": (("ecgpipe/files.py", '"""Write UTF-8 text', '"""Write a UTF-8 text'), {}),
    "a default in the config's model": (
        ("ecgpipe/config/sections/classifiers.py", "dropout: float = Field(0.25", "dropout: float = Field(0.3"),
        {**CLASSIFIERS},
    ),
    "a description in the config's model": (("ecgpipe/config/sections/study.py", "Title of the report.", "Title."), {}),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_what_depends_on_it(checkout: Checkout, name: str) -> None:
    edit, expected = EDITS[name]
    if edit:
        checkout.edit(*edit)
    assert checkout.pending("all") == expected


def test_removing_a_dataset_leaves_the_others(checkout: Checkout) -> None:
    checkout.edit(TINY, "datasets: [demo_ptbxl, demo_chapman, demo_merged]", "datasets: [demo_ptbxl, demo_merged]")
    assert checkout.pending("all") == {**TABLES, "closeness_tables": 1}


def test_removing_a_generator_leaves_the_others(checkout: Checkout) -> None:
    """The second generator's results are copies of the first's, taken for its own: here only who reruns matters."""
    checkout.edit(TINY, "generators: [diffwave]", "generators: [diffwave, class_mean_pca]")
    folders = [p for p in checkout.folder.glob("results/**/diffwave") if p.is_dir()]
    for path in [*folders, *checkout.folder.glob("results/**/diffwave.*")]:
        other = path.with_name(path.name.replace("diffwave", "class_mean_pca"))
        if path.is_dir():
            shutil.copytree(path, other)
        else:
            shutil.copy2(path, other)
    checkout.snakemake("all", "--touch", "--forceall")
    assert checkout.pending("all") == {}
    checkout.edit(TINY, "generators: [diffwave, class_mean_pca]", "generators: [diffwave]")
    assert checkout.pending("all") == {**TABLES, "closeness_tables": 1}


def test_adding_a_dataset_trains_just_what_it_needs(checkout: Checkout) -> None:
    checkout.edit(TINY, "datasets: [demo_ptbxl, demo_chapman, demo_merged]", "datasets: [demo_ptbxl, third]")
    checkout.edit(
        TINY,
        "dataset_settings:\n",
        "dataset_settings:\n  third:\n    format: ptbxl\n    source: {kind: simulated, records: 120, seed: 3}\n"
        "    classifier: tiny\n",
    )
    new = ("acquire", "preprocess", "generate", "sample", "classify_real", "classify_augmentation", "classify_transfer")
    new += ("classify_baselines", "closeness_generator", "closeness_controls", "closeness_tables")
    assert checkout.pending("all") == {**dict.fromkeys(new, 1), **TABLES}


def _sources(folder: Path) -> list[Path]:
    return [folder / "Snakefile", *folder.glob("**/*.py"), *folder.glob("rules/*.smk"), folder / TINY]


def _touch(checkout: Checkout) -> None:
    for path in _sources(checkout.folder):
        path.touch()


def _touch_results(checkout: Checkout) -> None:
    """Touch every result, in the order of the data's flow, as a copy without time stamps does."""
    for path in sorted(
        (p for p in checkout.folder.glob("results/**/*") if p.is_file()), key=lambda p: p.stat().st_mtime
    ):
        path.touch()


def _copy_without_time_stamps(checkout: Checkout) -> None:
    """Give every file a time stamp of the last day, as a copy, an unpacked archive or a synchronised folder has it."""
    random = np.random.default_rng(0)
    for path in sorted(p for p in checkout.folder.rglob("*") if p.is_file()):
        seconds = time.time() - random.uniform(0, 86400)
        os.utime(path, (seconds, seconds))


def _lose_bookkeeping(checkout: Checkout) -> None:
    shutil.rmtree(checkout.folder / ".snakemake")


def _reformat(checkout: Checkout) -> None:
    """Write every module anew from its syntax tree, without comments."""
    for path in checkout.folder.glob("**/*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text())))


def _clone(checkout: Checkout) -> None:
    """Put a fresh clone in the checkout's place, with the results kept."""
    kept = checkout.folder.with_name("kept")
    checkout.folder.rename(kept)
    copy_project(checkout.folder)
    (kept / "results").rename(checkout.folder / "results")


@pytest.mark.parametrize(
    "change", [_touch, _touch_results, _copy_without_time_stamps, _lose_bookkeeping, _reformat, _clone]
)
def test_what_changes_no_meaning_reruns_nothing(checkout: Checkout, change: Callable[[Checkout], None]) -> None:
    change(checkout)
    assert checkout.pending("all") == {}


@pytest.mark.parametrize("arguments", [("--cores", "1"), ("--resources", "gpu=1"), ("--resources", "gpu=4")])
def test_another_machine_reruns_nothing(finished: Checkout, arguments: tuple[str, ...]) -> None:
    assert finished.pending("all", *arguments) == {}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("data", {"acquire": 2, "preprocess": 2, "merge": 1, "data": 1}),
        ("generators", {"acquire": 2, "preprocess": 2, "generate": 2, "generators": 1}),
    ],
)
def test_named_targets(checkout: Checkout, target: str, expected: dict[str, int]) -> None:
    shutil.rmtree(checkout.folder / "results")
    assert checkout.pending(target) == expected
