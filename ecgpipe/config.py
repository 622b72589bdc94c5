"""The study's configuration: one pydantic model from which the JSON schema and the comments of config.yaml come.

Nothing here imports torch, pandas or Snakemake, so that a wrong key is told in a fraction of a second.
"""

from __future__ import annotations

import itertools
import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
Setting = Literal["TrRTeR", "TrSTeR", "TrRSTeR", "TrSTeS", "TrRTeS"]
Method = Literal["frozen", "finetuned", "probe"]
Ratio = Literal["all", "balance"] | Annotated[float, Field(gt=0, le=100)]
Loss = Literal["cross_entropy", "weighted", "focal"]
Fraction = Annotated[float, Field(gt=0, le=1)]
LABEL_MAPS = ("rhythms7", "rhythms4", "superclasses5")
"""Names of the label maps that come with the package (ecgpipe/preprocess/<name>.csv)."""

Rhythm = Literal["SBRAD", "SR", "AFIB", "STACH", "AFLT", "SARRH", "SVTAC"]
RESULT_FOLDERS = {
    ("results", stage)
    for stage in ("data", "generators", "samples", "classifiers", "tables", "report", "logs", "state")
}
RECORDED_SECONDS = {"ptbxl": 10, "ecg_arrhythmia": 10}
"""How long all recordings of a format are, in seconds."""


def _ordered(pair: list[float]) -> list[float]:
    if pair[0] >= pair[1]:
        raise ValueError("must be a lower and a higher value")
    return pair


Interval = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2), AfterValidator(_ordered)]
"""A lower and a higher value."""

RESERVED_GENERATOR_NAMES = {"real", "all"}


def _usable_path(path: str) -> str:
    if re.search(r"^-|[{}\x00-\x1f\x7f]", path):
        raise ValueError(
            f"{path!r} cannot be a path of the workflow's files: it may not start with - nor hold braces, line breaks or other control characters"
        )
    return path


WorkflowPath = Annotated[str, Field(min_length=1), AfterValidator(_usable_path)]
"""A path that rules name: Snakemake reads braces as wildcards. Quotes, spaces and ``$`` are fine."""


class ConfigError(Exception):
    """A configuration that cannot be run; the message names the key, the value and what is allowed."""


