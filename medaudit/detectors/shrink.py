"""Area averaging by matrices: how a window of an image is brought to fewer pixels.

Axes: K output pixels, L input pixels along one side.
"""

import numpy as np


def area_matrix(size: int, target: int, start: float = 0.0, stop: float | None = None) -> np.ndarray:
    """(K=target, L=size) float64 weights: output i is the mean of the input between the edges i and i + 1.

    The window [start, stop) in pixels (default: all of the side) is cut into `target` equal parts; a part that
    covers a pixel by a fraction counts it by that fraction. What lies outside the image is repeated from its edge.
    """
    stop = float(size) if stop is None else stop
    edges = start + (stop - start) * np.arange(target + 1) / target
    left, right = edges[:-1, None], edges[1:, None]  # (K, 1)
    pixel = np.arange(size)[None, :]  # (1, L)
    lower = np.where(pixel == 0, -np.inf, pixel)
    upper = np.where(pixel == size - 1, np.inf, pixel + 1)
    cover = np.clip(np.minimum(right, upper) - np.maximum(left, lower), 0.0, None)
    return cover / (right - left)


def shrink(images: np.ndarray, longest: int) -> np.ndarray:
    """(N, Y, X) float32 with each side longer than `longest` averaged down to it; smaller images pass unchanged."""
    _, height, width = images.shape
    result = np.asarray(images, dtype=np.float32)
    # One product per image, never one over the batch: an image must come out the same, to the last bit, in any batch,
    # or an exact copy would not be at distance 0.
    if height > longest:
        result = area_matrix(height, longest).astype(np.float32) @ result
    if width > longest:
        result = result @ area_matrix(width, longest).astype(np.float32).T
    return np.ascontiguousarray(result)
