"""The configuration: one source of truth, and one clear message for each mistake."""

from __future__ import annotations

import copy
import json
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from ecgpipe.config import Config, ConfigError, canonical, commented, json_schema, load, validate
from ecgpipe.config.derived import record_length
from ecgpipe.generate.registry import settings_model

ROOT = Path(__file__).resolve().parents[2]
STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "configs").glob("*.yaml"))]


@pytest.fixture
def raw() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load((ROOT / "config.yaml").read_text()))


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_committed_studies_are_valid_and_their_comments_in_step(path: Path) -> None:
    load(path)
    assert path.read_text() == commented(path, settings_model), "run `make schema`"


def test_comments_keep_the_values(tmp_path: Path) -> None:
    for path in STUDIES:
        copied = tmp_path / path.name
        copied.write_text(commented(path, settings_model))
        assert yaml.safe_load(copied.read_text()) == yaml.safe_load(path.read_text())


def test_schema_file_is_in_step() -> None:
    assert (ROOT / "configs" / "schema.json").read_text() == json_schema(), "run `make schema`"


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_schema_accepts_the_committed_studies(path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(json_schema()))


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for field in model.model_fields.values():
        waiting = [field.annotation]
        while waiting:
            annotation = waiting.pop()
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                found |= _models(annotation)
            waiting.extend(typing.get_args(annotation))
    return found


def test_every_key_is_described() -> None:
    models = _models(Config)
    assert len(models) > 10
    for model in models:
        for key, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{key} has no description"


