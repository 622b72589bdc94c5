"""`compute`: how jobs use the machine."""

from __future__ import annotations

from pydantic import Field

from ecgpipe.config.sections.base import Section


class Compute(Section):
    """Results do not depend on the number of cores Snakemake is given, as long as there are ``threads``. They differ \
by rounding between a CPU and a GPU, and with ``processes`` and ``stacked``."""

    threads: int = Field(
        1,
        ge=1,
        description="Threads of each training, sampling and classification job. Two jobs with one thread each are "
        "faster than one job with two.",
    )
    workers: int = Field(2, ge=1, description="Processes of each preprocessing job.")
    processes: int = Field(
        1,
        ge=1,
        description="Processes, of `threads` threads each, of every generator's training and sampling job; on GPUs "
        "each has one of its own. Training divides its batches among them.",
    )
    stacked: int | None = Field(
        None,
        ge=1,
        description="Most repetitions of a classifier (networks that differ in the seed alone) that a job trains "
        "together; null: on a GPU 25 of the network `cnn`, otherwise 1. Together is faster on a GPU and slower on a "
        "CPU, and needs memory for all of them: with a number a job ends if memory runs out, with null it trains one "
        "after another. Results differ by rounding.",
    )