class Section(BaseModel):
    """A part of the configuration: no unknown keys, no silent conversion of wrong types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Study(Section):
    """What the report calls this study."""

    title: str = Field("Do synthetic 12-lead ECGs help a rhythm classifier?", description="Title of the report.")
    name: Name = Field("study", description="Short name, used in the report and in export files.")


class SignalSettings(Section):
    """The form every ECG is brought to."""

    rate: int = Field(
        100,
        ge=50,
        le=1000,
        description="Sampling rate of every signal, in Hz. PTB-XL is fetched at 100 or 500 Hz, whichever is needed.",
    )
    seconds: float = Field(
        10.0,
        gt=0,
        le=60,
        description="Length of every signal, in seconds: longer recordings are cropped to their first part, shorter ones are refused.",
    )

    @property
    def length(self) -> int:
        """Samples a record."""
        return round(self.rate * self.seconds)


class Quality(Section):
    """Which records are refused for their signals; levels were held against 574 real records."""

    flat_lead_mv: float = Field(
        0.005,
        ge=0,
        description="Flat lead: a lead whose range over the recording is below this, in mV; its record is refused.",
    )
    flat_s: float | None = Field(
        1.0,
        gt=0,
        description="Flat lead: a record is refused if one of its leads stands still for this long at a stretch, in seconds; null: only whole recordings are looked at.",
    )
    missing_s: float = Field(
        0.0,
        ge=0,
        description="Missing samples (NaN): most time, in seconds, that a lead may lack; up to that, gaps are closed by straight lines. 0 refuses a record with any.",
    )
    saturation_s: float | None = Field(
        0.2,
        gt=0,
        description="Saturation: a lead that stays at its own largest or smallest value this long at a stretch, in seconds, 1 mV or more from its median, is cut off, and its record refused; null: not looked for.",
    )
    dropped_s: float | None = Field(
        0.2,
        gt=0,
        description="Dropped samples: a record is refused if all leads stand still at once for this long, in seconds; null: not looked for.",
    )
    max_abs_mv: float = Field(
        20.0, gt=0, description="Amplitude: a record with a sample beyond this, in mV, is refused as not physiological."
    )
    amplitude_mv: Interval = Field(
        default_factory=lambda: [0.1, 8.0],
        description="Amplitude: lowest and highest typical range of a record's leads, in mV (the median over leads of the range that holds 98 % of the samples); other records are refused.",
    )
    usual_gain: float | None = Field(
        1000.0,
        gt=0,
        description="Gain: ADC units a mV that the data are expected to have. A record whose header says another, three times or more off, is refused if this one gives a likelier amplitude; null believes every header.",
    )
    limb_leads_mv: float | None = Field(
        0.05,
        gt=0,
        description="Limb leads: a record is refused, as leads are likely exchanged, if III = II - I, aVR = -(I + II)/2, aVL = I - II/2 or aVF = II - I/2 is off by more than this (root mean square, mV); null: not looked at.",
    )
    reversal_correlation: float | None = Field(
        -0.5,
        ge=-1,
        le=0,
        description="Arm electrodes: a record is kept, but marked as suspect of exchanged arm electrodes, if the slopes of its leads I and V6 are correlated by less than this; null: not looked at.",
    )


class Filtering(Section):
    """What is filtered out of every recording, at its own rate before resampling. Nothing, as in the paper."""

    baseline: Literal["none", "median"] = Field(
        "none",
        description="Baseline wander: `median` subtracts what two running medians (0.2 s, then 0.6 s) leave; `none`: stays.",
    )
    band_pass_hz: Interval | None = Field(
        None,
        description="Pass band, in Hz (`[0.5, 40]`): third-order Butterworth, forwards and backwards; an upper edge at or above half a recording's rate leaves a high-pass. null: none.",
    )
    notch_hz: float | None = Field(
        None,
        gt=0,
        description="Mains frequency to take out, in Hz (50 or 60): notch of quality 30, forwards and backwards; null: none.",
    )


class Preprocess(Section):
    """How raw records become the arrays of the study."""

    label_map: WorkflowPath = Field(
        "rhythms7",
        description="Which codes make which class: `rhythms7` (the study's seven rhythms), `rhythms4` (the four merged rhythms of Zheng et al. 2020), `superclasses5` (PTB-XL's diagnostic superclasses) or the path of a CSV with the columns class, system, code, acronym.",
    )
    quality: Quality = Field(
        default_factory=Quality,
        description="Which records are refused for their signals, each listed with its measure.",
    )
    filters: Filtering = Field(
        default_factory=Filtering, description="What is filtered out of every recording: nothing, as in the paper."
    )
    split_seed: int = Field(
        1, ge=0, description="Seed of the stratified 80/10/10 split of datasets that come without folds."
    )


class RecordedSource(Section):
    """Records that were recorded, all or some of them."""

    limit: int | None = Field(None, ge=1, description="Take only the first so many records (null: all).")
    records: list[str] | None = Field(
        None,
        min_length=1,
        description="Take only these records, by name (PTB-XL: `00001`; ecg-arrhythmia: `JS00001`); null: all.",
    )


class PhysioNetSource(RecordedSource):
    """Files of a PhysioNet project, listed and verified by its SHA256SUMS.txt."""

    kind: Literal["physionet"] = Field(
        description="Where the records come from: `physionet`, a plain `folder`, or `simulated`."
    )
    slug: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="PhysioNet's name of the project, as in its address (ptb-xl, ecg-arrhythmia).",
    )
    version: str = Field(pattern=r"^[0-9]+(\.[0-9]+)*$", description="Published version of the project (1.0.3).")
    base_url: str | None = Field(
        None,
        description="Address or folder that holds `files/<slug>/<version>/`, or `s3://bucket` that holds `<slug>/<version>/`; null takes the environment variable ECGPIPE_PHYSIONET, and without it https://physionet.org.",
    )
    transport: Literal["files", "zip"] = Field(
        "files",
        description="`files` fetches each file that is needed; `zip` the project's one archive (`<base_url>/content/<slug>/get-zip/<version>/`, `<folder>/<slug>-<version>.zip`, or a `base_url` that ends in .zip) and unpacks what is needed.",
    )
    connections: int = Field(4, ge=1, le=32, description="Files fetched at the same time.")


class FolderSource(RecordedSource):
    """Records in a local folder in the layout of `format`, with or without a SHA256SUMS.txt; they are copied."""

    kind: Literal["folder"] = Field(
        description="Where the records come from: `physionet`, a plain `folder`, or `simulated`."
    )
    path: str = Field(min_length=1, description="The folder; the manifest is made of its files when they are copied.")

    @property
    def connections(self) -> int:
        """Files copied at the same time."""
        return 4


class SimulatedSource(Section):
    """A PhysioNet-shaped folder written by the dipole heart model: no real patient in it."""

    kind: Literal["simulated"] = Field(
        description="Where the records come from: `physionet`, a plain `folder`, or `simulated`."
    )
    records: int = Field(ge=20, description="Number of recordings to simulate.")
    seed: int = Field(ge=0, description="Seed of the simulation.")
    hospital: Literal["a", "b"] = Field(
        "a",
        description="Character of the hospital: `a` like PTB-XL (mostly sinus rhythm, quiet signals), `b` like Chapman-Shaoxing (many arrhythmias, faster hearts, more noise).",
    )
    class_mix: dict[Rhythm, Annotated[float, Field(ge=0)]] | None = Field(
        None,
        description="Relative frequency of each rhythm (SBRAD, SR, AFIB, STACH, AFLT, SARRH, SVTAC); null: the hospital's own mix.",
    )

    @model_validator(mode="after")
    def _something_to_simulate(self) -> SimulatedSource:
        if self.class_mix is not None and not any(self.class_mix.values()):
            raise ValueError(f"`class_mix` {self.class_mix!r} has no rhythm of a frequency above 0")
        return self


Source = Annotated[PhysioNetSource | FolderSource | SimulatedSource, Field(discriminator="kind")]


class DatasetSettings(Section):
    """One dataset: either read from a source, or the merge of others."""

    format: Literal["ptbxl", "ecg_arrhythmia", "challenge"] | None = Field(
        None,
        description="Layout of the source: `ptbxl`, `ecg_arrhythmia`, or `challenge` (PhysioNet/CinC Challenge 2021: a header with `#Dx` and a data file a record, anywhere below the folder); null for a merge.",
    )
    source: Source | None = Field(None, description="Where the records come from; null for a merge.")
    subset: Literal["chapman", "ningbo"] | None = Field(
        None, description="ecg_arrhythmia only: `chapman` (JS00001 to JS10646) or `ningbo` (the rest); null: both."
    )
    folder: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$",
        description="challenge only: take only the records below this folder of the source (`training/georgia`); null: all.",
    )
    merge: list[Name] | None = Field(
        None,
        min_length=2,
        description="Names of the datasets this one is the union of; null for a dataset with a source.",
    )
    synthetic: Literal["union", "trained"] = Field(
        "union",
        description="merge only: its synthetic set is the `union` of its members' synthetic sets, or comes from a generator `trained` on the merge.",
    )
    classifier: Name = Field("cnn", description="Which entry of `classifiers` is trained on this dataset.")

    @model_validator(mode="after")
    def _source_or_merge(self) -> DatasetSettings:
        if self.merge is not None:
            if any(part is not None for part in (self.source, self.format, self.subset, self.folder)):
                raise ValueError("a dataset has either `merge` or `format` and `source`, not both")
        elif self.source is None or self.format is None:
            raise ValueError("a dataset needs `format` and `source`, or `merge`")
        if self.subset is not None and self.format != "ecg_arrhythmia":
            raise ValueError(f"`subset` {self.subset!r} is for format ecg_arrhythmia only")
        if self.folder is not None and self.format != "challenge":
            raise ValueError("`folder` is for format challenge only")
        if isinstance(self.source, SimulatedSource):
            if self.format == "challenge":
                raise ValueError("simulated records have the format ptbxl or ecg_arrhythmia")
            if self.subset is not None:
                raise ValueError("`subset` is for true records only: simulated ones are of neither hospital")
        if self.merge is None and self.synthetic != "union":
            raise ValueError(f"`synthetic` {self.synthetic!r} is for a merge only")
        return self


def _may_overlap(one: DatasetSettings, other: DatasetSettings) -> bool:
    """Whether two datasets might hold the same recording, which a merge would then put into two splits."""

    def origin(dataset: DatasetSettings) -> tuple[Any, ...]:
        source = dataset.source
        if isinstance(source, PhysioNetSource):
            return (source.slug,)
        if isinstance(source, FolderSource):
            return (PurePath(source.path),)
        assert source is not None
        return (source.seed, source.hospital, dataset.format)

    if origin(one) != origin(other):
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


class GeneratorSettings(Section):
    """One generator: its class, and its own settings, which the class itself validates."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    class_: str | None = Field(
        None,
        alias="class",
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$",
        description="Dotted path of the class, `package.module:Class`; null: the generator of that name in ecgpipe.generate.",
    )
    train: dict[str, Any] = Field(
        default_factory=dict, description="Hyper-parameters of the model and its training, validated by the generator."
    )
    train_by_dataset: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, description="For a dataset, hyper-parameters that replace those of `train`."
    )
    sample: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of sampling (sampler, evaluations, guidance), validated by the generator. Changing them trains nothing.",
    )