def _set(raw: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = dotted.split(".")
    for part in path:
        raw = raw[part]
    raw[last] = value


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("signal.rate", "fast", ["signal.rate", "'fast'", "integer"]),
        ("signal.rat", 100, ["signal.rat", "no such key", "100", "rate, seconds"]),
        ("signal.rate", "100", ["signal.rate", "'100'", "integer"]),
        ("signal.seconds", 20.0, ["signal.seconds", "20", "10 s", "demo_ptbxl"]),
        ("preprocess.filters", {"band_pass_hz": [50, 80]}, ["band_pass_hz", "100 Hz", "50 to 80 Hz", "below 50 Hz"]),
        ("signal.seconds", 1.0, ["signal.seconds", "100 samples", "288 samples or more"]),
        ("samples.number", 14, ["samples.number", "14", "greater than or equal to 70"]),
        ("raw_dir", "results/data", ["raw_dir", "results/data"]),
        ("seed", 3.0, ["seed", "3.0", "integer"]),
        ("experiments.seeds", [True], ["experiments.seeds.0", "True", "integer"]),
        ("dataset_settings.demo_ptbxl.source.class_mix", {"STACHY": 3}, ["class_mix.STACHY", "'STACH'"]),
        ("dataset_settings.demo_ptbxl.source.class_mix", {"SR": 0}, ["class_mix", "above 0"]),
        ("dataset_settings.demo_ptbxl.source.colour", 1, ["source.colour", "no such key", "hospital, class_mix"]),
        ("dataset_settings.demo_ptbxl.colour", 1, ["demo_ptbxl.colour", "no such key", "format, source"]),
        ("dataset_settings.demo_ptbxl.synthetic", "trained", ["demo_ptbxl", "synthetic", "merge only"]),
        ("generator_settings.diffwave.trian", {}, ["diffwave.trian", "no such key", "class, train"]),
        ("generator_settings.diffwave.train_by_dataset", {"demo": {}}, ["train_by_dataset", "'demo'", "demo_ptbxl"]),
        ("generator_settings.diffwave.train_by_dataset", {"demo_merged": {}}, ["demo_merged", "synthetic: trained"]),
        ("seed", -1, ["seed", "-1", "greater than or equal to 0"]),
        ("datasets", ["nowhere"], ["datasets", "'nowhere'", "demo_ptbxl"]),
        ("datasets", [], ["datasets", "at least 1"]),
        ("datasets", ["demo_ptbxl", "demo_ptbxl"], ["datasets", "more than once"]),
        ("datasets", "demo_ptbxl", ["datasets", "array"]),
        ("generators", ["real"], ["generators", "reserved"]),
        ("generators", ["../up"], ["generators.0", "../up", "pattern"]),
        ("experiments", '{"seeds": [0]}', ["experiments", "seeds"]),
        ("experiments.settings", ["TrXTeR"], ["experiments.settings.0", "TrXTeR", "TrRTeR"]),
        ("experiments.settings", ["TrSTeR"], ["experiments.settings", "TrRTeR"]),
        ("experiments.fractions", [0.0], ["experiments.fractions.0", "greater than 0"]),
        ("experiments.seeds", [1, 1], ["experiments.seeds", "1"]),
        ("experiments.ratios", [0.12345671, 0.12345672], ["experiments.ratios", "0.123457 more than once"]),
        ("experiments.baselines", ["mixup", "mixup"], ["experiments.baselines", "more than once"]),
        (
            "experiments",
            {"seeds": [0, 1, 2], "generator_repetitions": 2},
            ["experiments.generator_repetitions", "3 networks", "2 repetitions"],
        ),
        (
            "experiments",
            {"seeds": [0, 1], "generator_repetitions": 2, "pooled": True},
            ["experiments.pooled", "experiments.generator_repetitions"],
        ),
        ("experiments.baselines", ["smote"], ["experiments.baselines.0", "smote", "oversampling"]),
        ("experiments", {"settings": ["TrRTeR", "TrSTeR"], "cross": True}, ["experiments.cross", "TrRSTeR"]),
        ("experiments", {"settings": ["TrRTeR"], "ratios": [0.5]}, ["experiments.ratios", "TrRSTeR"]),
        ("experiments", {"transfer": {"fractions": [], "from_real": True}}, ["from_real", "transfer.fractions"]),
        ("dataset_settings.demo_ptbxl.classifier", "huge", ["demo_ptbxl.classifier", "'huge'", "demo"]),
        ("dataset_settings.demo_ptbxl.format", "edf", ["demo_ptbxl.format", "'edf'", "ecg_arrhythmia"]),
        ("dataset_settings.demo_ptbxl.merge", ["demo_chapman", "demo_merged"], ["demo_ptbxl", "not both"]),
        ("dataset_settings.demo_merged.merge", ["demo_ptbxl", "gone"], ["demo_merged.merge", "'gone'"]),
        ("dataset_settings.demo_ptbxl.subset", "chapman", ["demo_ptbxl", "ecg_arrhythmia only"]),
        (
            "dataset_settings.demo_ptbxl.folds",
            {"train": [1, 2, 3, 4, 5, 6], "validation": [7, 8], "test": [8, 9, 10]},
            ["demo_ptbxl.folds", "each of the folds 1 to 10", "once"],
        ),
        ("dataset_settings.demo_ptbxl.folds", {"train": [0], "validation": [1], "test": [2]}, ["folds.train.0", "0"]),
        (
            "dataset_settings.demo_chapman.shares",
            {"train": 0.6, "validation": 0.2, "test": 0.3},
            ["demo_chapman.shares", "make 1.1", "must make 1"],
        ),
        (
            "dataset_settings.demo_ptbxl.shares",
            {"train": 0.6, "validation": 0.2, "test": 0.2},
            ["demo_ptbxl", "format ptbxl has `folds`"],
        ),
        (
            "dataset_settings.demo_chapman.folds",
            {"train": [1, 2, 3, 4, 5, 6], "validation": [7, 8], "test": [9, 10]},
            ["demo_chapman", "format ecg_arrhythmia has `shares`"],
        ),
        (
            "dataset_settings.demo_merged.shares",
            {"train": 0.6, "validation": 0.2, "test": 0.2},
            ["demo_merged", "splits of its members"],
        ),
        ("dataset_settings.demo_merged.training_share", 0.1, ["demo_merged", "`training_share` and", "there"]),
        ("dataset_settings.demo_merged.rotate", 2, ["demo_merged", "and `rotate` there"]),
        ("dataset_settings.demo_ptbxl.rotate", 11, ["demo_ptbxl.rotate", "11", "less than or equal to 10"]),
        ("dataset_settings.demo_ptbxl.rotate", 1, ["demo_ptbxl.rotate", "1", "greater than or equal to 2"]),
        (
            "dataset_settings.demo_ptbxl",
            {
                "format": "ptbxl",
                "source": {"kind": "simulated", "records": 100, "seed": 1},
                "classifier": "demo",
                "rotate": 5,
            },
            ["dataset_settings.demo_ptbxl.rotate", "demo_merged is a merge of it", "cannot be rotated"],
        ),
        ("dataset_settings.demo_ptbxl.rotate", 5, ["demo_ptbxl", "`rotate` decides", "remove `folds`"]),
        ("dataset_settings.demo_ptbxl.source.kind", "ftp", ["demo_ptbxl.source", "physionet", "simulated"]),
        ("classifiers.demo.kind", "vgg", ["classifiers.demo", "cnn, resnet1d_wang or xresnet1d"]),
        ("classifiers.demo", {"kind": "xresnet1d", "depth": 19}, ["classifiers.demo.depth", "19"]),
        ("classifiers.demo.kernels", 6, ["classifiers.demo.kernels", "no such key", "depth, channels, dropout"]),
        ("classifiers.cnn", {"kernel": 6}, ["classifiers.cnn", "odd"]),
        ("classifiers.demo", {"kind": "resnet1d_wang", "width": 6}, ["demo.width", "no such key", "kind, channels"]),
        ("classifiers.demo.dropout", float("nan"), ["classifiers.demo.dropout"]),
    ],
)
def test_mistakes_are_named(raw: dict[str, Any], key: str, value: Any, words: list[str]) -> None:
    _set(raw, key, value)
    with pytest.raises(ConfigError) as error:
        validate(raw)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("experiments", [{"cross": True}, {"transfer": {"from_real": True}}])
