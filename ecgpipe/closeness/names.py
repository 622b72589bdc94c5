"""Words that the tables of this stage are written with; imports nothing, for the report needs them too."""

ALL = "all"
"""Class and lead of pooled rows."""

CONTROL = "control: "
"""What stands before a control's name in the column `generator`."""

CLASS_MIX = "class_mix"

COPIES, MEMORISES, NO_SIGN, CANNOT_TELL = "copies", "memorises", "no sign of copying", "cannot tell"
"""Verdicts on privacy."""
