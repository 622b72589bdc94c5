"""Names of what a study has several times: rotations of a dataset, repetitions of a generator."""

from __future__ import annotations


def numbered(name: str, number: int) -> list[str]:
    """Return the names of ``number`` of them: the first has the plain name, the second is ``name-2``."""
    return [name, *(f"{name}-{place}" for place in range(2, number + 1))]


def unnumbered(name: str) -> str:
    """Return the plain name of one of them; plain names have no hyphen."""
    return name.partition("-")[0]
