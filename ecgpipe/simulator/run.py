"""Simulated data sets in the layouts of PTB-XL 1.0.3 and ecg-arrhythmia 1.0.0, without any real patient.

Headers, tables, codes and checksums are written as in the real data sets, so that whatever reads those reads these.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ecgpipe.config import SimulatedSource
from ecgpipe.simulator.ecg_arrhythmia import write_ecg_arrhythmia
from ecgpipe.simulator.output import ProjectWriter
from ecgpipe.simulator.ptbxl import write_ptbxl
from ecgpipe.simulator.records import FORMATS, DrawRecord, draw_record, plan_records


def simulate(
    source: SimulatedSource, format: str, rate: int, folder: Path, draw: DrawRecord = draw_record
) -> pd.DataFrame:
    """Write simulated records into a new folder, in the layout of PTB-XL or of ecg-arrhythmia.

    The same arguments give the same bytes. ``ptbxl`` is written at 100 Hz if ``rate`` is at most 100, otherwise at
    500 Hz; ``ecg_arrhythmia`` always at 500 Hz, as the original.

    Every class with a weight gets at least 10 records, or half an equal share if there are fewer than 20 records a
    class: ``max(1, min(10, records // (2 * classes)))``. That many records of each class are faultless and of patients
    of their own. Beyond them, at the rates of ``ecgpipe.simulator.records.SHARES``, patients come again (ptbxl), codes
    name two of the seven rhythms or none, ages are missing, and leads are flat (ecg_arrhythmia). Folds (ptbxl) keep a
    patient's records together and spread each class's patients evenly.

    Args:
        source: how many records, which hospital, mix and seed.
        format: ``ptbxl`` or ``ecg_arrhythmia``.
        rate: sampling rate of the study, Hz.
        folder: where to write; must not exist yet.
        draw: draws a record's patient and samples.

    Returns:
        The manifest, a row a file: path (below ``folder``, with slashes), bytes (int64), sha256; sorted by path.

    Raises:
        ValueError: if the format is unknown.
        FileExistsError: if ``folder`` exists.
    """
    if format not in FORMATS:
        raise ValueError(f"`format`: {format!r} is not known; allowed: {', '.join(FORMATS)}")
    records = plan_records(source, format)
    folder.mkdir(parents=True)
    output = ProjectWriter(folder)
    if format == "ptbxl":
        write_ptbxl(output, source, records, rate, draw)
    else:
        write_ecg_arrhythmia(output, source, records, draw)
    return output.finish()
