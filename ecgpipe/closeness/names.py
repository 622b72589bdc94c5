"""Words in the tables of this stage. The report reads them too, so this module imports nothing."""

ALL = "all"
"""Class and lead of pooled rows."""

CONTROL = "control: "
"""Prefix of a control's name in the column `generator`."""

CLASS_MIX = "class_mix"

COPIES, MEMORISES, NO_SIGN, CANNOT_TELL = "copies", "memorises", "no sign of copying", "cannot tell"
"""Verdicts on privacy."""

HELD_OUT, TRAINING = "real: held out", "real: training"
"""Values of the column `generator` for curves and points of real records."""

SPECTRUM, AUTOCORRELATION, AMPLITUDE, BEAT, RR = "spectrum", "autocorrelation", "amplitude", "beat", "RR"
INTERVALS = ("PR", "QRS", "QT")
"""Curves that are drawn; the last ones only where records are delineated."""

TABLES = ("closeness", "privacy", "copies", "curves", "points")

PICTURES = ("map", "tsne", "beats", SPECTRUM, AUTOCORRELATION, AMPLITUDE, "intervals")
"""What is drawn of each dataset."""
