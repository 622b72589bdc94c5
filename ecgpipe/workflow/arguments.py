"""Command-line arguments that the scripts of the workflow share."""

from __future__ import annotations

import argparse
from pathlib import Path


def job_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every script has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--log", type=Path, required=True, help="plain-text log of what happened")
    return parser


def result_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every script that makes results."""
    parser = job_parser(description)
    parser.add_argument("--provenance", type=Path, required=True, help="JSON to write: what made the outputs")
    parser.add_argument("--outputs", type=Path, nargs="*", default=[], help="all outputs, for their checksums")
    parser.add_argument("--code", required=True, help="digest of the code this job depends on")
    return parser


def network_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every script that trains or samples networks."""
    parser = result_parser(description)
    parser.add_argument("--threads", type=int, required=True, help="threads of this job")
    parser.add_argument("--gpu", type=int, default=0, help="GPUs granted to this job; 0 computes on the CPU")
    parser.add_argument("--state", type=Path, required=True, help="folder of checkpoints to resume from")
    return parser


def device(args: argparse.Namespace) -> str:
    """Return the device of a job: the first GPU that it was granted, else the CPU."""
    return "cuda" if args.gpu else "cpu"
