"""A methods paragraph with citations, written from the config that ran and from what was counted."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ecgpipe.config import Config
from ecgpipe.prose.answers import times
from ecgpipe.prose.references import REFERENCES
from ecgpipe.prose.wording import METRIC_NAMES, listed
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
_METHODS = {
    FROZEN: "with frozen convolutions",
    FINETUNED: "with all weights",
    PROBE: "as a linear probe",
}
_PROJECTS = {
    "ptb-xl": "PTB-XL [@wagner2020; @goldberger2000]",
    "ecg-arrhythmia": "the Chapman-Shaoxing-Ningbo records [@zheng2020; @goldberger2000]",
}


def _dataset(config: Config, name: str, counts: Counts) -> str:
    """Describe where a dataset's records come from, and how many there are."""
    settings = config.dataset_settings[name]
    records, patients, test = counts[name]
    size = f"{records:,} records of {patients:,} patients, {test:,} of them for testing"
    if settings.merge:
        return f"{name}, the union of {listed(list(settings.merge))} ({size})"
    source = settings.source
    if source is not None and source.kind == "physionet":
        project = _PROJECTS.get(source.slug, f"the PhysioNet project {source.slug} [@goldberger2000]")
        return f"{name}, version {source.version} of {project} ({size})"
    if source is not None and source.kind == "simulated":
        return f"{name}, simulated by a dipole model of the heart after McSharry et al. [@mcsharry2003] ({size})"
    return f"{name}, read from a folder ({size})"


def _data(config: Config, counts: Counts) -> str:
    listed_ = "; ".join(_dataset(config, name, counts) for name in config.datasets if name in counts)
    filters = config.preprocess.filters
    filtered = filters.baseline != "none" or filters.band_pass_hz or filters.notch_hz
    rule = "The signals were filtered as the configuration says." if filtered else "Nothing was filtered."
    return (
        f"The datasets were: {listed_}. All 12 leads were brought to {config.signal.rate:g} Hz and "
        f"{config.signal.seconds:g} s. {rule} No patient is in two of training, validation and test set."
    )


def _generator(config: Config, name: str) -> str:
    settings = config.generator(name)
    what = f"{name} (the class {settings.class_})" if settings.class_ else _GENERATORS.get(name, name)
    preset = settings.train.get("preset")
    return f"{what} (preset {preset})" if preset else what


def _synthesis(config: Config, repetitions: int) -> str:
    samples = config.samples
    drawn = "the records that the configuration counts" if samples.counts else f"{samples.number:,} records each"
    return (
        f"Class-conditional generators were trained on the training records alone: "
        f"{listed([_generator(config, name) for name in config.generators])}. Each was trained and sampled from "
        f"{times(repetitions)} on a dataset; the synthetic sets hold {drawn}."
    )


def _classification(config: Config) -> str:
    parts = []
    for name in dict.fromkeys(config.dataset_settings[d].classifier for d in config.datasets):
        own = config.classifiers[name]
        limit = f"{own.epochs:,} epochs" + (f" or {own.steps:,} steps" if own.steps else "")
        parts.append(
            f"{_CLASSIFIERS.get(own.kind, own.kind)}, trained with AdamW (learning rate {own.learning_rate:g}, batches "
            f"of {own.batch}) for at most {limit}, stopped early on the validation loss (patience {own.patience})"
        )
    experiments = config.experiments
    shares = listed([f"{100 * share:g} %" for share in experiments.fractions])
    tried = [f"on {shares} of the real training records"]
    tried += ["on the same with all synthetic records added"] if AUGMENTED in experiments.settings else []
    tried += ["on synthetic records alone"] if SYNTHETIC in experiments.settings else []
    sentences = [f"The classifier was {listed(parts)}. The weights with the best validation loss were tested."]
    sentences.append(f"Networks were trained {listed(tried)}, each with {len(experiments.seeds)} seeds.")
    if experiments.transfer.fractions:
        ways = listed([_METHODS[method] for method in experiments.transfer.methods])
        sentences.append(f"Networks that were pre-trained on synthetic records were fine-tuned {ways} on real ones.")
    return " ".join(sentences)


def _statistics(config: Config) -> str:
    level = 100 * config.statistics.confidence
    return (
        f"The metric that decides is {METRIC_NAMES[PRIMARY]} over the classes with at least 10 test patients. "
        "Differences between networks were tested by the method of Obuchowski and Rockette [@obuchowski1995] with "
        "Hillis's degrees of freedom [@hillis2007], seeds as readers and test patients as cases, and corrected by "
        "Holm's method [@holm1979] over all comparisons of one experiment on one dataset. Intervals are at "
        f"{level:g} %; those of single networks come from {config.statistics.bootstrap:,} bootstrap draws over seeds "
        "and test patients."
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
        _classification(config),
        _statistics(config),
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
    escaped = [re.sub(r"([&%$#_{}])", r"\\\1", part) for part in parts[::2]]
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
