"""From a job's parameter to the key of the configuration that it comes from, as it stands in config.yaml."""

from __future__ import annotations

from ecgpipe.config import Config
from ecgpipe.workflow.layout import Layout
from ecgpipe.workflow.pending import Job

_CLASSIFICATION = {
    "fractions": "experiments.fractions",
    "seeds": "experiments.seeds",
    "baselines": "experiments.baselines",
    "settings": "experiments.settings",
    "ratios": "experiments.ratios",
    "methods": "experiments.transfer.methods",
}
_CLOSENESS = {
    "level": "closeness.measures",
    "most": "closeness.records",
    "draws": "closeness.bootstrap",
    "confidence": "statistics.confidence",
}
_TABLES = {
    "settings": "experiments.settings",
    "baselines": "experiments.baselines",
    "repetitions": "experiments.generator_repetitions",
    "fractions": "experiments.fractions",
    "transfer": "experiments.transfer.fractions",
    "merged": "datasets",
    "simulated": "datasets",
    "partial": "datasets",
}
_SAMPLES = {"number": "samples.number", "labels": "samples.labels", "chunk": "samples.chunk", "seed": "seed"}


def config_key(job: Job, parameter: str, config: Config) -> str:
    """Return the key of the configuration that a parameter of a job comes from.

    Args:
        job: of this study.
        parameter: dotted, within the job's settings, for instance ``train.steps``.
        config: the study's.

    Returns:
        For instance ``generator_settings.diffwave.train.steps``; the parameter itself if it is a key already.
    """
    first, dot, rest = parameter.partition(".")
    if job.rule == "result_tables" and first == "rotate":
        return f"dataset_settings.{rest}.rotate"
    return f"{_key(job, first, rest.partition('.')[0], config)}{dot}{rest}"


def _key(job: Job, first: str, second: str, config: Config) -> str:
    """Return the key of the first part of a parameter."""
    dataset = Layout.dataset_of(job.wildcards.get("dataset", ""))
    if job.rule in ("acquire", "preprocess") and first == "dataset":
        return f"dataset_settings.{dataset}"
    if job.rule in ("generate", "sample"):
        name = Layout.generator_of(job.wildcards["generator"])
        own = first
        if first == "train" and second in config.generator(name).train_by_dataset.get(dataset, {}):
            own = f"train_by_dataset.{dataset}"
        if first in ("class", "train") or (job.rule == "sample" and first == "sample"):
            return f"generator_settings.{name}.{own}"
    if job.rule == "sample":
        counted = config.samples.counts is not None and first in ("number", "labels")
        return "samples.counts" if counted else _SAMPLES.get(first, first)
    if job.rule.startswith("classify"):
        return _of_classifier(job, first, config)
    names = {"result_tables": _TABLES}.get(job.rule, _CLOSENESS if job.rule.startswith("closeness") else {})
    return names.get(first, first)


def _of_classifier(job: Job, first: str, config: Config) -> str:
    if first == "classifier":
        # A classifier that is trained for another dataset is that dataset's.
        used_by = job.wildcards["other" if job.rule == "classify_real_for_another" else "dataset"]
        return f"classifiers.{config.dataset_settings[Layout.dataset_of(used_by)].classifier}"
    if first == "fractions" and job.rule in ("classify_transfer", "classify_from_real"):
        return "experiments.transfer.fractions"
    if first == "fractions" and job.rule == "classify_real" and config.experiments.transfer.fractions:
        return "experiments.fractions or experiments.transfer.fractions"
    return _CLASSIFICATION.get(first, first)
