"""From stored pixel values to float32 in [0, 1] and back, and the sizes and tones that detectors compare.

Axes: N images, (Y, X) rows and columns of pixels. "unit" means float32 in [0, 1], bright is dense (bone).
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import ndimage, sparse

Fit = Literal["pad", "crop", "squash"]


def percentile_unit(
    values: np.ndarray, low: float = 0.5, high: float = 99.5, counted: np.ndarray | None = None
) -> np.ndarray:
    """Values (Y, X) of any unit → float32 in [0, 1]: percentile `low` becomes 0, `high` becomes 1.

    Where `counted` (Y, X) bool is given, the percentiles are those of its pixels alone, and the rest becomes 0.
    A film whose percentiles coincide (nearly all of it background) is scaled by its extremes instead.
    Raises ValueError for a constant image or for values that are not finite.
    """
    if not 0 <= low < high <= 100:
        raise ValueError("percentiles must satisfy 0 <= low < high <= 100")
    values = np.asarray(values, dtype=np.float64)
    if counted is not None:
        unit = np.zeros(values.shape, dtype=np.float32)
        unit[counted] = percentile_unit(values[counted], low, high)
        return unit
    least, most = (values.min(), values.max()) if values.size else (np.nan, np.nan)
    if not np.isfinite(least) or not np.isfinite(most):  # either is not a number where any value is not
        raise ValueError("pixel values are missing or not finite")
    if max(-least, most) > 1e300:  # a difference of two would overflow
        raise ValueError("pixel values are too far apart")
    bottom, top = np.percentile(values, [low, high])
    if top <= bottom:
        bottom, top = least, most
    span = top - bottom
    if not span > 0:
        raise ValueError("constant image")
    unit = values - bottom
    unit /= span
    return np.clip(unit, 0.0, 1.0, out=unit).astype(np.float32)


def full_range_unit(stored: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned stored values (Y, X) → float32 in [0, 1], 0 is 0 and 2**bits - 1 is 1. ValueError if wider."""
    top = _top(bits)
    if not np.issubdtype(stored.dtype, np.integer):
        raise ValueError("stored values must be integers")
    if stored.size and (stored.min() < 0 or stored.max() > top):
        raise ValueError(f"stored values do not fit in {bits} unsigned bits")
    return (stored.astype(np.float64) / top).astype(np.float32)


def to_depth(unit: np.ndarray, dtype: type | np.dtype) -> np.ndarray:
    """Float in [0, 1], any shape → uint8 or uint16 over its full range, rounded to the nearest."""
    dtype = np.dtype(dtype)
    if dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise ValueError("pixels are kept as uint8 or uint16")
    unit = np.asarray(unit, dtype=np.float64)
    if not np.isfinite(unit).all():
        raise ValueError("pixel values are not finite")
    return np.rint(np.clip(unit, 0.0, 1.0) * np.iinfo(dtype).max).astype(dtype)


def resize_unit(unit: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Unit image (Y, X) → unit image of `shape` (Y2, X2): bilinear, widened to the source pixels it covers
    when shrinking so that nothing aliases (the triangle filter of Pillow's BILINEAR).

    Two sparse products, so a 3000 x 3000 film costs milliseconds and the sum has one order on every machine.
    """
    if unit.ndim != 2 or min(unit.shape) < 1 or min(shape) < 1:
        raise ValueError("a (Y, X) image and a shape of at least 1 x 1 are expected")
    if tuple(shape) == unit.shape:
        return np.asarray(unit, dtype=np.float32).copy()
    rows = _triangle(unit.shape[0], shape[0])  # (Y2, Y)
    columns = _triangle(unit.shape[1], shape[1])  # (X2, X)
    part = rows @ np.asarray(unit, dtype=np.float64)  # (Y2, X)
    return np.clip((columns @ part.T).T, 0.0, 1.0).astype(np.float32, order="C")


def fit_square(unit: np.ndarray, size: int, fit: Fit = "pad") -> np.ndarray:
    """Unit image (Y, X) → (size, size): `pad` keeps all of it and fills with 0, `crop` keeps the central
    square, `squash` changes the aspect. Raises ValueError for another word."""
    height, width = unit.shape
    if fit == "squash":
        return resize_unit(unit, (size, size))
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return resize_unit(unit[top : top + side, left : left + side], (size, size))
    if fit == "pad":
        longest = max(height, width)
        inner = (max(1, round(height * size / longest)), max(1, round(width * size / longest)))
        top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
        square = np.zeros((size, size), dtype=np.float32)
        square[top : top + inner[0], left : left + inner[1]] = resize_unit(unit, inner)
        return square
    raise ValueError("fit must be pad, crop or squash")


def local_contrast_normalise(images: np.ndarray, window: int, floor: float = 0.1) -> np.ndarray:
    """Images (N, Y, X) → float32 (N, Y, X) with local mean 0 and local standard deviation 1 over `window`.

    The deviation is not let under `floor` times the deviation of the whole image, so flat areas stay near 0;
    because the floor follows the image, brightness and contrast drop out exactly. A constant image gives 0.
    """
    if images.ndim != 3 or window < 2:
        raise ValueError("(N, Y, X) images and a window of at least 2 pixels are expected")
    result = np.empty(images.shape, dtype=np.float32)
    for index, image in enumerate(images):
        result[index] = normalise_one(image, window, floor)
    return result


def normalise_one(image: np.ndarray, window: int, floor: float = 0.1) -> np.ndarray:
    """`local_contrast_normalise` of one image (Y, X), float64."""
    centred = np.asarray(image, dtype=np.float64) - np.mean(image, dtype=np.float64)
    overall = centred.std()
    if overall <= 1e-9:  # rounding noise of a constant image must not be blown up
        return np.zeros_like(centred)
    mean = ndimage.uniform_filter(centred, window, mode="reflect")
    variance = ndimage.uniform_filter(np.square(centred), window, mode="reflect") - np.square(mean)
    return (centred - mean) / np.maximum(np.sqrt(np.maximum(variance, 0.0)), floor * overall)


def _top(bits: int) -> int:
    if not 1 <= bits <= 32:
        raise ValueError("bits must be between 1 and 32")
    return 2**bits - 1


@lru_cache(maxsize=64)
def _triangle(source: int, target: int) -> sparse.csr_array:
    """Weights (target, source), rows summing to 1: a triangle as wide as the larger of the two pixels."""
    scale = source / target
    reach = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale  # in source pixels, edges at whole numbers
    taps = np.arange(int(np.ceil(2 * reach)) + 2)
    first = np.floor(centres - reach).astype(np.int64)
    columns = first[:, None] + taps[None, :]  # (target, taps)
    weights = np.maximum(1.0 - np.abs(columns + 0.5 - centres[:, None]) / reach, 0.0)
    weights[(columns < 0) | (columns >= source)] = 0.0  # outside the film nothing is known: renormalised
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(target), len(taps))
    matrix = sparse.coo_array(
        (weights.ravel(), (rows, np.clip(columns, 0, source - 1).ravel())), shape=(target, source)
    )
    return matrix.tocsr()
