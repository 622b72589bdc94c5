"""The study's configuration: pydantic models from which the JSON schema and the comments of config.yaml come.

Nothing here imports torch, pandas or Snakemake, so that a wrong key is told in a fraction of a second.
"""

from __future__ import annotations

from ecgpipe.config.loading import canonical, load, validate
from ecgpipe.config.messages import ConfigError
from ecgpipe.config.model import Config
from ecgpipe.config.sections.base import Section
from ecgpipe.config.sections.classifiers import (
    AnyClassifier,
    ClassifierSettings,
    ClassifierTraining,
    Loss,
    OwnClassifierSettings,
    WangSettings,
    XResNetSettings,
    classifier_settings,
)
from ecgpipe.config.sections.closeness import Closeness
from ecgpipe.config.sections.compute import Compute
from ecgpipe.config.sections.datasets import DatasetSettings, FolderSource, PhysioNetSource, SimulatedSource
from ecgpipe.config.sections.experiments import Baseline, Experiments, Method, Ratio, Setting, Transfer
from ecgpipe.config.sections.generators import GeneratorSettings
from ecgpipe.config.sections.leads import Leads
from ecgpipe.config.sections.preprocess import Filtering, Preprocess, Quality
from ecgpipe.config.sections.samples import Samples
from ecgpipe.config.sections.signal import SignalSettings
from ecgpipe.config.sections.statistics import Statistics
from ecgpipe.config.sections.study import StudySettings
from ecgpipe.config.writer import commented, json_schema

__all__ = [
    "AnyClassifier",
    "Baseline",
    "ClassifierSettings",
    "ClassifierTraining",
    "Closeness",
    "Compute",
    "Config",
    "ConfigError",
    "DatasetSettings",
    "Experiments",
    "Filtering",
    "FolderSource",
    "GeneratorSettings",
    "Leads",
    "Loss",
    "Method",
    "OwnClassifierSettings",
    "PhysioNetSource",
    "Preprocess",
    "Quality",
    "Ratio",
    "Samples",
    "Section",
    "Setting",
    "SignalSettings",
    "SimulatedSource",
    "Statistics",
    "StudySettings",
    "Transfer",
    "WangSettings",
    "XResNetSettings",
    "canonical",
    "classifier_settings",
    "commented",
    "json_schema",
    "load",
    "validate",
]
