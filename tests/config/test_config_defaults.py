"""No default of the configuration decides a result unseen: whoever changes one changes the parameters of some job."""

from __future__ import annotations

import ast
import contextlib
import copy
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ecgpipe.config import Config, ConfigError, Section, validate
from ecgpipe.workflow.code_digest import closure
from ecgpipe.workflow.jobs import JOBS
from ecgpipe.workflow.study import Study

ROOT = Path(__file__).resolve().parents[2]


def parameters(study: Study) -> dict[str, str]:
    """Return what Snakemake compares of each job of a study, code apart, by the job's name."""
    names = [kind.name.format(**wildcards) for kind, wildcards in study.table_jobs]
    found = {"tables": f"{study.tables()} {names}", "report": study.described}
    for name in names:
        stage, dataset, *rest = name.split("/")
        if stage == "acquire":
            found[name] = f"{study.raw} {study.acquisition(dataset)}"
        elif stage == "preprocess":
            found[name] = study.preprocessing(dataset)
        elif stage == "rotate":
            found[name] = str(study.rotation(dataset))
        elif stage in ("merge", "pool"):
            found[name] = f"{study.members(dataset)} {study.config.generators}"
        elif stage == "generate":
            found[name] = study.training(dataset, rest[0])
        elif stage == "sample":
            found[name] = study.sampling(dataset, rest[0])
        elif stage == "closeness":
            found[name] = study.closeness()
        elif rest[-1].startswith("for_"):
            found[name] = study.pretraining(rest[-1].removeprefix("for_"))
        else:
            experiment = "cross" if rest[-1].startswith("with_") else rest[-1]
            found[name] = study.classification(dataset, "transfer" if experiment.startswith("from_") else experiment)
    return found


def _inner_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _models(annotation)
    for argument in typing.get_args(annotation):
        yield from _inner_models(argument)