class Samples(Section):
    """The synthetic set drawn from each trained generator."""

    number: int = Field(
        21000, ge=70, description="Synthetic records a generator and dataset; below 70 a split might lack a rhythm."
    )
    labels: Literal["uniform", "training"] = Field(
        "uniform", description="Classes of the samples: `uniform`, or with the `training` set's frequencies."
    )
    counts: dict[str, Annotated[int, Field(ge=0)]] | None = Field(
        None,
        description="Records of each class by its name, in place of `number` and `labels`; null: these two decide.",
    )
    chunk: int = Field(
        64, ge=1, description="Records drawn at a time; bounds memory, changes the result in rounding at most."
    )

    @model_validator(mode="after")
    def _something_to_draw(self) -> Samples:
        if self.counts is not None and sum(self.counts.values()) < 10:
            raise ValueError("`counts` must name at least 10 records in all")
        return self


class ClassifierTraining(Section):
    """How a classifier is trained."""

    learning_rate: float = Field(1.584e-4, gt=0, description="Learning rate of AdamW.")
    batch: int = Field(32, ge=1, description="Records a training step.")
    loss: Loss = Field(
        "cross_entropy",
        description="`cross_entropy`, the same `weighted` so that all classes count alike, or `focal` (exponent 2).",
    )
    epochs: int = Field(
        1000, ge=1, description="Most epochs a training may take; without meaning where `steps` is set."
    )
    steps: int | None = Field(
        None,
        ge=1,
        description="Optimiser steps of every training, however many records it has, with a one-cycle learning rate and ten looks at the validation records; null: `epochs` at a constant rate, a look after each.",
    )
    patience: int = Field(
        10, ge=1, description="Looks at the validation records without a lower loss after which training stops."
    )
    min_delta: float = Field(1e-5, ge=0, description="Least fall of the validation loss that counts as better.")

    @property
    def shortest_record(self) -> int:
        """Samples of the shortest record that the network leaves something of."""
        return 1


