"""Max pooling of the paper's CNN: what is left of a record, and how long a record must be."""

POOL, STRIDE = 5, 2
"""Samples of each pooling, and its stride."""


def pooled_length(length: int, blocks: int) -> int:
    """Return the samples left of ``length`` after ``blocks`` poolings (below 1: none)."""
    for _ in range(blocks):
        length = (length - POOL) // STRIDE + 1
    return length


def shortest_length(blocks: int) -> int:
    """Return the samples of the shortest record that ``blocks`` poolings leave something of."""
    length = 1
    for _ in range(blocks):
        length = STRIDE * (length - 1) + POOL
    return length