def _models(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return a model after all models that its fields name."""
    inner = [found for field in model.model_fields.values() for found in _inner_models(field.annotation)]
    return [*dict.fromkeys(inner), model]


MODELS = {model.__name__: model for model in _models(Config)}
KEYS = [
    f"{name}.{key}" for name, model in MODELS.items() for key, f in model.model_fields.items() if not f.is_required()
]

PTBXL = {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}
CHAPMAN = {"kind": "physionet", "slug": "ecg-arrhythmia", "version": "1.0.0"}
FOLDER = {"kind": "folder", "path": "/data/records"}
SIMULATED = {"kind": "simulated", "records": 100, "seed": 1}


def _with_merge(source: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return the datasets ``p``, from a source, ``c`` and their merge ``m``; ``settings`` are of the first two."""
    return {
        "p": {"format": "ptbxl", "source": source, **settings},
        "c": {"format": "ecg_arrhythmia", "source": CHAPMAN, **settings},
        "m": {"merge": ["p", "c"]},
    }


def _alone(format: str, source: dict[str, Any]) -> dict[str, Any]:
    return {"datasets": ["d"], "dataset_settings": {"d": {"format": format, "source": source}}}


STUDY: dict[str, Any] = {
    "datasets": ["p", "c", "m"],
    "dataset_settings": _with_merge(PTBXL),
    "generators": ["diffwave", "class_mean_pca"],
}
"""Two hospitals and their merge, two generators, and nothing else that need not be said."""

STUDIES: dict[str, dict[str, Any]] = {
    "ClassifierSettings": {"classifiers": {"cnn": {}}},
    "WangSettings": {"classifiers": {"cnn": {"kind": "resnet1d_wang"}}},
    "XResNetSettings": {"classifiers": {"cnn": {"kind": "xresnet1d"}}},
    "OwnClassifierSettings": {"classifiers": {"cnn": {"class": "own:Net"}}},
    "GeneratorSettings": {"generator_settings": {"diffwave": {}}},
    "FolderSource": {"dataset_settings": _with_merge(FOLDER)},
    "SimulatedSource": {"dataset_settings": _with_merge(SIMULATED)},
    "DatasetSettings.classifier": {"classifiers": {"cnn": {}, "other": {"blocks": 3}}},
    "DatasetSettings.subset": _alone("ecg_arrhythmia", CHAPMAN),
    "DatasetSettings.folder": _alone("challenge", FOLDER),
    "DatasetSettings.folds": _alone("ptbxl", PTBXL),
    "DatasetSettings.training_share": _alone("ptbxl", PTBXL),
    "DatasetSettings.rotate": _alone("ptbxl", PTBXL),
    "DatasetSettings.shares": _alone("ecg_arrhythmia", CHAPMAN),
    "DatasetSettings.synthetic": {"dataset_settings": _with_merge(PTBXL, synthetic="union")},
}
"""What :data:`STUDY` needs besides, for a model or for one of its keys, so that the key counts and is not set."""

OTHER_VALUES: dict[str, list[Any]] = {
    "Quality.amplitude_mv": [[0.2, 8.0]],
    "Filtering.band_pass_hz": [[1.0, 20.0]],
    "Filtering.notch_hz": [50.0],
    "PhysioNetSource.limit": [100],
    "PhysioNetSource.records": [["00001"]],
    "PhysioNetSource.base_url": ["https://mirror.example"],
    "FolderSource.limit": [100],
    "FolderSource.records": [["00001"]],
    "SimulatedSource.class_mix": [{"SR": 1.0}],
    "DatasetSettings.format": ["ptbxl", "ecg_arrhythmia", "challenge"],
    "DatasetSettings.source": [MODELS["SimulatedSource"](**SIMULATED)],
    "DatasetSettings.subset": ["chapman"],
    "DatasetSettings.folder": ["training"],
    "DatasetSettings.merge": [["p", "c"]],
    "DatasetSettings.folds": [MODELS["Folds"](train=[1, 2, 3, 4, 5, 6], validation=[7, 8], test=[9, 10])],
    "DatasetSettings.training_share": [0.1],
    "DatasetSettings.rotate": [5],
    "DatasetSettings.shares": [MODELS["Shares"](train=0.6, validation=0.2, test=0.2)],
    "DatasetSettings.classifier": ["other"],
    "GeneratorSettings.class_": ["own.module:Generator"],
    "GeneratorSettings.train": [{"steps": 7}],
    "GeneratorSettings.train_by_dataset": [{"p": {"steps": 7}}],
    "GeneratorSettings.sample": [{"evaluations": 7}],
    "Samples.counts": [{"SR": 100}],
    "ClassifierSettings.steps": [100],
    "WangSettings.steps": [100],
    "XResNetSettings.steps": [100],
    "OwnClassifierSettings.steps": [100],
    "OwnClassifierSettings.network": [{"width": 7}],
    "Transfer.methods": [["finetuned"]],
    "Experiments.ratios": [["balance"]],
    "Experiments.baselines": [["mixup"]],
    "Experiments.generator_repetitions": [5],
    "Leads.aliases": [{"channel 1": "I"}],
    "Config.leads": [MODELS["Leads"](aliases={"channel 1": "I"})],
    "Config.generator_settings": [{"diffwave": MODELS["GeneratorSettings"](train={"steps": 7})}],
    "Config.classifiers": [{"cnn": MODELS["ClassifierSettings"](blocks=3)}],
    "Compute.stacked": [2],
}
"""Defaults to change to, for keys whose present default does not suggest one."""

READ_BY: dict[str, set[str]] = {
    "StudySettings": set(),
    "SignalSettings": {"acquire", "preprocess"},
    "Quality": {"preprocess"},
    "Filtering": {"preprocess"},
    "Leads": {"preprocess"},
    "Preprocess": {"preprocess"},
    "PhysioNetSource": {"acquire", "preprocess"},
    "FolderSource": {"acquire", "preprocess"},
    "SimulatedSource": {"acquire", "preprocess"},
    "DatasetSettings": {"acquire", "preprocess"},
    "DatasetSettings.classifier": {"classify"},
    "DatasetSettings.folds": {"preprocess"},
    "DatasetSettings.shares": {"preprocess"},
    "DatasetSettings.training_share": {"preprocess", "tables"},
    # Further rotations have jobs of their own.
    "DatasetSettings.rotate": {"preprocess", "rotate", "generate", "sample", "classify", "tables"},
    # The merge has a generator of its own, in place of the members' samples together.
    "DatasetSettings.synthetic": {"generate", "sample", "pool", "tables"},
    "GeneratorSettings.class_": {"generate", "sample"},
    "GeneratorSettings.train": {"generate"},
    "GeneratorSettings.train_by_dataset": {"generate"},
    "GeneratorSettings.sample": {"sample"},
    "Samples": {"sample"},
    "ClassifierSettings": {"classify"},
    "WangSettings": {"classify"},
    "XResNetSettings": {"classify"},
    "OwnClassifierSettings": {"classify"},
    "Transfer.fractions": {"classify", "tables"},
    "Transfer.methods": {"classify"},
    "Transfer.from_real": {"classify", "tables"},
    "Experiments.settings": {"classify", "tables"},
    "Experiments.fractions": {"classify", "tables"},
    "Experiments.ratios": {"classify"},
    "Experiments.baselines": {"classify", "tables"},
    # Further jobs; those of classifiers have the files of further samples as inputs.
    "Experiments.generator_repetitions": {"generate", "sample", "pool", "tables"},
    "Experiments.pooled": {"pool", "classify", "tables"},
    "Experiments.cross": {"classify", "tables"},
    "Experiments.transfer": {"classify", "tables"},
    "Experiments.seeds": {"classify"},
    "Statistics.confidence": {"closeness", "tables"},
    "Statistics.bootstrap": {"tables"},
    "Closeness": {"closeness"},
    "Config.study": set(),
    "Config.seed": {"generate", "sample", "closeness", "tables"},
    "Config.raw_dir": {"acquire"},
    "Config.signal": {"acquire", "preprocess"},
    "Config.leads": {"preprocess"},
    "Config.preprocess": {"preprocess"},
    "Config.generator_settings": {"generate"},
    "Config.samples": {"sample"},
    "Config.classifiers": {"classify"},
    "Config.experiments": {"classify", "tables"},
    "Config.statistics": {"closeness", "tables"},
    "Config.closeness": {"closeness"},
}
"""The stages whose jobs have a key, or all keys of a model, as parameters. The report shows every key."""

WITHOUT_EFFECT = {
    # How files are reached: their sums pin the data.
    "PhysioNetSource.base_url",
    "PhysioNetSource.transport",
    "PhysioNetSource.connections",
    # How jobs use the machine. Networks train on one thread, and draw the same noise in any number of processes. Those
    # of a stack are what they are alone, to the rounding by which a GPU differs from a CPU, which no job has either.
    "Compute.threads",
    "Compute.workers",
    "Compute.processes",
    "Compute.stacked",
    "Config.compute",
}
"""Keys that change no result, and so are parameters of no job but the report."""

NEVER_ACCEPTED = {
    "ClassifierSettings.kind",  # there is one value
    "OwnClassifierSettings.kind",
    # A dataset has these or is a merge, so that no default but null can be right for all.
    "DatasetSettings.format",
    "DatasetSettings.source",
    "DatasetSettings.merge",
}
"""Keys whose default cannot change: every other one is refused."""


def _other_values(field: FieldInfo) -> Iterator[Any]:
    """Yield values that a field might have in place of its default."""
    default = field.get_default(call_default_factory=True)
    if isinstance(default, bool):
        yield not default
    elif isinstance(default, int | float):
        steps = (1, 2, -1) if isinstance(default, int) else (0.25, -default / 2, (1 - default) / 2)
        yield from (default + step for step in steps)
    elif isinstance(default, str):
        yield f"{default}_2"
    elif isinstance(default, list):
        yield from (default[:-1], default[1:])
    elif isinstance(default, Section):
        for name in type(default).model_fields:
            yield from (default.model_copy(update={name: value}) for value in _valid_values(type(default), name))
    yield from typing.get_args(field.annotation)  # of a Literal; what is none is no valid value


def _valid_values(model: type[BaseModel], name: str) -> Iterator[Any]:
    """Yield other values than its default that a field's own constraints allow."""
    field = model.model_fields[name]
    default = field.get_default(call_default_factory=True)
    adapter = TypeAdapter[Any](Annotated[(field.annotation, name, *field.metadata)])
    for value in OTHER_VALUES.get(f"{model.__name__}.{name}") or _other_values(field):
        try:
            valid = adapter.validate_python(value, strict=True)
        except ValidationError:
            continue
        if valid != default:
            yield valid


def _instances(value: Any) -> Iterator[BaseModel]:
    if isinstance(value, BaseModel):
        yield value
        value = dict(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _instances(inner)


def _raw(key: str) -> dict[str, Any]:
    """Return a study in which a key of a model counts and is not set."""
    raw = copy.deepcopy(STUDY | STUDIES.get(key.split(".")[0], {}) | STUDIES.get(key, {}))
    model, name = key.split(".")
    users = [part for part in _instances(validate(raw)) if type(part).__name__ == model]
    assert any(name not in part.model_fields_set for part in users), f"the test's study does not leave out {key}"
    return raw


def _parameters(raw: dict[str, Any]) -> dict[str, str]:
    return parameters(Study(validate(raw), ROOT / "workflow_scripts"))


@pytest.fixture
def set_default() -> Iterator[Callable[[str, Any], None]]:
    """Give a function that changes the default of a key of a model, until the test's end."""
    before = {name: dict(model.model_fields) for name, model in MODELS.items()}

    def rebuild() -> None:
        for model in MODELS.values():
            model.model_rebuild(force=True)

    def change(key: str, value: Any) -> None:
        model, name = key.split(".")
        changed = copy.copy(before[model][name])
        changed.default, changed.default_factory = value, None
        MODELS[model].model_fields[name] = changed
        rebuild()

    yield change
    for name, fields in before.items():
        MODELS[name].model_fields.update(fields)
    rebuild()


@pytest.mark.parametrize("key", KEYS)
def test_a_changed_default_changes_the_parameters_of_the_jobs_that_read_it(
    key: str, set_default: Callable[[str, Any], None]
) -> None:
    raw = _raw(key)
    before = _parameters(raw)
    model, name = key.split(".")
    after: dict[str, str] = {}
    for value in _valid_values(MODELS[model], name):
        set_default(key, value)
        with contextlib.suppress(ConfigError):
            after = _parameters(raw)
            break
    if key in NEVER_ACCEPTED:
        assert not after
        return
    assert after, "no other default is accepted: OTHER_VALUES must give one that is"
    changed = {name.split("/")[0] for name in {*before, *after} if before.get(name) != after.get(name)}
    expected = set() if key in WITHOUT_EFFECT else READ_BY[key if key in READ_BY else model]
    assert changed == expected | {"report"}


def test_every_key_that_is_named_here_is_one() -> None:
    named = {*WITHOUT_EFFECT, *NEVER_ACCEPTED, *OTHER_VALUES, *(key for key in {*READ_BY, *STUDIES} if "." in key)}
    assert named <= set(KEYS)


LOGIC = {
    "Config.generator",  # gives parameters; jobs do not have it
    "FolderSource.connections",  # how many files are copied at once
    "ClassifierSettings.shortest_record",  # of a check
    "WangSettings.shortest_record",
    "XResNetSettings.shortest_record",
    "OwnClassifierSettings.shortest_record",
}
"""What settings compute, though no digest follows them: nothing of it decides a result."""


def test_settings_compute_nothing_else() -> None:
    own = {
        f"{name}.{attribute}"
        for name, model in MODELS.items()
        for attribute in dir(model)
        if not attribute.startswith("_") and attribute not in model.model_fields and not hasattr(BaseModel, attribute)
    }
    assert own == LOGIC


def _job_modules() -> list[Path]:
    """Return what some job's digest follows: its script, every generator, and all that these reach by import."""
    generators = sorted((ROOT / "ecgpipe" / "generate").rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in generators]
    scripts = [ROOT / "workflow_scripts" / f"{kind.script}.py" for kind in JOBS.values()]
    return sorted({path for script in scripts for path in closure(script, names).values()})


def _calls(tree: ast.Module) -> Iterator[tuple[str, set[str]]]:
    """Yield the models of the configuration that code imports and calls, and the keywords that it gives them."""
    imported = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ecgpipe.config")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = imported.get(node.func.id)
            if name in MODELS:
                yield name, {keyword.arg for keyword in node.keywords if keyword.arg is not None}


def test_code_of_jobs_takes_no_default_from_the_configuration() -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in _job_modules()}
    in_jobs = {"workflow_scripts/report.py", "ecgpipe/generate/diffwave.py", "ecgpipe/preprocess/run.py"}
    assert in_jobs <= modules
    assert not {"ecgpipe/judge/utility.py", "ecgpipe/inspection.py"} & modules  # they serve commands only
    lacking = {
        (path.relative_to(ROOT).as_posix(), name): missing
        for path in _job_modules()
        for name, given in _calls(ast.parse(path.read_text()))
        if (missing := {*MODELS[name].model_fields} - given)
    }
    assert not lacking


def test_what_digests_follow_holds_no_text_and_leads_to_no_other_module_of_the_package() -> None:
    path = ROOT / "ecgpipe" / "config" / "derived.py"
    nodes = list(ast.walk(ast.parse(path.read_text())))
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings]
    # Numbers are those of formulas.
    assert [text for text in texts if isinstance(text, str) and not text.isidentifier()] == []
    reached = closure(None, ["ecgpipe.config.derived"])
    assert [name for name in reached if name.startswith("ecgpipe.config")] == ["ecgpipe.config.derived"]


@pytest.mark.parametrize("script", ["preprocess", "export_wfdb", "report"])
def test_digests_follow_what_jobs_compute_from_settings(script: str) -> None:
    assert "ecgpipe.config.derived" in closure(ROOT / "workflow_scripts" / f"{script}.py")