class ClassifierSettings(ClassifierTraining):
    """The paper's 1-D residual CNN and its training (arXiv 2411.18456 after arXiv 1805.00794)."""

    kind: Literal["cnn"] = Field("cnn", description="Network: `cnn` (the paper's), `resnet1d_wang` or `xresnet1d`.")
    blocks: int = Field(5, ge=1, le=8, description="Residual blocks N.")
    channels: int = Field(16, ge=1, description="Channels k of every convolution.")
    kernel: int = Field(7, ge=3, description="Length f of every convolution's kernel, in samples; odd.")
    width: int = Field(256, ge=1, description="Width w of the dense layers.")
    dense_layers: int = Field(3, ge=0, description="Dense layers L before the output.")
    dropout: float = Field(0.25, ge=0, lt=1, description="Dropout after each dense layer.")

    @property
    def shortest_record(self) -> int:
        """Samples of the shortest record that all poolings (5 samples, stride 2) leave something of."""
        length = 1
        for _ in range(self.blocks):
            length = 2 * (length - 1) + 5
        return length

    @model_validator(mode="after")
    def _odd_kernel(self) -> ClassifierSettings:
        if self.kernel % 2 == 0:
            raise ValueError(f"`kernel` {self.kernel} must be odd, so that a convolution keeps the length")
        return self


class WangSettings(ClassifierTraining):
    """The residual network of Wang, Yan, Oates (arXiv 1611.06455) and its training."""

    kind: Literal["resnet1d_wang"] = Field(description="Network: `cnn` (the paper's), `resnet1d_wang` or `xresnet1d`.")
    channels: int = Field(64, ge=1, description="Channels of the first block; the other two have twice as many.")


