"""The tables of all datasets and generators, joined; of what they lack only the map of all records is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE

from ecgpipe.closeness.names import TABLES
from ecgpipe.files import read_parquet_metadata, write_parquet

_PERPLEXITY = 30.0
_SEED = 20241130


def join(parts: Mapping[str, Sequence[Path]], out: str | Path) -> None:
    """Join the tables of all datasets and generators in ``out``: each of :data:`TABLES`, as ``.parquet``.

    What each measure is and is blind to travels in the first table's metadata.

    Args:
        parts: files of each table.
        out: folder.

    Raises:
        FileNotFoundError: if one is missing.
    """
    for name in TABLES:
        table = pd.concat([pd.read_parquet(path) for path in parts[name]], ignore_index=True)
        metadata = read_parquet_metadata(parts[name][0]) if name == "closeness" else None
        write_parquet(Path(out) / f"{name}.parquet", mapped(table) if name == "points" else table, metadata)


def mapped(points: pd.DataFrame) -> pd.DataFrame:
    """Put the records of each dataset on two maps.

    Args:
        points: columns dataset, generator, class, record, features (arrays).

    Returns:
        In the place of the features ``pca_1``, ``pca_2``, the first two of them (axes that real training records define),
        and ``tsne_1``, ``tsne_2``: t-SNE (van der Maaten and Hinton, JMLR 2008) of all records of a dataset together, real ones
        and every generator's, NaN where there are fewer than four.
    """
    parts = []
    for _, own in points.groupby("dataset", sort=False):
        features = np.stack(own["features"].to_list())
        plane = np.full((len(own), 2), np.nan)
        plane[:, : features.shape[1]] = features[:, :2]
        places = np.full((len(own), 2), np.nan)
        if len(own) > 3:
            perplexity = min(_PERPLEXITY, (len(own) - 1) / 3)
            places = TSNE(perplexity=perplexity, init="pca", random_state=_SEED).fit_transform(features)
        parts.append(
            own.drop(columns="features").assign(
                pca_1=plane[:, 0], pca_2=plane[:, 1], tsne_1=places[:, 0], tsne_2=places[:, 1]
            )
        )
    return pd.concat(parts, ignore_index=True)
