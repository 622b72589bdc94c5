"""What sections must agree on, one function a rule; each raises a ValueError that names the key and what is allowed."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from ecgpipe.config.derived import record_length
from ecgpipe.config.sections.datasets import DatasetSettings, FolderSource, PhysioNetSource, SimulatedSource

if TYPE_CHECKING:
    from ecgpipe.config.model import Config

RESULT_FOLDERS = {
    *("data", "generators", "samples", "classifiers", "closeness", "tables", "report", "wfdb", "partial"),
    *("logs", "benchmarks", "state"),
}
"""Folders below ``results`` that hold results of other stages than the first."""

STUDIES = "studies"
"""Folder, beside ``results``, of the results of studies that have a folder of their own."""

SHORTEST_COMPARED = 288
"""Samples of the shortest record that closeness can compare: what the widest kernel of its feature map reads."""

RECORDED_SECONDS = {"ptbxl": 10, "ecg_arrhythmia": 10}
"""How long all recordings of a format are, in seconds."""

RESERVED_GENERATOR_NAMES = {"real", "all"}


def check(config: Config) -> None:
    """Hold a configuration against all rules.

    Raises:
        ValueError: of the first that it breaks.
    """
    for rule in RULES:
        rule(config)


def no_value_stands_twice(config: Config) -> None:
    experiments = config.experiments
    for key, values in (
        ("datasets", config.datasets),
        ("generators", config.generators),
        ("experiments.settings", experiments.settings),
        ("experiments.fractions", experiments.fractions),
        ("experiments.ratios", [r if isinstance(r, str) else f"{r:g}" for r in experiments.ratios]),
        ("experiments.baselines", experiments.baselines),
        ("experiments.transfer.methods", experiments.transfer.methods),
        ("experiments.transfer.fractions", experiments.transfer.fractions),
        ("experiments.seeds", experiments.seeds),
    ):
        if twice := _duplicates(values):
            raise ValueError(f"`{key}` names {', '.join(map(str, twice))} more than once; each may stand there once")


def settings_contain_the_reference(config: Config) -> None:
    if "TrRTeR" not in config.experiments.settings:
        raise ValueError("`experiments.settings` must contain TrRTeR: every comparison is with it")


def cross_has_its_setting(config: Config) -> None:
    if config.experiments.cross and "TrRSTeR" not in config.experiments.settings:
        raise ValueError("`experiments.cross` adds records to TrRSTeR, which `experiments.settings` must contain then")


def ratios_have_their_setting(config: Config) -> None:
    if config.experiments.ratios != ["all"] and "TrRSTeR" not in config.experiments.settings:
        raise ValueError(
            "`experiments.ratios` are those of TrRSTeR, which `experiments.settings` must contain then; "
            "without it leave them out"
        )


def baselines_change_one_thing(config: Config) -> None:
    for name in config.datasets:
        classifier = config.dataset_settings[name].classifier
        loss = config.classifiers[classifier].loss
        key = f"`classifiers.{classifier}.loss` ({loss})"
        for baseline, beside, why in (
            ("class_weights", "weighted", f"is what {key} gives all trainings"),
            ("class_weights", "focal", f"would also take the place of {key}, so that two things change at once"),
            ("oversampling", "weighted", f"would weigh rare classes twice beside {key}, which does so already"),
        ):
            if baseline in config.experiments.baselines and loss == beside:
                raise ValueError(f"`experiments.baselines`: {baseline} {why}; leave one of them out")


def repetitions_divide_the_seeds(config: Config) -> None:
    repetitions, seeds = config.experiments.generator_repetitions, len(config.experiments.seeds)
    if seeds % repetitions:
        raise ValueError(
            f"`experiments.generator_repetitions`: {seeds} networks (`experiments.seeds`) cannot be divided equally "
            f"over {repetitions} repetitions of a generator"
        )
    if repetitions > 1 and config.experiments.pooled:
        raise ValueError(
            "`experiments.pooled` pools one repetition of each generator; leave it out, or have one of them "
            "(`experiments.generator_repetitions`)"
        )


def pooled_has_several_generators(config: Config) -> None:
    if config.experiments.pooled and len(config.generators) < 2:
        raise ValueError(
            f"`experiments.pooled` pools the samples of several generators; `generators` has {len(config.generators)}"
        )


def from_real_has_a_share(config: Config) -> None:
    if config.experiments.transfer.from_real and not config.experiments.transfer.fractions:
        raise ValueError(
            "`experiments.transfer.from_real` is a transfer, "
            "and `experiments.transfer.fractions` has no share to run one on"
        )


def other_datasets_are_there(config: Config) -> None:
    settings = config.dataset_settings
    sourced = [name for name in config.datasets if name in settings and not settings[name].merge]
    for key, asked in (
        ("experiments.cross", config.experiments.cross),
        ("experiments.transfer.from_real", config.experiments.transfer.from_real),
    ):
        if asked and len(sourced) < 2:
            raise ValueError(f"`{key}` needs two active datasets with a source; `datasets` has {len(sourced)}")


def band_lies_within_the_signals(config: Config) -> None:
    band, highest = config.preprocess.filters.band_pass_hz, config.signal.rate / 2
    if band is not None and band[0] >= highest:
        raise ValueError(
            f"`preprocess.filters.band_pass_hz`: signals of {config.signal.rate} Hz (`signal.rate`) hold nothing of "
            f"{band[0]:g} to {band[1]:g} Hz; allowed are bands that begin below {highest:g} Hz"
        )


def holds_results(path: PurePath) -> str | None:
    """Return the folder of results that a path, relative to the study's folder, is or lies in, if there is one."""
    first, *rest = PurePath(os.path.normpath(path)).parts or ("",)
    if first == STUDIES:
        return STUDIES
    return f"results/{rest[0]}" if first == "results" and rest and rest[0] in RESULT_FOLDERS else None


