"""Distances by subtraction in float64: slow, and right down to zero.

Axes: P poses, T tiles, D values per tile, C candidates.
"""

import numpy as np

_UNIT = 2.0**-53


def squared_distances(query: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """(C,) float64: min over poses of max over tiles of mean((a - b)^2).

    `query` (P, T, D) and `candidates` (C, T, D) are float32. An exact copy comes back as exactly 0. With many poses
    a float64 product first rules out those that cannot be the nearest; what is left is subtracted.
    """
    if len(query) == 1:
        return _by_subtraction(query[0][None], candidates)
    poses, places = np.nonzero(_plausible(query, candidates))
    squared = np.full(len(candidates), np.inf)
    step = max(1, (8 << 20) // (8 * query.shape[1] * query.shape[2]))
    for start in range(0, len(poses), step):
        pose, place = poses[start : start + step], places[start : start + step]
        np.minimum.at(squared, place, _by_subtraction(query[pose], candidates[place]))
    return squared


def _by_subtraction(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(C,) float64 for pairs of (C, T, D), or one against many."""
    difference = right.astype(np.float64) - left
    return np.square(difference).mean(axis=-1).max(axis=-1)


def _plausible(query: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """(P, C) bool: poses whose distance may be the smallest, given the error of the expansion in float64."""
    values = query.shape[-1]
    centre = query.mean(axis=0, dtype=np.float64)
    left = (query - centre).swapaxes(0, 1)  # (T, P, D)
    right = (candidates - centre).swapaxes(0, 1)  # (T, C, D)
    norms = np.square(left).sum(-1)[:, :, None] + np.square(right).sum(-1)[:, None, :]  # (T, P, C)
    gap = (norms - 2.0 * (left @ right.swapaxes(1, 2))).max(axis=0)
    error = norms.max(axis=0) * (values + 64) * _UNIT
    return gap - error <= (gap + error).min(axis=0)


def checked(vectors: np.ndarray, what: str) -> np.ndarray:
    """The vectors as float32. Raises ValueError when one is not finite."""
    vectors = np.asarray(vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError(f"{what} hold a value that is not finite")
    return vectors
