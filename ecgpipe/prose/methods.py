"""A methods paragraph with citations, written from the config that ran and from what was counted."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ecgpipe.config import AnyClassifier, Config, OwnClassifierSettings
from ecgpipe.dataset import SPLITS
from ecgpipe.preprocess.splits import FOLDS, NUMBER, SHARE, rotation
from ecgpipe.prose.answers import times
from ecgpipe.prose.latex import latex_text
from ecgpipe.prose.references import REFERENCES
from ecgpipe.prose.wording import BASELINE_MEANINGS, BASELINE_NAMES, METRIC_NAMES, added, listed
from ecgpipe.vocabulary import AUGMENTED, FINETUNED, FROZEN, PRIMARY, PROBE, SYNTHETIC

Counts = Mapping[str, tuple[int, int, int]]
"""Records, patients and test records of each dataset."""

_CITE = re.compile(r"\[@([\w; @]+)\]")
_GENERATORS = {
    "diffwave": "DiffWave [@kong2020; @alcaraz2023]",
    "time_diffusion": "Time-Diffusion [@nunez2024; @ho2020]",
    "time_vqvae": "TimeVQVAE [@lee2023]",
    "class_mean_pca": "Gaussians on principal components, one for each class, as a control",
}
_CLASSIFIERS = {
    "cnn": "a residual one-dimensional convolutional network [@kachuee2018]",
    "resnet1d_wang": "the residual network resnet1d_wang [@wang2016]",
    "xresnet1d": "the residual network xresnet1d [@strodthoff2020]",
}
_LOSSES = {
    "cross_entropy": "cross-entropy",
    "weighted": "cross-entropy with classes weighed alike",
    "focal": "focal loss",
}
VALIDATIONS = 10
"""Validations of a training of a fixed number of steps, as :data:`ecgpipe.classify.training.VALIDATIONS`."""
_METHODS = {
    FROZEN: "with frozen convolutions",
    FINETUNED: "with all weights",
    PROBE: "as a linear probe",
}
_PROJECTS = {
    "ptb-xl": "PTB-XL [@wagner2020; @goldberger2000]",
    "ecg-arrhythmia": "the Chapman-Shaoxing-Ningbo records [@zheng2022; @zheng2020; @goldberger2000]",
}


def patients_known(config: Config, name: str) -> bool:
    """Say whether records of one patient are known to be of one: PTB-XL's format alone names patients."""
    settings = config.dataset_settings[name]
    if settings.merge:
        return all(patients_known(config, member) for member in settings.merge)
    return settings.format == "ptbxl"


def _per_cent(share: float) -> str:
    return f"{100 * share:g} %"


def _split(config: Config, name: str) -> str:
    """Say how a dataset was split, and whether training records were left out."""
    settings = config.dataset_settings[name]
    if settings.merge:
        return "split as its members are"
    if settings.rotate is not None:
        return _rotated(settings.rotate, "its own" if settings.format == "ptbxl" else f"{NUMBER} random")
    if settings.format == "ptbxl":
        folds = settings.folds
        members = (folds.train, folds.validation, folds.test) if folds else [FOLDS[split] for split in SPLITS]
        named = [listed([str(fold) for fold in part]) for part in members]
        words = f"folds {named[0]} for training, {named[1]} for validation and {named[2]} for testing"
    else:
        shares = settings.shares
        parts = (shares.train, shares.validation, shares.test) if shares else (1 - 2 * SHARE, SHARE, SHARE)
        words = f"split at random within each class ({listed([_per_cent(part) for part in parts])} for training, "
        words += "validation and testing)"
    if settings.training_share is not None:
        words += f", of whose training records only {_per_cent(settings.training_share)} of each class were used"
    return words


def _rotated(number: int, folds: str) -> str:
    """Say how the folds of a dataset rotate."""
    sizes = {split: {len(rotation(place, number)[split]) for place in range(1, number + 1)} for split in SPLITS}
    train, validation, test = (" or ".join(map(str, sorted(sizes[split]))) for split in SPLITS)
    return (
        f"tested in {number} rotations of {folds} folds of patients, each with {train} folds for training, "
        f"{validation} for validation and {test} for testing, so that every record was tested once, by "
        "networks and generators that had seen no record of its patient"
    )


def _source(config: Config, name: str) -> str:
    """Describe where a dataset's records come from."""
    settings = config.dataset_settings[name]
    if settings.merge:
        return f"the union of {listed(list(settings.merge))}"
    source = settings.source
    if source is not None and source.kind == "physionet":
        project = _PROJECTS.get(source.slug, f"the PhysioNet project {source.slug} [@goldberger2000]")
        return f"version {source.version} of {project}"
    if source is not None and source.kind == "simulated":
        return "simulated by a dipole model of the heart after McSharry et al. [@mcsharry2003]"
    return "read from a folder"


