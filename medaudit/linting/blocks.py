"""Finds a block of a real film's pixels inside another image, at any place in it.

Every 12 x 12 window of a film gets a rolling hash (Karp & Rabin 1987, in two dimensions, by prefix sums); one in 64
is kept, chosen by the hash itself, so that a copied block keeps the same ones wherever it was moved
(Schleimer et al. 2003). Flat windows tell nothing and are left out. Exact grey values only: likeness is the audit's.

Axes: N films, (Y, X) pixels, W windows, K kept.
"""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

SIDE = 12
_KEPT_BITS = 6  # one window in 64
_LEAST_RANGE = 24  # grey levels of 256 between the darkest and the brightest pixel of a window that is kept
_LEAST_HITS = 3
_ACROSS, _DOWN, _MIX = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93
_WORD = 1 << 64


class Blocks:
    """The kept windows of many films; `shows` tells whether an image holds some of them."""

    def __init__(self, films: Iterable[np.ndarray]) -> None:
        """Films are (Y, X) uint8 or uint16."""
        kept = [_kept(film) for film in films]
        self.hashes = np.unique(np.concatenate(kept)) if kept else np.zeros(0, np.uint64)  # (K,)

    def shows(self, image: np.ndarray) -> bool:
        """Whether at least three kept windows of real films stand in the (Y, X) image."""
        if not len(self.hashes):
            return False
        ours = np.unique(_kept(image))
        spots = np.minimum(np.searchsorted(self.hashes, ours), len(self.hashes) - 1)
        return int((self.hashes[spots] == ours).sum()) >= _LEAST_HITS


def grey(image: np.ndarray, bits: int | None = None) -> np.ndarray:
    """(Y, X) grey values as 8 bits, by way of the 12 that a released DICOM file stores.

    uint8 comes back as it is, from a cohort as from its 12-bit file; `bits` are those in use where not all are.
    """
    if image.dtype == np.uint8:
        return image
    if bits == 12:
        return (image >> 4).astype(np.uint8)
    top = np.uint32(65535)
    return (((image.astype(np.uint32) * (2 * 4095) + top) // (2 * top)) >> 4).astype(np.uint8)


def _kept(image: np.ndarray) -> np.ndarray:
    """(K,) uint64: hashes of the windows that are kept of one image."""
    values = grey(image)
    height, width = values.shape
    if min(height, width) < SIDE:
        return np.zeros(0, np.uint64)
    weights, unweight = _weights(height, width)
    sums = np.zeros((height + 1, width + 1), np.uint64)
    np.multiply(values, weights, out=sums[1:, 1:], casting="unsafe", dtype=np.uint64)
    np.cumsum(sums, axis=0, out=sums)
    np.cumsum(sums, axis=1, out=sums)
    windows = sums[SIDE:, SIDE:] - sums[:-SIDE, SIDE:] - sums[SIDE:, :-SIDE] + sums[:-SIDE, :-SIDE]
    windows *= unweight  # the same block has the same hash wherever it lies
    windows ^= windows >> np.uint64(29)
    windows *= np.uint64(_MIX)
    rows, columns = np.nonzero(windows < np.uint64(1 << (64 - _KEPT_BITS)))
    cut = np.lib.stride_tricks.sliding_window_view(values, (SIDE, SIDE))[rows, columns]  # (W, 12, 12)
    varied = np.ptp(cut.reshape(len(cut), SIDE * SIDE), axis=1) >= _LEAST_RANGE
    return windows[rows[varied], columns[varied]]


@lru_cache(maxsize=8)
def _weights(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers of two odd numbers modulo 2**64 for every pixel, and the inverse of each window's first one."""
    return (
        _powers(_DOWN, height)[:, None] * _powers(_ACROSS, width)[None, :],
        _powers(pow(_DOWN, -1, _WORD), height - SIDE + 1)[:, None]
        * _powers(pow(_ACROSS, -1, _WORD), width - SIDE + 1)[None, :],
    )


def _powers(base: int, count: int) -> np.ndarray:
    found, value = [], 1
    for _ in range(count):
        found.append(value)
        value = value * base % _WORD
    return np.array(found, dtype=np.uint64)
