"""Edits that a copy may have gone through: what the planted controls do to a training image.

Every function takes and returns float32 in [0, 1] of shape (Y, X), unchanged shape. `plant` draws a strength
from the caller's generator; the same generator state gives the same pixels.
"""

from collections.abc import Callable

import numpy as np
from scipy import fft, ndimage

from medaudit.images.intensity import resize_unit

NOISE_SIGMA = 0.05
BLUR_OF_SIDE = 0.015
BLUR_LEAST_PX = 0.7
GAMMA_RANGE = (0.6, 1.6)
WINDOW_LOW = (0.1, 0.2)
WINDOW_HIGH = (0.8, 0.9)
JPEG_QUALITY = 40
SHIFT_OF_SIDE = 0.04

# What `plant` does, in the words a report prints.
STRENGTHS: dict[str, str] = {
    "identity": "unchanged",
    "noise": "Gaussian, sigma 0.05 of the range",
    "blur": "Gaussian, sigma 1.5 % of the side, at least 0.7 px",
    "contrast": "window [0.1 to 0.2, 0.8 to 0.9] and gamma 0.6 to 1.6",
    "jpeg": "JPEG quality 40",
    "flip": "mirrored left to right",
    "shift": "up to 4 % of the side along each axis, whole pixels",
}


def plant(kind: str, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Image (Y, X), float32 in [0, 1] → its copy after the edit `kind`; STRENGTHS says how strong.

    Raises ValueError for a kind that is not in STRENGTHS.
    """
    if kind not in _PLANTS:
        raise ValueError(f"unknown kind of planted copy {kind!r}; known: {', '.join(_PLANTS)}")
    return _PLANTS[kind](np.asarray(image, dtype=np.float32), rng)


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Adds independent Gaussian noise of standard deviation `sigma`, clipped to [0, 1]."""
    return _unit(image + sigma * rng.standard_normal(image.shape))


def blur(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur, standard deviation in pixels, edges reflected."""
    return _unit(ndimage.gaussian_filter(image.astype(np.float64), sigma_px, mode="reflect"))


def gamma(image: np.ndarray, g: float) -> np.ndarray:
    """Raises every pixel to the power `g`: above 1 darkens."""
    return _unit(np.power(image.astype(np.float64), g))


def window(image: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Stretches [lo, hi] to [0, 1] and clips what lies outside."""
    if not hi > lo:
        raise ValueError("a window needs hi > lo")
    return _unit((image.astype(np.float64) - lo) / (hi - lo))


def equalise(image: np.ndarray, bins: int = 256) -> np.ndarray:
    """Histogram equalisation: each pixel becomes the share of darker pixels (linear inside a bin)."""
    counts, edges = np.histogram(image, bins=bins, range=(0.0, 1.0))
    share = np.concatenate([[0.0], np.cumsum(counts) / image.size])
    return _unit(np.interp(image.astype(np.float64), edges, share))


def invert(image: np.ndarray) -> np.ndarray:
    """Black for white."""
    return _unit(1.0 - image)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """What a baseline grey JPEG of this quality (1 to 100) leaves of an 8-bit image, without a codec.

    The loss is in the quantised 8 x 8 cosine transform (ITU-T T.81); entropy coding loses nothing.
    """
    if not 1 <= quality <= 100:
        raise ValueError("JPEG quality runs from 1 to 100")
    height, width = image.shape
    levels = np.rint(np.clip(image.astype(np.float64), 0.0, 1.0) * 255.0) - 128.0
    padded = np.pad(levels, ((0, -height % 8), (0, -width % 8)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // 8, 8, padded.shape[1] // 8, 8)  # (By, 8, Bx, 8)
    step = _quantisation(quality)[None, :, None, :]  # rows are vertical frequencies
    # T.81 A.3.3: the standard's scaling of the transform is the orthonormal one
    coefficients = np.rint(fft.dctn(blocks, axes=(1, 3), norm="ortho") / step) * step
    restored = np.rint(fft.idctn(coefficients, axes=(1, 3), norm="ortho") + 128.0)
    return _unit(restored.reshape(padded.shape)[:height, :width] / 255.0)


def mirror(image: np.ndarray) -> np.ndarray:
    """Left for right."""
    return _unit(image[:, ::-1])


def shift(image: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Moves the content down by `dy` and right by `dx` whole pixels; uncovered edges repeat the border."""
    height, width = image.shape
    rows = np.clip(np.arange(height) - dy, 0, height - 1)
    columns = np.clip(np.arange(width) - dx, 0, width - 1)
    return _unit(image[np.ix_(rows, columns)])


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turns anticlockwise about the centre; the uncovered corners repeat the border."""
    turned = ndimage.rotate(image.astype(np.float64), degrees, reshape=False, order=1, mode="nearest")
    return _unit(turned)


def crop_zoom(image: np.ndarray, share: float) -> np.ndarray:
    """Keeps the central `share` (above 0, at most 1) of each side and enlarges it to the old size."""
    if not 0 < share <= 1:
        raise ValueError("the share kept must be above 0 and at most 1")
    height, width = image.shape
    inner = (max(1, round(height * share)), max(1, round(width * share)))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return resize_unit(image[top : top + inner[0], left : left + inner[1]], image.shape)


def resolution(image: np.ndarray, longest: int) -> np.ndarray:
    """Shrinks to `longest` pixels along the longer side and enlarges again."""
    height, width = image.shape
    scale = min(1.0, longest / max(height, width))
    small = resize_unit(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    return resize_unit(small, image.shape)


def occlude(
    image: np.ndarray, top: int, left: int, height: int, width: int, value: float = 1.0
) -> np.ndarray:
    """Paints a rectangle, as a burned-in label would; what lies outside the image is ignored."""
    painted = image.copy()
    painted[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = value
    return _unit(painted)


def _unit(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0.0, 1.0).astype(np.float32)


# ITU-T T.81, table K.1: luminance steps at quality 50; rows are vertical frequencies.
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


def _quantisation(quality: int) -> np.ndarray:
    """Steps (8, 8) for a quality, scaled as libjpeg's jpeg_quality_scaling does."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((_LUMINANCE * scale + 50) // 100, 1, 255).astype(np.float64)


def _plant_contrast(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    power = np.exp(rng.uniform(*np.log(GAMMA_RANGE)))  # as often 1/g as g
    return gamma(window(image, rng.uniform(*WINDOW_LOW), rng.uniform(*WINDOW_HIGH)), power)


def _plant_shift(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    most_y, most_x = (max(1, int(SHIFT_OF_SIDE * side)) for side in image.shape)
    while True:
        dy = int(rng.integers(-most_y, most_y + 1))
        dx = int(rng.integers(-most_x, most_x + 1))
        if dy or dx:  # a shift by nothing is the identity, which has a kind of its own
            return shift(image, dy, dx)


_PLANTS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "identity": lambda image, rng: _unit(image),
    "noise": lambda image, rng: add_noise(image, NOISE_SIGMA, rng),
    "blur": lambda image, rng: blur(image, max(BLUR_LEAST_PX, BLUR_OF_SIDE * max(image.shape))),
    "contrast": _plant_contrast,
    "jpeg": lambda image, rng: jpeg(image, JPEG_QUALITY),
    "flip": lambda image, rng: mirror(image),
    "shift": _plant_shift,
}