def test_what_needs_another_hospital_is_refused_without_one(raw: dict[str, Any], experiments: dict[str, Any]) -> None:
    raw["experiments"] = experiments
    validate(raw)
    raw["datasets"] = ["demo_ptbxl"]
    with pytest.raises(ConfigError, match="needs two active datasets with a source"):
        validate(raw)


@pytest.mark.parametrize(
    ("baseline", "loss", "words"),
    [
        ("class_weights", "weighted", r"class_weights is what `classifiers\.demo\.loss` \(weighted\) gives all"),
        ("class_weights", "focal", r"take the place of `classifiers\.demo\.loss` \(focal\)"),
        ("oversampling", "weighted", r"weigh rare classes twice beside `classifiers\.demo\.loss` \(weighted\)"),
    ],
)
def test_a_baseline_changes_one_thing(raw: dict[str, Any], baseline: str, loss: str, words: str) -> None:
    raw["experiments"] = {"baselines": [baseline]}
    validate(raw)
    raw["classifiers"]["demo"]["loss"] = loss
    with pytest.raises(ConfigError, match=words):
        validate(raw)
    raw["experiments"]["baselines"] = ["mixup"]
    validate(raw)


def test_one_generator_is_nothing_to_pool(raw: dict[str, Any]) -> None:
    raw["experiments"] = {"pooled": True}
    validate(raw)
    raw["generators"] = ["diffwave"]
    with pytest.raises(ConfigError, match="several generators; `generators` has 1"):
        validate(raw)


def test_all_mistakes_are_told_at_once(raw: dict[str, Any]) -> None:
    raw["signal"]["rate"] = "x"
    raw["study"]["colour"] = "red"
    with pytest.raises(ConfigError) as error:
        validate(raw)
    assert "signal.rate" in str(error.value)
    assert "study.colour" in str(error.value)


def test_names_of_records_that_yaml_reads_as_numbers_are_told(raw: dict[str, Any]) -> None:
    """Plain 00010 is octal 8 in YAML 1.1, and not the record 00010."""
    raw["dataset_settings"]["demo_ptbxl"]["source"] = yaml.safe_load("{kind: folder, path: in, records: [00010]}")
    with pytest.raises(ConfigError, match=r"source.*records`: 8 is a number, .* write them in quotes"):
        validate(raw)
    raw["dataset_settings"]["demo_ptbxl"]["source"]["records"] = ["00010"]
    validate(raw)


def test_numbers_in_scientific_notation_are_numbers(raw: dict[str, Any]) -> None:
    raw["classifiers"]["demo"]["learning_rate"] = yaml.safe_load("1e-3")
    assert isinstance(raw["classifiers"]["demo"]["learning_rate"], str)
    assert validate(raw).classifiers["demo"].learning_rate == 0.001


def test_a_one_cycle_training_has_five_steps_or_more(raw: dict[str, Any]) -> None:
    raw["classifiers"]["demo"]["steps"] = 5
    validate(raw)
    raw["classifiers"]["demo"]["steps"] = 4
    with pytest.raises(ConfigError, match=r"classifiers.*steps"):
        validate(raw)


