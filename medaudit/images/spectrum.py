"""Grey values and fine detail of an image as short rows of numbers, for comparing sets of images.

Axes: N images, (Y, X) pixels, B bins of grey, R rings of spatial frequency.
"""

import numpy as np

WINDOW = (
    256  # pixels a side, at most, that a spectrum is taken of: the middle of the image, at its own resolution
)
RINGS = 32  # from 0 to 0.5 cycles a pixel
FINE = 0.25  # cycles a pixel: from here on a ring counts as fine detail
_FLOOR = 1e-12  # of the power: a flat image has none, and its logarithm must be finite


def grey_shares(images: np.ndarray, bins: int = 256) -> np.ndarray:
    """(N, Y, X) float in [0, 1] → (N, B) float64, the share of each image's pixels in equal bins of grey."""
    flat = np.clip(np.asarray(images).reshape(len(images), -1), 0.0, 1.0)
    place = np.minimum((flat * bins).astype(np.int64), bins - 1)  # (N, Y X)
    place += bins * np.arange(len(flat))[:, None]
    counts = np.bincount(place.ravel(), minlength=bins * len(flat)).reshape(len(flat), bins)
    return counts / flat.shape[1]


def radial_log_power(images: np.ndarray) -> np.ndarray:
    """(N, Y, X) float in [0, 1] → (N, R) float64, log10 of the mean spectral power in rings of spatial frequency.

    The middle of the image, at most WINDOW pixels a side, without its mean, under a Hann window (Harris 1978), so that
    the frame's edges do not pose as detail. Rings that hold no frequency of a small image are NaN.
    """
    middle = _middle(np.asarray(images, dtype=np.float32))
    height, width = middle.shape[1:]
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1]).astype(np.float32)
    centred = (middle - middle.mean(axis=(1, 2), keepdims=True)) * window
    power = np.square(np.abs(np.fft.rfft2(centred, norm="ortho"))) / np.square(window).mean()
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    ring = np.minimum((radius * 2 * RINGS).astype(np.int64), RINGS)  # beyond 0.5, the corners: left out
    ring[0, 0] = RINGS  # the mean
    size = np.bincount(ring.ravel(), minlength=RINGS + 1)[:RINGS]
    sums = np.stack([np.bincount(ring.ravel(), one.ravel(), RINGS + 1)[:RINGS] for one in power])
    with np.errstate(invalid="ignore"):
        return np.log10(np.where(size > 0, sums / np.where(size > 0, size, 1), np.nan) + _FLOOR)


def fine_rings() -> np.ndarray:
    """(R,) bool, the rings of fine detail."""
    return np.arange(RINGS) / (2 * RINGS) >= FINE


def _middle(images: np.ndarray) -> np.ndarray:
    height, width = images.shape[1:]
    top, left = max(0, (height - WINDOW) // 2), max(0, (width - WINDOW) // 2)
    return images[:, top : top + min(height, WINDOW), left : left + min(width, WINDOW)]
