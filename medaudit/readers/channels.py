"""Three channels of pixels → one, where the picture is gray; Refused where it is coloured.

Axes: (Y, X, C) rows, columns and channels of pixels, C = 3.
"""

import numpy as np

from medaudit.readers import refusals
from medaudit.readers.refusals import Refused

# A gray radiograph that went through a colour codec or a latent diffusion model has channels that differ by a
# few levels of 255, rarely by twenty. A tint, a coloured marker or a photograph has more.
_USUAL = 16 / 255  # of the range, at 99 % of the pixels
_MOST = 64 / 255  # at any pixel
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as JPEG and Pillow use it


def gray_of(pixels: np.ndarray) -> tuple[np.ndarray, bool]:
    """(Y, X, 3) of any real dtype → (Y, X) of the same dtype, and whether the channels were only nearly equal.

    Equal channels give the first one, unchanged; nearly equal ones their luminance. Raises Refused for colour.
    """
    first = pixels[:, :, 0]
    if all(np.array_equal(first, pixels[:, :, c]) for c in (1, 2)):
        return np.ascontiguousarray(first), False
    spread = _spread(pixels)
    if not spread.max() <= _MOST or np.percentile(spread, 99) > _USUAL:  # `not`: NaN is no gray either
        raise Refused(refusals.COLOUR)
    luminance = sum(weight * pixels[:, :, c].astype(np.float64) for c, weight in enumerate(_LUMA))
    whole = pixels.dtype.kind in "ui"
    return (np.rint(luminance) if whole else np.asarray(luminance)).astype(pixels.dtype), True


def _spread(pixels: np.ndarray) -> np.ndarray:
    """(Y, X) float: largest minus smallest channel as a part of the range, 255 or what the picture spans."""
    most, least = pixels.max(axis=2).astype(np.float64), pixels.min(axis=2).astype(np.float64)
    span = 255.0 if pixels.dtype == np.uint8 else most.max() - least.min()
    return (most - least) / span
