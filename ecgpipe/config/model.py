"""The whole configuration: its sections, each in the file of its key in :mod:`ecgpipe.config.sections`."""

from __future__ import annotations

from pydantic import Field, model_validator

from ecgpipe.config import checks
from ecgpipe.config.sections.base import Name, Section, Seed, WorkflowPath
from ecgpipe.config.sections.classifiers import AnyClassifier, ClassifierSettings
from ecgpipe.config.sections.closeness import Closeness
from ecgpipe.config.sections.compute import Compute
from ecgpipe.config.sections.datasets import DatasetSettings
from ecgpipe.config.sections.experiments import Experiments
from ecgpipe.config.sections.generators import GeneratorSettings
from ecgpipe.config.sections.leads import Leads
from ecgpipe.config.sections.preprocess import Preprocess
from ecgpipe.config.sections.samples import Samples
from ecgpipe.config.sections.signal import SignalSettings
from ecgpipe.config.sections.statistics import Statistics
from ecgpipe.config.sections.study import StudySettings


class Config(Section):
    """A whole study."""

    study: StudySettings = Field(
        default_factory=StudySettings,
        description="Name and title of the study in the report, and the folder of its results.",
    )
    seed: Seed = Field(
        2411,
        description="Seed of every random step without its own seed (generators, samples, bootstrap).",
    )
    raw_dir: WorkflowPath = Field(
        "results/raw",
        description="Folder for downloaded and simulated records, one folder per dataset. It may be on another "
        "disk; `~` is your home directory.",
    )
    signal: SignalSettings = Field(
        default_factory=SignalSettings, description="Sampling rate and length that every ECG is converted to."
    )
    leads: Leads = Field(default_factory=Leads, description="Names of leads in the files.")
    preprocess: Preprocess = Field(
        default_factory=Preprocess, description="How raw records become the arrays of the study."
    )
    datasets: list[Name] = Field(min_length=1, description="Active datasets; their settings are in `dataset_settings`.")
    dataset_settings: dict[Name, DatasetSettings] = Field(min_length=1, description="What each dataset is.")
    generators: list[Name] = Field(
        min_length=1, description="Active generators; their settings are in `generator_settings`."
    )
    generator_settings: dict[Name, GeneratorSettings] = Field(
        default_factory=dict, description="What each generator is; one that is not named here runs with its defaults."
    )
    samples: Samples = Field(
        default_factory=Samples, description="The synthetic set drawn from each trained generator."
    )
    classifiers: dict[Name, AnyClassifier] = Field(
        {"cnn": ClassifierSettings()},
        min_length=1,
        description="Classifiers by name; each dataset names the one it uses.",
    )
    experiments: Experiments = Field(default_factory=Experiments, description="Which classifiers are trained.")
    statistics: Statistics = Field(default_factory=Statistics, description="Intervals and comparisons.")
    closeness: Closeness = Field(
        default_factory=Closeness, description="How thoroughly synthetic records are compared with real ones."
    )
    compute: Compute = Field(default_factory=Compute, description="How jobs use the machine.")

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        checks.check(self)
        return self

    def generator(self, name: str) -> GeneratorSettings:
        """Return a generator's settings, the defaults if the config has none."""
        return self.generator_settings.get(name, GeneratorSettings())
