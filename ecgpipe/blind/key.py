"""The key of the blind test: which of its ECGs are real, and which rhythm each has."""

from __future__ import annotations

from typing import TypedDict

KEY_FORMAT = "ecgpipe blind key 1"
ANSWERS_FORMAT = "ecgpipe blind answers 1"


class Item(TypedDict):
    """What an ECG of the test is.

    Attributes:
        real: whether no generator made it.
        set: ``real``, ``simulated`` or the generator.
        dataset: its dataset.
        rhythm: its class.
        record: its name there.
    """

    real: bool
    set: str
    dataset: str
    rhythm: str
    record: str


class Key(TypedDict):
    """The key, as in ``blind_key.json``: ``test`` names the test, ``items`` has an entry for each of its ECGs."""

    format: str
    test: str
    classes: list[str]
    items: dict[str, Item]