class XResNetSettings(ClassifierTraining):
    """xresnet1d (arXiv 1812.01187 in one dimension, arXiv 2004.13701) and its training."""

    kind: Literal["xresnet1d"] = Field(description="Network: `cnn` (the paper's), `resnet1d_wang` or `xresnet1d`.")
    depth: Literal[18, 34, 50, 101] = Field(101, description="Layers: 18, 34, 50 or 101.")
    channels: int = Field(64, ge=2, description="Channels of the first stage; each further one has twice as many.")
    dropout: float = Field(0.5, ge=0, lt=1, description="Dropout before the output.")


def _network(value: Any) -> str:
    """Tag a classifier by its kind; brackets keep the tag apart from keys in messages."""
    kind = value.get("kind", "cnn") if isinstance(value, dict) else getattr(value, "kind", None)
    return f"<{kind}>"


AnyClassifier = Annotated[
    Annotated[ClassifierSettings, Tag("<cnn>")]
    | Annotated[WangSettings, Tag("<resnet1d_wang>")]
    | Annotated[XResNetSettings, Tag("<xresnet1d>")],
    Discriminator(
        _network,
        custom_error_type="network",
        custom_error_message="`kind` must be cnn, resnet1d_wang or xresnet1d",
    ),
]
"""Settings of a classifier of any kind."""


def classifier_settings(raw: dict[str, Any]) -> AnyClassifier:
    """Read a classifier's settings as :func:`canonical` wrote them."""
    settings: AnyClassifier = TypeAdapter(AnyClassifier).validate_python(raw)
    return settings


class Transfer(Section):
    """Pre-train on synthetic records, go on with real ones."""

    fractions: list[Fraction] = Field(
        default_factory=lambda: [0.2, 0.4, 0.6, 0.8, 1.0],
        description="Shares of the real training records to fine-tune on; at each, a network is also trained from scratch on the same records. [] runs no transfer.",
    )
    methods: list[Method] = Field(
        ["frozen"],
        min_length=1,
        description="`frozen`: the dense head goes on, the convolutions stay (the paper); `finetuned`: all weights go on; `probe`: one new linear layer on the convolutions, which stay.",
    )
    from_real: bool = Field(
        False,
        description="Also pre-train on the real records of each other active dataset with a source, with this dataset's classifier: what a synthetic set would have to reach. Not for a merge.",
    )


class Experiments(Section):
    """Which classifiers are trained: Tr = train on, Te = test on, R = real, S = synthetic."""

    settings: list[Setting] = Field(
        default_factory=lambda: list(typing.get_args(Setting)),
        min_length=1,
        description="TrRTeR (real only), TrSTeR (synthetic only), TrRSTeR (real and synthetic), tested on real records; TrSTeS and TrRTeS: the first two tested on synthetic ones.",
    )
    fractions: list[Fraction] = Field(
        default_factory=lambda: [0.2, 0.4, 0.6, 0.8, 1.0],
        min_length=1,
        description="Shares of the real training records used by TrRTeR and TrRSTeR; subsets are nested and stratified by class.",
    )
    ratios: list[Ratio] = Field(
        ["all"],
        min_length=1,
        description="Synthetic records of TrRSTeR: `all`, so many times the real ones (0.5, 2; left out where there are too few), or `balance`: rare classes filled up to the commonest.",
    )
    pooled: bool = Field(False, description="Also run everything with `all`: the samples of all generators together.")
    cross: bool = Field(
        False,
        description="Also add synthetic records of each other dataset with a source to the real ones, and test on both.",
    )
    transfer: Transfer = Field(default_factory=Transfer, description="The transfer experiment.")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        default_factory=lambda: list(range(20)),
        min_length=1,
        description="One repetition of every training for each of these seeds.",
    )


class Statistics(Section):
    """Intervals and comparisons."""

    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals.")
    bootstrap: int = Field(
        2000, ge=100, description="Bootstrap draws (over seeds and test records) behind each interval."
    )


class Closeness(Section):
    """How thoroughly synthetic records are compared with real ones."""

    measures: Literal["quick", "full"] = Field(
        "quick",
        description="`quick`: seconds for a few hundred records; `full` adds delineated intervals, warped distances and CNN two-sample tests.",
    )
    records: int = Field(
        2000, ge=20, description="Most records a side of each comparison; the search for copies takes all."
    )
    bootstrap: int = Field(200, ge=20, description="Bootstrap draws behind each interval of these measures.")


