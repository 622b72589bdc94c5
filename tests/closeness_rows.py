"""Rows of the closeness tables, for whatever reads them."""

import numpy as np
import pandas as pd

from ecgpipe.files import write_parquet
from ecgpipe.vocabulary import ALL, COPIES

ABOUT = {"spectrum": {"title": "power spectrum", "definition": "Difference <of> spectra.", "blind": "phase"}}


def row(**changes):
    values = {"value": 3.0, "low": 2.5, "high": 3.5, "floor": 1.0, "floor_low": 0.8, "floor_high": 1.2, "note": ""}
    key = {"dataset": "a", "generator": "gen", "class": ALL, "measure": "spectrum", "lead": ALL}
    return {**key, **values, "direction": "lower", "unit": "dB", "n": 40, "p_value": np.nan, **changes}


def write_tables(folder, verdict):
    missing = {"value": np.nan, "low": np.nan, "high": np.nan, "floor": np.nan, "floor_low": np.nan}
    rows = [
        row(),
        row(generator="control: copies", value=1.1),
        row(**{"class": "SR", "value": 0.9, "low": 0.7, "high": 1.1}),
        row(**{"class": "AFIB", **missing, "note": "no synthetic record of AFIB"}),
    ]
    write_parquet(folder / "closeness.parquet", pd.DataFrame(rows), {"measures": ABOUT})
    key = {"dataset": "a", "generator": "gen"}
    figures = {"measure": "near_copies", "value": 2.0, "low": np.nan, "high": np.nan, "floor": 0.0, "n": 70, "note": ""}
    figures |= {"class": ALL, "direction": "lower", "unit": ""}
    found = {**key, **figures, "verdict": verdict, "reason": "2 near copies of training records were found"}
    by_class = {**found, "class": "AFIB", "value": np.nan, "note": "no synthetic record"}
    control = {**found, "generator": "control: copies", "verdict": COPIES}  # is no generator to call out
    write_parquet(folder / "privacy.parquet", pd.DataFrame([found, by_class, control]))
    pair = {"synthetic": "s7", "training": "t3", "kind": "near", "similarity": 0.991, "shift": -0.5, "distance": 0.2}
    write_parquet(folder / "copies.parquet", pd.DataFrame([{**key, **pair}]))
    curve = {**key, "picture": "RR", "class": "SR", "lead": "II", "n": 3, "x": np.arange(4.0), "y": np.ones(4)}
    write_parquet(folder / "curves.parquet", pd.DataFrame([curve]))
    place = {"class": "SR", "record": "s7", "pca_1": 0.0, "pca_2": 1.0, "tsne_1": 0.0, "tsne_2": 1.0}
    write_parquet(folder / "points.parquet", pd.DataFrame([{**key, **place}]))
