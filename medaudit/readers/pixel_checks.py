"""Checks of decoded pixels, whatever the file: gray or coloured, one image or a grid of several.

Axes: (Y, X) rows and columns of pixels, (Y, X, C) with C = 3 channels.
"""

import numpy as np

from medaudit.readers import refusals
from medaudit.readers.refusals import Refused

# A gray radiograph that went through a colour codec or a latent diffusion model has channels that differ by a
# few levels of 255, rarely by twenty. A tint, a coloured marker or a photograph has more.
_USUAL = 16 / 255  # of the range, at 99 % of the pixels
_MOST = 64 / 255  # at any pixel
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as JPEG and Pillow use it
_SAME = 3 / 255  # two values that a JPEG may have made of one
_SMALLEST = 8  # px, side of an image of the sheet
_FEWEST = 4  # images


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


def is_sheet(unit: np.ndarray) -> bool:
    """Whether straight lines of one value part the picture (Y, X) into at least four equal images.

    Grids without lines between the images, and images whose own margins have the value of the lines, are not noticed.
    """
    lines = [unit.max(axis=axis) - unit.min(axis=axis) <= _SAME for axis in (1, 0)]  # (Y,), (X,)
    if not lines[0].any() or not lines[1].any():
        return False
    value = float(np.median(unit[:, lines[1]]))
    lines[0] &= np.abs(unit[:, 0] - value) <= _SAME
    lines[1] &= np.abs(unit[0, :] - value) <= _SAME
    images = 1
    for line in lines:
        sides, gaps = _runs(~line), _runs(line)
        inner = gaps[int(line[0]) : len(gaps) - int(line[-1])]
        if not sides or min(sides) < _SMALLEST or max(sides) - min(sides) > 1 or len(set(inner)) > 1:
            return False
        images *= len(sides)
    return images >= _FEWEST


def _spread(pixels: np.ndarray) -> np.ndarray:
    """(Y, X) float: largest minus smallest channel as a part of the range, 255 or what the picture spans."""
    most, least = pixels.max(axis=2).astype(np.float64), pixels.min(axis=2).astype(np.float64)
    span = 255.0 if pixels.dtype == np.uint8 else most.max() - least.min()
    return (most - least) / span


def _runs(marks: np.ndarray) -> list[int]:
    """Lengths of the runs of True, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return (edges[1::2] - edges[::2]).tolist()
