"""Distances between two samples of vectors or numbers, each under many bootstrap weightings of the records at once.

Weights come from :func:`ecgpipe.closeness.bootstrap.bootstrap_weights`: ``(draws, n)``, a row a draw. The matrix of
squared distances between all pairs is never held in memory whole: it is computed a block of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS = 256
"""Rows of a block of distances: few enough for the block to stay in the processor's cache."""

WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the Gaussian kernels of MMD, in medians of the distances between all records of both sides."""

PERMUTATIONS = 499


def squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield blocks ``(rows of x, (rows, m))`` of the squared Euclidean distances of ``(n, d)`` and ``(m, d)``."""
    y_squared = np.einsum("ij,ij->i", y, y)
    for start in range(0, len(x), ROWS):
        rows = slice(start, min(start + ROWS, len(x)))
        block = x[rows] @ y.T
        block *= -2
        block += np.einsum("ij,ij->i", x[rows], x[rows])[:, None]
        block += y_squared
        yield rows, np.maximum(block, 0, out=block)


def nearest_neighbours(x: np.ndarray, y: np.ndarray, k: int, same: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest neighbours in ``y`` of each row of ``x``.

    Args:
        x: ``(n, d)``.
        y: ``(m, d)``.
        k: number of neighbours; at most m (m - 1 if ``same``).
        same: ``y`` is ``x``, and a point is no neighbour of itself.

    Returns:
        Rows of ``y`` and Euclidean distances, both ``(n, k)``, nearest first. Distances are computed again from the
        differences, since in the product form those of near-copies are lost to rounding.
    """
    places = np.empty((len(x), k), dtype=np.int64)
    for rows, block in squared_distances(x, y):
        if same:
            block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = np.inf
        if k == 1:
            places[rows, 0] = block.argmin(axis=1)
        else:
            places[rows] = np.argpartition(block, k - 1, axis=1)[:, :k] if k < block.shape[1] else np.arange(k)
    distances = np.empty((len(x), k))
    for j in range(k):
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            distances[rows, j] = np.linalg.norm(x[rows] - y[places[rows, j]], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(distances, order, axis=1)


# -- Fréchet ------------------------------------------------------------------------------------------------------


def frechet_distance(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """Return the squared 2-Wasserstein distance of two Gaussians.

    |m_a - m_b|² + tr A + tr B - 2 tr (A^½ B A^½)^½ (Dowson and Landau, The Fréchet distance between multivariate normal
    distributions, 1982); the square roots are of symmetric matrices, by their eigenvalues, so nothing complex arises.
    """
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = np.sqrt(np.clip(inner, 0, None)).sum()
    difference = mean_a - mean_b
    return float(max(0.0, difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * cross))


def weighted_moments(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean ``(d,)`` and unbiased covariance ``(d, d)`` of a sample ``(n, d)`` with counts ``(n,)``."""
    total = weights.sum()
    mean = weights @ x / total
    centred = x - mean
    return mean, (centred * weights[:, None]).T @ centred / (total - 1)


def frechet(a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Return the Fréchet distance of samples ``(n, d)`` and ``(m, d)`` under each weighting, ``(draws,)``, float64."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    values = [
        frechet_distance(*weighted_moments(a, u), *weighted_moments(b, v))
        for u, v in zip(wa.astype(np.float64), wb.astype(np.float64), strict=True)
    ]
    return np.array(values)


# -- maximum mean discrepancy --------------------------------------------------------------------------------------


def median_distance(a: np.ndarray, b: np.ndarray, most: int = 1000) -> float:
    """Return the median distance between points of the pooled sample: the first ``most`` of each side.

    It is the same whichever points are called real, as a permutation test needs it (Gretton et al., JMLR 2012, 8).
    """
    x = np.concatenate([a[:most], b[:most]])
    squared = np.concatenate([block.ravel() for _, block in squared_distances(x, x)])
    off_diagonal = np.delete(squared, np.arange(len(x)) * (len(x) + 1))
    return float(np.sqrt(np.median(off_diagonal)))


def _kernel(squared: np.ndarray, median: float) -> np.ndarray:
    """Return the mean of five Gaussian kernels of squared distances, which are overwritten.

    Each kernel is the fourth power of the next wider one.
    """
    squared /= -2 * (WIDTHS[-1] * median) ** 2
    power = np.exp(squared, out=squared)
    total = power.copy()
    for _ in WIDTHS[1:]:
        np.multiply(power, power, out=power)
        np.multiply(power, power, out=power)
        total += power
    return np.asarray(total / len(WIDTHS))


def _quadratic(x: np.ndarray, y: np.ndarray, wx: np.ndarray, wy: np.ndarray, median: float) -> np.ndarray:
    """Return the sums of wx_i wy_j k(x_i, y_j) over all pairs, one for each row of the weights, in float64.

    Kernels and counts are float32, four times as fast; about the mean their errors are 1e-7 each and of either sign.
    """
    centre = y.mean(axis=0)
    x, y, wx, wy = (np.asarray(part, dtype=np.float32) for part in (x - centre, y - centre, wx, wy))
    total = np.zeros(len(wx))
    for rows, block in squared_distances(x, y):
        total += np.einsum("ib,bi->b", _kernel(block, median) @ wy.T, wx[:, rows], dtype=np.float64)
    return total


def _within(x: np.ndarray, w: np.ndarray, median: float) -> np.ndarray:
    """Return the mean kernel over pairs of different records."""
    same = np.einsum("bi,bi->b", w, w)
    pairs = w.sum(axis=1) ** 2 - same
    return np.asarray((_quadratic(x, x, w, w, median) - same) / pairs)


def mmd(a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Return the unbiased squared maximum mean discrepancy under each weighting, ``(draws,)``.

    Five Gaussian kernels around the median distance of both samples together; Gretton et al., A kernel two-sample test,
    JMLR 2012, equation 3. A record drawn twice is no pair with itself.
    """
    median = median_distance(a, b)
    wa, wb = wa.astype(np.float64), wb.astype(np.float64)
    between = _quadratic(a, b, wa, wb, median) / (wa.sum(axis=1) * wb.sum(axis=1))
    return np.asarray(_within(a, wa, median) + _within(b, wb, median) - 2 * between)


def mmd_p_value(
    a: np.ndarray,
    b: np.ndarray,
    rng: np.random.Generator,
    patients_a: np.ndarray | None = None,
    patients_b: np.ndarray | None = None,
) -> float:
    """Return the permutation p-value of MMD, from 499 exchanges of patients between the two samples.

    A patient's records are alike, so that only whole patients could have been on the other side. The number of records
    a side changes with the exchange; the statistic is therefore taken between patients, each the mean of its records'
    embeddings, so that every patient weighs the same. With one record a patient it is that of :func:`mmd`.

    Args:
        a, b: samples ``(n, d)`` and ``(m, d)``.
        rng: source of randomness.
        patients_a, patients_b: patient of each record; None if every record has a patient of its own.
    """
    sides = [np.arange(len(x)) if p is None else np.asarray(p) for x, p in ((a, patients_a), (b, patients_b))]
    (of_a, of_b), pooled = (np.unique(side, return_inverse=True)[1] for side in sides), np.concatenate([a, b])
    n, m = int(of_a.max()) + 1, int(of_b.max()) + 1
    patient = np.concatenate([of_a, of_b + n])
    kernel = _between_patients(pooled, patient, n + m, median_distance(a, b))
    own = np.diag(kernel).copy()
    first = np.zeros((1 + PERMUTATIONS, n + m))
    first[0, :n] = 1
    for row in first[1:]:
        row[rng.permutation(n + m)[:n]] = 1
    to_first = first @ kernel
    aa, a_all = np.einsum("bi,bi->b", to_first, first), to_first.sum(axis=1)
    ab, bb = a_all - aa, kernel.sum() - 2 * a_all + aa
    own_a, own_b = first @ own, (1 - first) @ own
    values = (aa - own_a) / max(1, n * (n - 1)) + (bb - own_b) / max(1, m * (m - 1)) - 2 * ab / (n * m)
    return float((values >= values[0] - 1e-12).sum() / len(values))


def _between_patients(x: np.ndarray, patient: np.ndarray, patients: int, median: float) -> np.ndarray:
    """Return the mean kernel between the records of every two patients, ``(patients, patients)``, float64."""
    member = np.zeros((patients, len(x)), dtype=np.float32)
    member[patient, np.arange(len(x))] = 1 / np.bincount(patient, minlength=patients)[patient]
    x = np.asarray(x - x.mean(axis=0), dtype=np.float32)
    total = np.zeros((patients, patients))
    for rows, block in squared_distances(x, x):
        total += member[:, rows].astype(np.float64) @ (_kernel(block, median) @ member.T)
    return total


# -- neighbours ------------------------------------------------------------------------------------------------------

NEIGHBOURS = 5


def manifold_scores(a: np.ndarray, b: np.ndarray, k: int = NEIGHBOURS) -> dict[str, np.ndarray]:
    """Return what precision, recall, density and coverage are means of.

    Kynkäänniemi et al., Improved precision and recall metric, NeurIPS 2019; Naeem et al., Reliable fidelity and
    diversity metrics, ICML 2020.

    Args:
        a: real sample ``(n, d)``.
        b: synthetic sample ``(m, d)``.
        k: neighbours; the radius of a point is the distance to its k-th nearest of the same sample.

    Returns:
        ``precision`` and ``density`` of each synthetic point ``(m,)``, ``recall`` and ``coverage`` of each real point
        ``(n,)``.
    """
    a_radius = nearest_neighbours(a, a, k, same=True)[1][:, -1] ** 2
    b_radius = nearest_neighbours(b, b, k, same=True)[1][:, -1] ** 2
    inside, recall, coverage = np.zeros(len(b)), np.zeros(len(a)), np.zeros(len(a))
    for rows, block in squared_distances(a, b):
        within = block <= a_radius[rows, None]
        inside += within.sum(axis=0)
        coverage[rows] = within.any(axis=1)
        recall[rows] = (block <= b_radius).any(axis=1)
    return {"precision": (inside > 0).astype(float), "density": inside / k, "recall": recall, "coverage": coverage}


# -- Wasserstein -----------------------------------------------------------------------------------------------------


def wasserstein(a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Return the 1-Wasserstein distance of numbers ``(n,)`` and ``(m,)`` under each weighting, ``(draws,)``.

    The area between the two weighted distribution functions; values that are NaN are left out.
    """
    known_a, known_b = ~np.isnan(a), ~np.isnan(b)
    values = np.concatenate([a[known_a], b[known_b]])
    order = np.argsort(values, kind="stable")
    wa, wb = wa[:, known_a].astype(np.float64), wb[:, known_b].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        wa, wb = wa / wa.sum(axis=1, keepdims=True), wb / wb.sum(axis=1, keepdims=True)
    steps = np.concatenate([wa, -wb], axis=1)[:, order[:-1]]
    return np.asarray(np.abs(np.cumsum(steps, axis=1)) @ np.diff(values[order]))


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Return the mean 1-Wasserstein distance over projections ``(n, p)`` and ``(m, p)``, ``(draws,)``."""
    return np.asarray(np.mean([wasserstein(x, y, wa, wb) for x, y in zip(a.T, b.T, strict=True)], axis=0))
