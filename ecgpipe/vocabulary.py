"""The words that result tables and configuration share, each defined once.

Nothing is imported here, so every stage can import this module. It is part of the code digest of every job that does:
a changed word is a changed table. Words of one stage alone, and words that are only printed, stand elsewhere
(:mod:`ecgpipe.prose`).
"""

# -- column `setting` ---------------------------------------------------------------------------------------------
# Tr = train on, Te = test on, R = real, S = synthetic.

REAL, SYNTHETIC, AUGMENTED = "TrRTeR", "TrSTeR", "TrRSTeR"
SYNTHETIC_ON_SYNTHETIC, REAL_ON_SYNTHETIC = "TrSTeS", "TrRTeS"
SETTINGS = (REAL, SYNTHETIC, AUGMENTED, SYNTHETIC_ON_SYNTHETIC, REAL_ON_SYNTHETIC)
"""All that ``experiments.settings`` may name."""

FROZEN, FINETUNED, PROBE = "frozen", "finetuned", "probe"
METHODS = (FROZEN, FINETUNED, PROBE)
"""Ways to go on from a pre-trained network; ``experiments.transfer.methods`` names them."""

OVERSAMPLING, CLASS_WEIGHTS = "oversampling", "class_weights"
CLASSICAL_AUGMENTATION, MIXUP = "classical_augmentation", "mixup"
BASELINES = (OVERSAMPLING, CLASS_WEIGHTS, CLASSICAL_AUGMENTATION, MIXUP)
"""Simple ways to make more of the real records alone; ``experiments.baselines`` names them."""

# -- column `generator` -------------------------------------------------------------------------------------------

NO_GENERATOR = "none"
"""Of networks that learnt from no synthetic record."""
POOLED = "all"
"""The samples of all generators together."""
CROSS_SET = "@"
"""``g@other``: samples of generator ``g``, trained on the dataset ``other``."""
REAL_SOURCE = "real:"
"""``real:other``: no samples; the network was pre-trained on the real records of ``other``."""
CONTROL = "control: "
"""What stands before the name of a control of the closeness stage."""
REAL_HELD_OUT, REAL_TRAINING = "real: held out", "real: training"
"""Real records, where the closeness stage draws them beside a generator's."""

# -- column `ratio` -----------------------------------------------------------------------------------------------

NO_RATIO = "none"
"""Of networks that did not learn from real and synthetic records together."""
ALL_SYNTHETIC = "all"
"""All synthetic training records are added."""
BALANCE = "balance"
"""Synthetic records fill rare classes up."""

# -- columns `class`, `lead`, `split` -----------------------------------------------------------------------------

ALL = "all"
"""Rows over all classes, leads or splits."""
MACRO = "macro"
"""The mean over classes."""

# -- column names -------------------------------------------------------------------------------------------------

PROBABILITY = "p_"
"""``p_<class>`` in predictions.parquet: the class's probability."""
TRAINING_RECORDS = "n_train_"
"""``n_train_<class>`` in training.parquet: training records of the class."""

# -- column `metric` ----------------------------------------------------------------------------------------------

CLASS_METRICS = ("precision", "recall", "f1", "roc_auc", "average_precision")
"""Metrics of each class and of :data:`MACRO`."""
OVERALL_METRICS = ("accuracy", "balanced_accuracy", "cohen_kappa")
"""Metrics of :data:`ALL`."""
CALIBRATION_ERROR = "calibration_error"
"""A metric of :data:`ALL` that is not resampled."""

COMPARED = {
    "macro_f1": (MACRO, "f1"),
    "macro_roc_auc": (MACRO, "roc_auc"),
    "macro_precision": (MACRO, "precision"),
    "balanced_accuracy": (ALL, "balanced_accuracy"),
    "accuracy": (ALL, "accuracy"),
}
"""Metrics of the comparisons, as (class, metric) of the other tables: the paper's five (macro recall is balanced
accuracy). In comparisons, macro averages leave out rhythms with few test patients."""

PRIMARY = "macro_f1"
"""The metric that decides, named before any result was seen; the others describe."""

# -- column `experiment` ------------------------------------------------------------------------------------------

AUGMENTATION, TRANSFER, SYNTHETIC_ONLY = "augmentation", "transfer", "synthetic only"
FULL_FINE_TUNING, LINEAR_PROBE = "full fine-tuning", "linear probe"
CROSS, REAL_PRETRAINING, AGAINST_REAL_PRETRAINING = "cross-set", "real pre-training", "against real pre-training"
BETWEEN = "between generators"
"""A network pre-trained on one generator's records against one that was pre-trained on another's."""
SIMPLE_BASELINE, AGAINST_BASELINE = "simple baseline", "against simple baseline"
EXPERIMENTS = {
    **dict.fromkeys(BASELINES, SIMPLE_BASELINE),
    AUGMENTED: AUGMENTATION,
    FROZEN: TRANSFER,
    FINETUNED: FULL_FINE_TUNING,
    PROBE: LINEAR_PROBE,
    SYNTHETIC: SYNTHETIC_ONLY,
}
"""Experiment of each setting that is compared with real records only."""

# -- column `against` ---------------------------------------------------------------------------------------------

REAL_ONLY = "real only"

# -- column `verdict` ---------------------------------------------------------------------------------------------

CANNOT_TELL = "cannot tell"
"""The verdict of any table where there is too little to judge by."""
HELPS, NO_DIFFERENCE, HARMS = "helps", "no difference shown", "harms"
"""Of a comparison."""
AGREES, DISAGREES = "agrees", "disagrees"
"""Of the study beside a conclusion of the paper."""
COPIES, MEMORISES, NO_SIGN = "copies", "memorises", "no sign of copying"
"""Of a generator's privacy."""
