"""Edits that a copy may have gone through; `plants` says which of them an audit tries, and how strong.

Every function takes and returns float32 in [0, 1] of shape (Y, X), unchanged shape. Where chance plays a part it
comes from the caller's generator; the same generator state gives the same pixels.
"""

import numpy as np
from scipy import fft, ndimage

from medaudit.images.intensity import resize_unit


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Adds independent Gaussian noise of standard deviation `sigma`, clipped to [0, 1]."""
    return unit(image + sigma * rng.standard_normal(image.shape))


def blur(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur, standard deviation in pixels, edges reflected."""
    return unit(ndimage.gaussian_filter(image.astype(np.float64), sigma_px, mode="reflect"))


def gamma(image: np.ndarray, g: float) -> np.ndarray:
    """Raises every pixel to the power `g`: above 1 darkens."""
    return unit(np.power(image.astype(np.float64), g))


def window(image: np.ndarray, lo: float, hi: float) -> np.ndarray:
    """Stretches [lo, hi] to [0, 1] and clips what lies outside."""
    if not hi > lo:
        raise ValueError("a window needs hi > lo")
    return unit((image.astype(np.float64) - lo) / (hi - lo))


def equalise(image: np.ndarray, bins: int = 256) -> np.ndarray:
    """Histogram equalisation: each pixel becomes the share of darker pixels (linear inside a bin)."""
    counts, edges = np.histogram(image, bins=bins, range=(0.0, 1.0))
    share = np.concatenate([[0.0], np.cumsum(counts) / image.size])
    return unit(np.interp(image.astype(np.float64), edges, share))


def invert(image: np.ndarray) -> np.ndarray:
    """Black for white."""
    return unit(1.0 - image)


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
    return unit(restored.reshape(padded.shape)[:height, :width] / 255.0)


def mirror(image: np.ndarray) -> np.ndarray:
    """Left for right."""
    return unit(image[:, ::-1])


def shift(image: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Moves the content down by `dy` and right by `dx` whole pixels; uncovered edges repeat the border."""
    height, width = image.shape
    rows = np.clip(np.arange(height) - dy, 0, height - 1)
    columns = np.clip(np.arange(width) - dx, 0, width - 1)
    return unit(image[np.ix_(rows, columns)])


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turns anticlockwise about the centre; the uncovered corners repeat the border."""
    turned = ndimage.rotate(image.astype(np.float64), degrees, reshape=False, order=1, mode="nearest")
    return unit(turned)


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
    return unit(painted)


def zoom_out(image: np.ndarray, share: float) -> np.ndarray:
    """Shrinks to `share` (above 0, at most 1) of each side; what it leaves is black."""
    if not 0 < share <= 1:
        raise ValueError("the share must be above 0 and at most 1")
    height, width = image.shape
    inner = (max(1, round(height * share)), max(1, round(width * share)))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    result = np.zeros(image.shape, dtype=np.float32)
    result[top : top + inner[0], left : left + inner[1]] = resize_unit(image, inner)
    return result


def elastic(image: np.ndarray, amount: float, smooth: float, rng: np.random.Generator) -> np.ndarray:
    """Moves each pixel by a smooth random field (Simard et al. 2003), edges repeated.

    `amount` is the root mean square of the displacement along each axis and `smooth` the standard deviation of the
    Gaussian that smooths it, both as shares of the side.
    """
    field = []
    for side in image.shape:
        rough = rng.standard_normal(image.shape)
        fine = ndimage.gaussian_filter(rough, [smooth * length for length in image.shape], mode="reflect")
        field.append(fine / max(float(fine.std()), 1e-12) * amount * side)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    places = (rows + field[0], columns + field[1])
    return unit(ndimage.map_coordinates(image.astype(np.float64), places, order=1, mode="nearest"))


def blend(image: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """`share` of the image and the rest of another of the same shape."""
    if image.shape != other.shape or not 0 <= share <= 1:
        raise ValueError("two images of one shape and a share between 0 and 1 are expected")
    return unit(share * image.astype(np.float64) + (1 - share) * other.astype(np.float64))


def left_half(image: np.ndarray) -> np.ndarray:
    """The left half; the right one is black."""
    result = unit(image)
    result[:, image.shape[1] // 2 :] = 0.0
    return result


def unit(values: np.ndarray) -> np.ndarray:
    """Clipped to [0, 1], a new float32 array."""
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