def _dataset(config: Config, name: str, counts: Counts) -> str:
    """Describe where a dataset's records come from, how many there are, and how they were split."""
    records, patients, test = counts[name]
    of = f" of {patients:,} patients" if patients_known(config, name) else ""
    size = f"{records:,} records{of}, {test:,} of them for testing"
    return f"{name}, {_source(config, name)} ({size}), {_split(config, name)}"


def _apart(config: Config, names: list[str]) -> str:
    """Say of which datasets no patient is in two splits, and of which that is not known."""
    known = [name for name in names if patients_known(config, name)]
    unknown = [name for name in names if name not in known]
    sets = "two of training, validation and test set"
    if not unknown:
        return f"No patient is in {sets}."
    of_known = f"No patient of {listed(known)} is in {sets}. " if known else ""
    return (
        f"{of_known}Which records of {listed(unknown)} are of one patient is not known throughout: records without a "
        f"named patient count as patients of their own, and one patient's may be in {sets}."
    )


def _data(config: Config, counts: Counts) -> str:
    names = [name for name in config.datasets if name in counts]
    listed_ = "; ".join(_dataset(config, name, counts) for name in names)
    filters = config.preprocess.filters
    filtered = filters.baseline != "none" or filters.band_pass_hz or filters.notch_hz
    rule = "The signals were filtered as the configuration says." if filtered else "No filter was applied."
    return (
        f"The datasets were: {listed_}. All 12 leads were converted to {config.signal.rate:g} Hz and "
        f"cropped to {config.signal.seconds:g} s. {rule} {_apart(config, names)}"
    )


def _generator(config: Config, name: str) -> str:
    settings = config.generator(name)
    what = f"{name} (the class {settings.class_})" if settings.class_ else _GENERATORS.get(name, name)
    preset = settings.train.get("preset")
    return f"{what} (preset {preset})" if preset else what


def _synthesis(config: Config, repetitions: int) -> str:
    samples = config.samples
    drawn = "the records that the configuration counts" if samples.counts else f"{samples.number:,} records each"
    settings = config.dataset_settings
    unions = [name for name in config.datasets if settings[name].merge and settings[name].synthetic == "union"]
    sentences = [
        f"Class-conditional generators were trained on the training records alone: "
        f"{listed([_generator(config, name) for name in config.generators])}. Each was trained and sampled from "
        f"{times(repetitions)} on each dataset; the synthetic sets hold {drawn}."
    ]
    if unions:
        sentences.append(
            f"No generator was trained on {listed(unions)}: synthetic sets are the unions of the members' sets."
        )
    if config.experiments.pooled:
        sentences.append("The samples of all generators were also used together.")
    return " ".join(sentences)


def _training(own: AnyClassifier) -> str:
    """Say how a classifier was trained: for how long, at which rate, and whether it could stop early."""
    number = min(VALIDATIONS, own.steps) if own.steps else own.epochs
    if own.steps:
        length = (
            f"for {own.steps:,} optimiser steps with a one-cycle learning rate (at most {own.learning_rate:g}); of "
            f"{number} validations the one with the lowest loss gave the weights"
        )
    else:
        length = (
            f"for at most {own.epochs:,} epochs at a learning rate of {own.learning_rate:g}; of the validations after "
            "each epoch the one with the lowest loss gave the weights"
        )
    early = f", and training stopped after {own.patience} in a row without a lower one"
    smoothed = f", labels smoothed by {own.label_smoothing:g}" if own.label_smoothing else ""
    return (
        f"trained with AdamW ({_LOSSES[own.loss]}{smoothed}, batches of {own.batch}) {length}"
        f"{early if own.patience + 1 < number else ''}"
    )


def _network(own: AnyClassifier) -> str:
    if isinstance(own, OwnClassifierSettings):
        return f"a network of this study's own, {own.class_.partition(':')[2]}"
    return _CLASSIFIERS[own.kind]


def _networks(config: Config) -> str:
    """Describe each network, with its datasets if there are several networks."""
    used: dict[str, list[str]] = {}
    for name in config.datasets:
        used.setdefault(config.dataset_settings[name].classifier, []).append(name)
    sentences = []
    for name, datasets in used.items():
        own = config.classifiers[name]
        of = f" of {listed(datasets)}" if len(used) > 1 else ""
        sentences.append(f"The classifier{of} was {_network(own)}, {_training(own)}.")
    return " ".join(sentences)