class Compute(Section):
    """How jobs use the machine. Results do not depend on the number of cores Snakemake is given, as long as there are ``threads``."""

    threads: int = Field(
        1,
        ge=1,
        description="Threads of each training, sampling and classification job. Two jobs of one thread beat one job of two.",
    )
    workers: int = Field(2, ge=1, description="Processes of each preprocessing job.")
    processes: int = Field(
        1,
        ge=1,
        description="Processes, of `threads` threads each, of every generator's training and sampling job; on GPUs each has one of its own. Training divides its batches among them.",
    )


def _duplicates(values: list[Any]) -> list[Any]:
    return sorted({v for v in values if values.count(v) > 1}, key=str)


class Config(Section):
    """A whole study."""

    study: Study = Field(default_factory=Study, description="What the report calls this study.")
    seed: int = Field(
        2411,
        ge=0,
        description="Seed of everything random that has no seed of its own (generators, samples, bootstrap).",
    )
    raw_dir: WorkflowPath = Field(
        "results/raw",
        description="Folder for downloaded and simulated records, one folder a dataset; may lie on another disk; `~` is your home.",
    )
    signal: SignalSettings = Field(default_factory=SignalSettings, description="The form every ECG is brought to.")
    preprocess: Preprocess = Field(
        default_factory=Preprocess, description="How raw records become the arrays of the study."
    )
    datasets: list[Name] = Field(
        min_length=1, description="Active datasets; their settings stand in `dataset_settings`."
    )
    dataset_settings: dict[Name, DatasetSettings] = Field(description="What each dataset is.")
    generators: list[Name] = Field(
        min_length=1, description="Active generators; their settings stand in `generator_settings`."
    )
    generator_settings: dict[Name, GeneratorSettings] = Field(
        default_factory=dict, description="What each generator is; one that is not named here runs with its defaults."
    )
    samples: Samples = Field(
        default_factory=Samples, description="The synthetic set drawn from each trained generator."
    )
    classifiers: dict[Name, AnyClassifier] = Field(
        {"cnn": ClassifierSettings()},
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
        for key, values in (
            ("datasets", self.datasets),
            ("generators", self.generators),
            ("experiments.settings", self.experiments.settings),
            ("experiments.fractions", self.experiments.fractions),
            ("experiments.ratios", [r if isinstance(r, str) else f"{r:g}" for r in self.experiments.ratios]),
            ("experiments.transfer.methods", self.experiments.transfer.methods),
            ("experiments.transfer.fractions", self.experiments.transfer.fractions),
            ("experiments.seeds", self.experiments.seeds),
        ):
            if twice := _duplicates(list(values)):
                raise ValueError(
                    f"`{key}` names {', '.join(map(str, twice))} more than once; each may stand there once"
                )
        if "TrRTeR" not in self.experiments.settings:
            raise ValueError("`experiments.settings` must contain TrRTeR: every comparison is with it")
        if self.experiments.cross and "TrRSTeR" not in self.experiments.settings:
            raise ValueError(
                "`experiments.cross` adds records to TrRSTeR, which `experiments.settings` must contain then"
            )
        if self.experiments.ratios != ["all"] and "TrRSTeR" not in self.experiments.settings:
            raise ValueError(
                "`experiments.ratios` are those of TrRSTeR, which `experiments.settings` must contain then; without it leave them out"
            )
        if self.experiments.pooled and len(self.generators) < 2:
            raise ValueError(
                f"`experiments.pooled` pools the samples of several generators; `generators` has {len(self.generators)}"
            )
        if self.experiments.transfer.from_real and not self.experiments.transfer.fractions:
            raise ValueError(
                "`experiments.transfer.from_real` is a transfer, and `experiments.transfer.fractions` has no share to run one on"
            )
        sourced = [
            name for name in self.datasets if name in self.dataset_settings and not self.dataset_settings[name].merge
        ]
        for key, asked in (
            ("experiments.cross", self.experiments.cross),
            ("experiments.transfer.from_real", self.experiments.transfer.from_real),
        ):
            if asked and len(sourced) < 2:
                raise ValueError(f"`{key}` needs two active datasets with a source; `datasets` has {len(sourced)}")
        band = self.preprocess.filters.band_pass_hz
        if band is not None and band[0] >= self.signal.rate / 2:
            raise ValueError(
                f"`preprocess.filters.band_pass_hz`: signals of {self.signal.rate} Hz (`signal.rate`) hold nothing of {band[0]:g} to {band[1]:g} Hz; allowed are bands that begin below {self.signal.rate / 2:g} Hz"
            )
        if (taken_folder := PurePath(self.raw_dir).parts[:2]) in RESULT_FOLDERS:
            raise ValueError(f"`raw_dir`: {self.raw_dir!r} lies in {'/'.join(taken_folder)}, which holds results")
        for name in self.datasets:
            self._known("datasets", name, self.dataset_settings)
        for name, dataset in self.dataset_settings.items():
            self._known(f"dataset_settings.{name}.classifier", dataset.classifier, self.classifiers)
            needed = self.classifiers[dataset.classifier].shortest_record
            if self.signal.length < needed:
                raise ValueError(
                    f"`classifiers.{dataset.classifier}.blocks`: the network of {name} needs records of {needed} samples, but `signal` makes them {self.signal.length} long"
                )
            for member in dataset.merge or []:
                self._known(f"dataset_settings.{name}.merge", member, self.dataset_settings)
                if self.dataset_settings[member].merge is not None:
                    raise ValueError(
                        f"`dataset_settings.{name}.merge`: {member} is itself a merge; allowed are datasets with a source"
                    )
            if dataset.merge and (twice := _duplicates(dataset.merge)):
                raise ValueError(f"`dataset_settings.{name}.merge` names {', '.join(twice)} more than once")
            for one, other in itertools.combinations(dataset.merge or [], 2):
                if _may_overlap(self.dataset_settings[one], self.dataset_settings[other]):
                    raise ValueError(
                        f"`dataset_settings.{name}.merge`: {one} and {other} come from one source and may share records, which would then stand in two splits; allowed are different sources, or parts that share nothing (`subset`, `folder`, `records`)"
                    )
            if dataset.format in RECORDED_SECONDS and self.signal.seconds > RECORDED_SECONDS[dataset.format]:
                raise ValueError(
                    f"`signal.seconds`: {self.signal.seconds:g} is more than the {RECORDED_SECONDS[dataset.format]} s of a recording of {name} ({dataset.format})"
                )
        for name, generator in self.generator_settings.items():
            for dataset_name in generator.train_by_dataset:
                self._known(f"generator_settings.{name}.train_by_dataset", dataset_name, self.dataset_settings)
                dataset = self.dataset_settings[dataset_name]
                if dataset.merge and dataset.synthetic == "union":
                    raise ValueError(
                        f"`generator_settings.{name}.train_by_dataset`: nothing is trained on {dataset_name}, whose synthetic set is the union of its members'; name these, or give it `synthetic: trained`"
                    )
        if taken := RESERVED_GENERATOR_NAMES & set(self.generators):
            raise ValueError(f"`generators`: {', '.join(sorted(taken))} is a reserved word; choose another name")
        return self

    @staticmethod
    def _known(key: str, value: str, allowed: dict[str, Any]) -> None:
        if value not in allowed:
            raise ValueError(f"`{key}`: {value!r} is not declared; allowed: {', '.join(allowed) or 'nothing yet'}")

    def is_simulated(self, dataset: str) -> bool:
        """Say whether a dataset has simulated records, of its own or a member's."""
        settings = self.dataset_settings[dataset]
        if settings.source is None:
            return any(map(self.is_simulated, settings.merge or []))
        return settings.source.kind == "simulated"

    def generator(self, name: str) -> GeneratorSettings:
        """Return a generator's settings, the defaults if the config has none."""
        return self.generator_settings.get(name, GeneratorSettings())


def _describe(error: dict[str, Any]) -> str:
    """Say one pydantic error as key, value and what is allowed."""
    key = (
        ".".join(str(part) for part in error["loc"] if part not in ("physionet", "simulated") and "<" not in str(part))
        or "config"
    )
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return (
            f"`{key}`: no such key (value {_shown(error['input'])}); there are {', '.join(_keys_beside(error['loc']))}"
        )
    if error["type"] == "missing":
        return f"`{key}`: this key is required and missing"
    if error["type"] == "value_error":
        return f"`{key}`: {message}" if error["loc"] else message
    return f"`{key}`: {_shown(error['input'])} is not allowed. {message}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < 120 else text[:117] + "..."


def _keys_beside(place: Sequence[str | int]) -> list[str]:
    """Return the keys that are allowed where pydantic found an unknown one."""
    model: Any = Config
    for part in place[:-1]:
        if isinstance(model, type) and issubclass(model, BaseModel):
            fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            model = fields.get(str(part), model)  # none: the name of an alternative, which pydantic puts among the keys
        elif typing.get_origin(model) in (dict, list):
            model = typing.get_args(model)[-1]
        model = _model_of(model, {"kind": place[-2]}) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _with_numbers(value: Any) -> Any:
    """Return ``value`` with texts such as ``1e-3``, which YAML 1.1 does not take for numbers, as numbers."""
    if isinstance(value, dict):
        return {key: _with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+", value):
        return float(value)
    return value


def validate(raw: object) -> Config:
    """Check a configuration as read from YAML.

    Args:
        raw: nested dictionaries, lists and scalars.

    Raises:
        ConfigError: naming every wrong key, its value and what is allowed.
    """
    if not isinstance(raw, dict):
        raise ConfigError(f"the config must be a mapping of keys, got {type(raw).__name__}")
    try:
        # As JSON, in which a list may stand for a pair and nothing else is converted.
        return Config.model_validate_json(json.dumps(_with_numbers(raw), default=str))
    except ValidationError as error:
        lines = [_describe(dict(e)) for e in error.errors()]
        raise ConfigError("The config cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)) from None


def load(path: str | Path) -> Config:
    """Read and check a YAML file."""
    return validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))


def canonical(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces. What Snakemake compares as a parameter."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def json_schema() -> str:
    """Return the JSON schema of the configuration as text, for ``configs/schema.json``."""
    return json.dumps(Config.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n"


def _model_of(annotation: Any, value: Any) -> type[BaseModel] | None:
    """Return the model among an annotation's alternatives that ``value`` (a mapping) was written for."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (Annotated, typing.Union, types.UnionType):
        found = [m for a in typing.get_args(annotation) if (m := _model_of(a, value))]
        fits = (
            [
                m
                for m in found
                if isinstance(value, dict)
                and value.get("kind", m.model_fields["kind"].default)
                in typing.get_args(m.model_fields["kind"].annotation)
            ]
            if len(found) > 1
            else found
        )
        return fits[0] if fits else None
    return None


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        text = repr(value)
        return re.sub(r"^(\d+)e", r"\1.0e", text)
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
        .removesuffix("\n")
        .removesuffix("\n...")
    )


ModelOf = Callable[[str, str | None, str], type[BaseModel]]
"""A generator's name, the dotted path of its class (or None) and ``train`` or ``sample`` -> the model of that section."""


def _emit(
    value: dict[str, Any],
    model: type[BaseModel] | None,
    values: Any,
    indent: int,
    seen: set[int],
    own: ModelOf,
    name: str = "",
) -> Iterator[str]:
    pad = "  " * indent
    by_key = {(f.alias or n): f for n, f in model.model_fields.items()} if model else {}
    for key, item in value.items():
        field = by_key.get(key)
        comment = (
            f"{pad}# {field.description}\n" if field is not None and field.description and id(field) not in seen else ""
        )
        if field is not None:
            seen.add(id(field))
        inner = _model_of(field.annotation, item) if field is not None else _model_of(values, item)
        if model is GeneratorSettings and key in ("train", "sample"):
            inner = own(name, value.get("class"), key)
        item_values = None
        if field is not None and typing.get_origin(field.annotation) is dict:
            item_values = typing.get_args(field.annotation)[1]
        if indent == 0:
            yield "\n"
        if isinstance(item, dict) and item:
            yield f"{comment}{pad}{key}:\n"
            yield from _emit(item, inner, item_values, indent + 1, seen, own, key)
        else:
            yield f"{comment}{pad}{key}: {_scalar(item)}\n"


def commented(path: str | Path, own: ModelOf) -> str:
    """Return the YAML file's values with each key's description before its first use.

    Args:
        path: of the file.
        own: gives the model of a generator's own settings.
    """
    raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    head = "".join(line for line in _leading_comments(Path(path).read_text(encoding="utf-8")))
    return head + "".join(_emit(raw, Config, None, 0, set(), own))


def _leading_comments(text: str) -> Iterator[str]:
    for line in text.splitlines(keepends=True):
        if not line.startswith("#"):
            return
        yield line
