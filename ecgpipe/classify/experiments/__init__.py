"""The study's classification experiments: which records each network learns from, validates on and is tested on.

Tr = train on, Te = test on, R = real, S = synthetic.

=========  ==========================================  ====================  ====================================
setting    learns from                                 early stopping on     fraction
=========  ==========================================  ====================  ====================================
TrRTeR     share of real training records              real validation       share of real training records
baseline   that share, by a simple baseline's rule     real validation       share of real training records
TrSTeR     all synthetic training records              synthetic validation  0 (no real record is learnt from)
TrRSTeR    that share and synthetic ones, see ratio    real validation       share of real training records
frozen     that share; from a pre-trained network,     real validation       share of real training records
           dense head only
probe      that share; from a pre-trained network, a   real validation       share of real training records
           new linear layer on its convolutions only
finetuned  that share; from a pre-trained network,     real validation       share of real training records
           all weights
TrSTeS     is TrSTeR's network tested on synthetic test records, TrRTeS the one of TrRTeR
=========  ==========================================  ====================  ====================================

A baseline's setting is its name (:data:`ecgpipe.vocabulary.BASELINES`). At one seed and fraction all settings use the
same real records. The z-score of each network is fitted on the records it
learns from. Names of dataset and generator in the tables are those of the folders; ``generator`` is ``g@other`` for
synthetic records made after another dataset, and ``real:other`` for networks pre-trained on another dataset's real
records. ``tested`` is the dataset, or ``dataset/generator`` for synthetic test records.

Each module holds one experiment: its trainings, and how one of them is done. :mod:`ecgpipe.classify.run` runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgpipe.config import AnyClassifier, ClassifierSettings, OwnClassifierSettings

STACK = 25
"""Networks ``cnn`` that are trained together on a GPU: 25 of the paper's were measured."""


@dataclass(frozen=True)
class Experiment:
    """What every experiment is given.

    Attributes:
        data: folder of the real dataset.
        out: folder for the results.
        classifier: the network and its training.
        fractions: shares of the real training records.
        seeds: one repetition for each.
        state_dir: folder for finished trainings, from which a killed job goes on. The caller gives one of its own to
            each combination of data, settings and code. Deleted at the end.
        device: ``cpu`` or ``cuda``.
        also_test: folders of further datasets whose test records are tested on.
        stacked: how many repetitions are trained together, as :attr:`ecgpipe.config.sections.compute.Compute.stacked`.
    """

    data: Path
    out: Path
    classifier: AnyClassifier
    fractions: Sequence[float]
    seeds: Sequence[int]
    state_dir: Path
    device: str = "cpu"
    also_test: Sequence[Path] = ()
    stacked: int | None = None

    @property
    def stack_size(self) -> int:
        """How many networks that differ in the seed alone are trained together, at most.

        Not of a user's own class: nothing says that torch can compute several at once, nor that each would draw what
        it draws alone.
        """
        if isinstance(self.classifier, OwnClassifierSettings):
            return 1
        gains = self.device == "cuda" and isinstance(self.classifier, ClassifierSettings)
        return self.stacked or (STACK if gains else 1)

    def repetition(self, seed: int, repetitions: int) -> int:
        """Return which of a generator's repetitions a network learns from: seeds in ascending order take turns."""
        return sorted(set(self.seeds)).index(seed) % repetitions