def _classification(config: Config, repetitions: int) -> str:
    experiments = config.experiments
    shares = listed([_per_cent(share) for share in experiments.fractions])
    tried = [f"on {shares} of the real training records"]
    if AUGMENTED in experiments.settings:
        tried.append(f"on the same with {added(experiments.ratios)} added")
    if experiments.cross:
        tried.append("on the same with synthetic records of another dataset added")
    tried += ["on synthetic records alone"] if SYNTHETIC in experiments.settings else []
    divided = f", over which the {repetitions} repetitions of each generator were divided" if repetitions > 1 else ""
    seeds = len(experiments.seeds)
    sentences = [
        _networks(config),
        f"Networks were trained {listed(tried)}, each with {seeds} seed{'s' if seeds > 1 else ''}{divided}.",
    ]
    if experiments.baselines:
        told = listed([f"{BASELINE_NAMES[name]} ({BASELINE_MEANINGS[name]})" for name in experiments.baselines])
        sentences.append(f"Simple baselines learned from the same real records and no synthetic ones: {told}.")
    if experiments.transfer.fractions:
        ways = listed([_METHODS[method] for method in experiments.transfer.methods])
        some = listed([_per_cent(share) for share in experiments.transfer.fractions])
        of = "synthetic records" + (", or on another dataset's real ones," if experiments.transfer.from_real else "")
        sentences.append(
            f"Networks that were pre-trained on {of} were fine-tuned {ways} on {some} of the real training records."
        )
    return " ".join(sentences)


def _statistics(config: Config, repetitions: int) -> str:
    level = 100 * config.statistics.confidence
    readers, drawn = "seeds as readers", "seeds"
    if repetitions > 1:
        drawn = "seeds, or the repetitions of the generator that networks learned from,"
        readers = (
            "the repetitions of a generator as readers (differences of the networks of one repetition were averaged "
            "first; seeds where no generator is compared)"
        )
    rotated = [name for name in config.datasets if config.dataset_settings[name].rotate is not None]
    overlap = (
        f"Since the training sets of rotations overlap, the variance due to the patients of {listed(rotated)} was "
        "multiplied as Nadeau and Bengio [@nadeau2003] propose. "
        if rotated
        else ""
    )
    return (
        f"The metric that decides is {METRIC_NAMES[PRIMARY]} over the classes with at least 10 test patients. "
        "Differences between networks were tested by the method of Obuchowski and Rockette [@obuchowski1995] with "
        f"Hillis's degrees of freedom [@hillis2007], {readers} and test patients as cases, and corrected by "
        "Holm's method [@holm1979] over all comparisons of one experiment on one dataset in one metric. In the degrees "
        "of freedom the variance between readers is the upper limit of its one-sided 95 % interval. "
        f"{overlap}Intervals are at {level:g} %; those of single networks come from {config.statistics.bootstrap:,} "
        f"bootstrap draws over {drawn} and test patients."
    )


def methods(config: Config, counts: Counts, versions: Mapping[str, str], digest: str, repetitions: int = 1) -> str:
    """Write the paragraph.

    Args:
        config: the study that ran.
        counts: what its datasets hold.
        versions: of the packages ecgpipe, snakemake and torch.
        digest: SHA-256 of the configuration.
        repetitions: how often each generator was trained and sampled from.

    Returns:
        Text with citations as Pandoc writes them: ``[@key; @key]``, keys of
        :data:`ecgpipe.prose.references.REFERENCES`.
    """
    software = (
        f"The study was run by ecgpipe {versions['ecgpipe']} on Snakemake {versions['snakemake']} [@molder2021] and "
        f"PyTorch {versions['torch']} [@paszke2019]; the SHA-256 of its configuration is {digest}."
    )
    opening = (
        "We asked whether synthetic 12-lead ECGs help a rhythm classifier, after the study of Núñez, Arjona and Béjar "
        "[@nunez2024]."
    )
    parts = [
        opening,
        _data(config, counts),
        _synthesis(config, repetitions),
        _classification(config, repetitions),
        _statistics(config, repetitions),
        software,
    ]
    return " ".join(parts)


def cited(text: str) -> list[str]:
    """Return the keys that a paragraph cites, in order, each once."""
    found = [key.strip(" @") for group in _CITE.findall(text) for key in group.split(";")]
    return list(dict.fromkeys(found))


def as_latex(text: str) -> str:
    """Return a paragraph as LaTeX, citations as ``\\cite{key,key}``."""
    parts = _CITE.split(text)
    escaped = [latex_text(part) for part in parts[::2]]
    keys = [",".join(key.strip(" @") for key in group.split(";")) for group in parts[1::2]]
    return "".join(text + (f"\\cite{{{keys[i]}}}" if i < len(keys) else "") for i, text in enumerate(escaped))


def linked(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return a paragraph as pieces of text, each with what is cited after it: (name, address)."""
    parts = _CITE.split(text)
    groups = [[key.strip(" @") for key in group.split(";")] for group in parts[1::2]]
    links = [[(key, REFERENCES[key].link) for key in group] for group in groups]
    return list(zip(parts[::2], [*links, []], strict=True))


def bibliography(text: str) -> str:
    """Return the BibTeX entries of what a paragraph cites."""
    return "\n\n".join(REFERENCES[key].bibtex(key) for key in cited(text)) + "\n"
