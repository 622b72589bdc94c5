"""Words in the tables of this stage alone. The report reads them too, so this module imports nothing."""

CLASS_MIX = "class_mix"

SPECTRUM, AUTOCORRELATION, AMPLITUDE, BEAT, RR = "spectrum", "autocorrelation", "amplitude", "beat", "RR"
INTERVALS = ("PR", "QRS", "QT")
"""Curves that are drawn; the last ones only where records are delineated."""

TABLES = ("closeness", "privacy", "copies", "curves", "points")

PICTURES = ("map", "tsne", "beats", SPECTRUM, AUTOCORRELATION, AMPLITUDE, "intervals")
"""What is drawn of each dataset."""