def raw_dir_holds_no_results(config: Config) -> None:
    names = [name for name, dataset in config.dataset_settings.items() if dataset.merge is None]
    for folder in (PurePath(config.raw_dir), *(PurePath(config.raw_dir, name) for name in names)):
        if taken := holds_results(folder):
            raise ValueError(f"`raw_dir`: {config.raw_dir!r} is or holds {taken}, a folder of results")


def active_datasets_are_declared(config: Config) -> None:
    for name in config.datasets:
        _declared("datasets", name, config.dataset_settings)


def each_dataset_is_sound(config: Config) -> None:
    for name, dataset in config.dataset_settings.items():
        for rule in DATASET_RULES:
            rule(config, name, dataset)


def classifier_is_declared(config: Config, name: str, dataset: DatasetSettings) -> None:
    _declared(f"dataset_settings.{name}.classifier", dataset.classifier, config.classifiers)


def rotated_datasets_stand_alone(config: Config) -> None:
    """Refuse what would test records with networks or generators that saw them in another rotation."""
    for name, dataset in config.dataset_settings.items():
        if rotated := [member for member in dataset.merge or [] if config.dataset_settings[member].rotate is not None]:
            raise ValueError(
                f"`dataset_settings.{rotated[0]}.rotate`: {name} is a merge of it, and merges cannot be rotated; leave "
                "one of them out"
            )
    rotated = [name for name in config.datasets if config.dataset_settings[name].rotate is not None]
    transfer = config.experiments.transfer
    for key, asked in (
        ("experiments.cross", config.experiments.cross),
        ("experiments.transfer.from_real", transfer.from_real and transfer.fractions),
    ):
        if asked and rotated:
            raise ValueError(
                f"`{key}` uses one split of each dataset, and {rotated[0]} has several "
                f"(`dataset_settings.{rotated[0]}.rotate`); leave one of them out"
            )


def records_are_long_enough_for_the_classifier(config: Config, name: str, dataset: DatasetSettings) -> None:
    needed, length = config.classifiers[dataset.classifier].shortest_record, record_length(config.signal)
    if length < needed:
        raise ValueError(
            f"`classifiers.{dataset.classifier}.blocks`: the network of {name} needs records of {needed} samples, "
            f"but `signal` makes them {length} long"
        )


def records_are_long_enough_to_compare(config: Config) -> None:
    if (length := record_length(config.signal)) < SHORTEST_COMPARED:
        raise ValueError(
            f"`signal.seconds`: {config.signal.seconds:g} s at {config.signal.rate} Hz (`signal.rate`) are {length} "
            f"samples a record; closeness compares records of {SHORTEST_COMPARED} samples or more"
        )


def members_have_a_source(config: Config, name: str, dataset: DatasetSettings) -> None:
    for member in dataset.merge or []:
        _declared(f"dataset_settings.{name}.merge", member, config.dataset_settings)
        if config.dataset_settings[member].merge is not None:
            raise ValueError(
                f"`dataset_settings.{name}.merge`: {member} is itself a merge; allowed are datasets with a source"
            )


