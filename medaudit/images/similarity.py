"""How alike two images are, one pair at a time, in float64: the plain definitions that the fast search is
checked against (STATISTICS.md section 1). Axes: (Y, X) pixels."""

import numpy as np

from medaudit.images.intensity import normalise_one


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    """Root of the mean squared difference of two (Y, X) images, in their unit; exactly 0 for equal ones."""
    _same_shape(a, b)
    return float(np.sqrt(np.mean(np.square(a.astype(np.float64) - b.astype(np.float64)))))


def tile_distance(a: np.ndarray, b: np.ndarray, tiles: int = 4) -> float:
    """Largest RMSE over a `tiles` x `tiles` grid of non-overlapping parts (Carlini et al. 2023, sec. 4.2).

    Sides that do not divide evenly give the first tiles one pixel more, as `np.array_split` does.
    """
    _same_shape(a, b)
    if not 1 <= tiles <= min(a.shape):
        raise ValueError("there must be at least one pixel a tile")
    squared = np.square(a.astype(np.float64) - b.astype(np.float64))
    means = [
        part.mean() for band in np.array_split(squared, tiles, 0) for part in np.array_split(band, tiles, 1)
    ]
    return float(np.sqrt(max(means)))


def local_contrast_correlation(a: np.ndarray, b: np.ndarray, window: int) -> float:
    """Pearson correlation of two (Y, X) images after local contrast normalisation; 0 if one is flat."""
    _same_shape(a, b)
    left = normalise_one(a, window)
    right = normalise_one(b, window)
    left -= left.mean()
    right -= right.mean()
    scale = np.sqrt(np.sum(left * left) * np.sum(right * right))
    return float(np.clip(np.sum(left * right) / scale, -1.0, 1.0)) if scale > 0 else 0.0


def _same_shape(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError("two (Y, X) images of one shape are expected")
