"""What the copy network sees of a film: local contrast at two scales, blind to brightness and contrast, and a map of
what there is to see.

A text box, a black half or a collimator's border is exactly flat. Plain local contrast normalisation would draw
strong edges around it, so the averages leave flat areas out (normalised convolution, Knutsson & Westin 1993) and a
flat area itself becomes 0. Axes: B films, (Y, X) pixels.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medaudit.detectors.shrink import shrink

CHANNELS = 3
_FLAT_SIDE = 5  # an area is flat where a square of this many pixels holds one value
_FLAT_RANGE = 2e-6  # of values that count as one: rounding of float32, under any step of 16 bits
_FLOOR = 0.1  # least local deviation, as a share of the film's own


def to_square(images: np.ndarray, size: int) -> Tensor:
    """(B, Y, X) float32 in [0, 1] → (B, 1, size, size): averaged down, or enlarged between the pixels where smaller.

    Aspect is not kept: all films of an audit have one shape, so all are squeezed alike.
    """
    small = torch.from_numpy(shrink(images, size))[:, None]
    if small.shape[2:] == (size, size):
        return small
    return functional.interpolate(small, (size, size), mode="bilinear", align_corners=False)


def local_contrast(films: Tensor, window: int) -> Tensor:
    """(B, 1, Y, X) in [0, 1] → (B, 3, Y, X): contrast over `window` pixels, contrast of the film at half the
    resolution, and 1 where the film is not flat. Odd in the film: 1 - film gives the same contrast, negated."""
    seen = _not_flat(films)
    fine = _normalised(films, seen, window)
    weight = functional.avg_pool2d(seen, 2)
    coarse = functional.avg_pool2d(films * seen, 2) / weight.clamp_min(0.25)
    coarse = _normalised(coarse, (weight > 0).to(films.dtype), window)
    coarse = functional.interpolate(coarse, films.shape[2:], mode="nearest")
    return torch.cat([fine, coarse, seen], dim=1)


def _not_flat(films: Tensor) -> Tensor:
    """(B, 1, Y, X): 0 inside every square of one value, 1 elsewhere."""
    flat = (_highest(films) + _highest(-films) < _FLAT_RANGE).to(films.dtype)
    return 1.0 - _highest(flat)


def _highest(values: Tensor) -> Tensor:
    """Largest value of the square of _FLAT_SIDE = 5 pixels around each pixel, rows and columns in turn.

    By slices, three comparisons a direction: pooling one channel takes ten times as long on a CPU.
    """
    half = _FLAT_SIDE // 2
    padded = functional.pad(values, (half,) * 4, value=-torch.inf)
    for axis in (2, 3):
        two = torch.maximum(
            padded.narrow(axis, 0, padded.shape[axis] - 1), padded.narrow(axis, 1, padded.shape[axis] - 1)
        )
        four = torch.maximum(
            two.narrow(axis, 0, two.shape[axis] - 2), two.narrow(axis, 2, two.shape[axis] - 2)
        )
        size = values.shape[axis]
        padded = torch.maximum(four.narrow(axis, 0, size), padded.narrow(axis, 4, size))
    return padded


def _normalised(films: Tensor, seen: Tensor, window: int) -> Tensor:
    """(B, 1, Y, X) with local mean 0 and deviation 1 over the pixels seen; 0 where nothing is seen."""
    whole = seen.mean((2, 3), keepdim=True).clamp_min(1e-6)
    centred = (films - (films * seen).mean((2, 3), keepdim=True) / whole) * seen
    overall = (centred.square().mean((2, 3), keepdim=True) / whole).sqrt()
    share = _box(seen, window).clamp_min(1e-3)
    mean = _box(centred, window) / share
    variance = _box(centred.square(), window) / share - mean.square()
    deviation = torch.maximum(variance.clamp_min(0).sqrt(), _FLOOR * overall).clamp_min(1e-6)
    return ((centred - mean) / deviation * seen).clamp(-6, 6)


def _box(values: Tensor, window: int) -> Tensor:
    """Sum over a window divided by its pixels; what lies outside the film counts 0, as what is unseen does."""
    rows, columns = (_band(side, window, values) for side in values.shape[2:])
    return rows @ values @ columns


def _band(side: int, window: int, like: Tensor) -> Tensor:
    """(side, side): 1 / window within half a window of the diagonal, 0 elsewhere."""
    line = torch.arange(side, device=like.device)
    return ((line[:, None] - line[None, :]).abs() <= window // 2).to(like.dtype) / window