ARRHYTHMIA = {"kind": "physionet", "slug": "ecg-arrhythmia", "version": "1.0.0"}
SIMULATED = {"kind": "simulated", "records": 100, "seed": 1}


@pytest.mark.parametrize(
    ("one", "other", "allowed"),
    [
        ({"source": ARRHYTHMIA}, {"source": ARRHYTHMIA, "subset": "chapman"}, False),
        ({"source": ARRHYTHMIA, "subset": "ningbo"}, {"source": ARRHYTHMIA, "subset": "chapman"}, True),
        ({"source": {**ARRHYTHMIA, "records": ["JS1"]}}, {"source": {**ARRHYTHMIA, "records": ["JS2"]}}, True),
        ({"source": {**ARRHYTHMIA, "records": ["JS1"]}}, {"source": {**ARRHYTHMIA, "records": ["JS1"]}}, False),
        ({"source": {**ARRHYTHMIA, "limit": 5}}, {"source": {**ARRHYTHMIA, "version": "1.0.1"}}, False),
        ({"source": SIMULATED}, {"source": {**SIMULATED, "records": 50}}, False),
        ({"source": SIMULATED}, {"source": {**SIMULATED, "seed": 2}}, True),
        ({"source": SIMULATED}, {"source": ARRHYTHMIA}, True),
    ],
)
def test_members_of_a_merge_share_no_records(
    raw: dict[str, Any], one: dict[str, Any], other: dict[str, Any], allowed: bool
) -> None:
    for name, settings in (("demo_ptbxl", one), ("demo_chapman", other)):
        raw["dataset_settings"][name] = {"format": "ecg_arrhythmia", "classifier": "demo", **settings}
    if allowed:
        validate(raw)
    else:
        with pytest.raises(ConfigError, match="demo_ptbxl and demo_chapman come from one source"):
            validate(raw)


def test_folders_of_a_challenge_that_lie_in_one_another_overlap(raw: dict[str, Any]) -> None:
    source = {"kind": "folder", "path": "/data/challenge"}
    for name, folder in (("demo_ptbxl", "training"), ("demo_chapman", "training/georgia")):
        raw["dataset_settings"][name] = {
            "format": "challenge",
            "classifier": "demo",
            "source": source,
            "folder": folder,
        }
    with pytest.raises(ConfigError, match="come from one source"):
        validate(raw)
    raw["dataset_settings"]["demo_ptbxl"]["folder"] = "training/ningbo"
    validate(raw)


def test_missing_key_is_named(raw: dict[str, Any]) -> None:
    del raw["generators"]
    with pytest.raises(ConfigError, match="`generators`: this key is required"):
        validate(raw)


@pytest.mark.parametrize("value", [None, [], "datasets"])
def test_a_config_that_is_no_mapping(value: object) -> None:
    with pytest.raises(ConfigError, match="mapping"):
        validate(value)


def test_canonical_ignores_order_only() -> None:
    assert canonical({"a": 1, "b": [1, 2]}) == canonical({"b": [1, 2], "a": 1})
    assert canonical({"b": [2, 1]}) != canonical({"b": [1, 2]})
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("inf")})


@pytest.mark.parametrize("name", ["paper", "paper_extended"])
def test_each_hospital_alone_has_the_widths_of_both(name: str) -> None:
    config = load(ROOT / "configs" / f"{name}.yaml")
    own = config.generator_settings["time_vqvae"].train_by_dataset
    datasets = [key for key, settings in config.dataset_settings.items() if settings.format == "ecg_arrhythmia"]
    assert datasets == ["chapman", "chapman_alone", "ningbo_alone"]
    assert [own[key] for key in datasets] == [own["chapman"]] * 3


def test_defaults_are_the_papers() -> None:
    config = Config.model_validate(
        {
            "datasets": ["a"],
            "generators": ["diffwave"],
            "dataset_settings": {
                "a": {"format": "ptbxl", "source": {"kind": "physionet", "slug": "ptb-xl", "version": "1.0.3"}}
            },
        }
    )
    assert (config.signal.rate, record_length(config.signal)) == (100, 1000)
    assert len(config.experiments.seeds) == 20
    assert config.samples.number == 21000
    assert (config.classifiers["cnn"].patience, config.classifiers["cnn"].min_delta) == (10, 1e-5)