def no_member_stands_twice(config: Config, name: str, dataset: DatasetSettings) -> None:
    if twice := _duplicates(dataset.merge or []):
        raise ValueError(f"`dataset_settings.{name}.merge` names {', '.join(twice)} more than once")


def members_share_no_records(config: Config, name: str, dataset: DatasetSettings) -> None:
    for one, other in itertools.combinations(dataset.merge or [], 2):
        if _may_overlap(config.dataset_settings[one], config.dataset_settings[other]):
            raise ValueError(
                f"`dataset_settings.{name}.merge`: {one} and {other} come from one source and may share records, "
                "which would then stand in two splits; allowed are different sources, or parts that share nothing "
                "(`subset`, `folder`, `records`)"
            )


def signals_are_no_longer_than_recordings(config: Config, name: str, dataset: DatasetSettings) -> None:
    recorded = RECORDED_SECONDS.get(dataset.format or "")
    if recorded is not None and config.signal.seconds > recorded:
        raise ValueError(
            f"`signal.seconds`: {config.signal.seconds:g} is more than the {recorded} s of a recording of {name} "
            f"({dataset.format})"
        )


def train_by_dataset_names_what_is_trained_on(config: Config) -> None:
    for name, generator in config.generator_settings.items():
        key = f"generator_settings.{name}.train_by_dataset"
        for dataset_name in generator.train_by_dataset:
            _declared(key, dataset_name, config.dataset_settings)
            dataset = config.dataset_settings[dataset_name]
            if dataset.merge and dataset.synthetic == "union":
                raise ValueError(
                    f"`{key}`: nothing is trained on {dataset_name}, whose synthetic set is the union of its "
                    "members'; name these, or give it `synthetic: trained`"
                )


def generators_have_free_names(config: Config) -> None:
    if taken := RESERVED_GENERATOR_NAMES & set(config.generators):
        raise ValueError(f"`generators`: {', '.join(sorted(taken))} is a reserved word; choose another name")


RULES: tuple[Callable[[Config], None], ...] = (
    active_datasets_are_declared,
    no_value_stands_twice,
    settings_contain_the_reference,
    cross_has_its_setting,
    ratios_have_their_setting,
    pooled_has_several_generators,
    from_real_has_a_share,
    other_datasets_are_there,
    band_lies_within_the_signals,
    raw_dir_holds_no_results,
    each_dataset_is_sound,
    records_are_long_enough_to_compare,
    baselines_change_one_thing,
    repetitions_divide_the_seeds,
    rotated_datasets_stand_alone,
    train_by_dataset_names_what_is_trained_on,
    generators_have_free_names,
)
"""The rules of a configuration, in the order in which they are told."""

DATASET_RULES: tuple[Callable[[Config, str, DatasetSettings], None], ...] = (
    classifier_is_declared,
    records_are_long_enough_for_the_classifier,
    members_have_a_source,
    no_member_stands_twice,
    members_share_no_records,
    signals_are_no_longer_than_recordings,
)
"""The rules of each of ``dataset_settings``, in the order in which they are told."""


def _declared(key: str, value: str, allowed: Iterable[str]) -> None:
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"`{key}`: {value!r} is not declared; allowed: {', '.join(allowed) or 'nothing yet'}")


def _duplicates(values: Iterable[Any]) -> list[Any]:
    return sorted((value for value, times in Counter(values).items() if times > 1), key=str)


def _may_overlap(one: DatasetSettings, other: DatasetSettings) -> bool:
    """Say whether two datasets might hold the same recording, which a merge would then put into two splits."""
    if _origin(one) != _origin(other):
        return False
    if one.subset and other.subset:
        return one.subset == other.subset
    if one.folder and other.folder:
        inner, outer = sorted((PurePath(one.folder), PurePath(other.folder)), key=lambda p: -len(p.parts))
        return inner.is_relative_to(outer)
    chosen = [d.source.records for d in (one, other) if not isinstance(d.source, SimulatedSource | None)]
    if len(chosen) == 2 and chosen[0] is not None and chosen[1] is not None:
        return not set(chosen[0]).isdisjoint(chosen[1])
    return True


def _origin(dataset: DatasetSettings) -> tuple[Any, ...]:
    """Return what recordings come from: those of different origins are never the same."""
    source = dataset.source
    if isinstance(source, PhysioNetSource):
        return (source.slug,)
    if isinstance(source, FolderSource):
        return (PurePath(source.path),)
    assert source is not None
    return (source.seed, source.hospital, dataset.format)
