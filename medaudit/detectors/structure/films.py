"""A film as the structure detector sees it: local contrast in several bands, and where a film says nothing.

Local contrast normalisation makes tone vanish, but it paints a bright seam around every cut: a text box, a
collimator's edge, the black half of half an image. So whatever lies within reach of an exactly flat area is masked;
a panel that two patients share is then no likeness, and a box that covers a copy hides only itself.

Axes: N films, (S, S) working pixels of a band.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from medaudit.detectors.shrink import area_matrix

MIDDLE = 64  # working pixels a side of the band in which films are aligned
FINE = 128
_FLAT = 2.5 / 255  # range of 3 x 3 pixels that counts as flat
_FLAT_SIDE = 5  # working pixels: smaller flat spots are anatomy


@dataclass(frozen=True)
class Films:
    """N films: normalised contrast (N, S, S) of each band, coarsest first, and where they speak (N, S, S)."""

    contrast: dict[str, torch.Tensor]
    known: torch.Tensor  # at the size of the middle band: 0 within reach of a flat area, else 1

    def __len__(self) -> int:
        return len(self.known)

    def at(self, places: torch.Tensor) -> "Films":
        """The films at these places, with repeats, in this order."""
        return Films({name: band[places] for name, band in self.contrast.items()}, self.known[places])

    def mask(self, band: str) -> torch.Tensor:
        """(N, S, S) of a band: the share of each of its pixels where the film speaks."""
        side, known = self.contrast[band].shape[-1], self.known[:, None]
        if side == known.shape[-1]:
            return self.known
        pooled = F.adaptive_avg_pool2d(known, side) if side < known.shape[-1] else F.interpolate(known, side)
        return pooled[:, 0]

    def turned(self, sign: torch.Tensor) -> "Films":
        """Black for white where `sign` (N,) is -1: contrast is odd in the tone."""
        return Films({name: band * sign[:, None, None] for name, band in self.contrast.items()}, self.known)

    def to(self, device: str) -> "Films":
        """The same films on a torch device."""
        return Films({name: band.to(device) for name, band in self.contrast.items()}, self.known.to(device))

    @classmethod
    def joined(cls, parts: "list[Films]") -> "Films":
        """One after the other."""
        names = parts[0].contrast
        return cls(
            {name: torch.cat([part.contrast[name] for part in parts]) for name in names},
            torch.cat([part.known for part in parts]),
        )


def read_films(images: np.ndarray) -> Films:
    """(N, Y, X) float32 in [0, 1] → the bands: `coarse`, `middle`, `sharp`, and `fine` where the film has more pixels.

    Each film is squeezed to a square; a change of aspect is the same for both films of a pair.
    """
    middle = min(MIDDLE, *images.shape[1:])
    fine = min(FINE, *images.shape[1:])
    small = torch.from_numpy(to_square(images, middle))
    known = _told(small, reach=max(1, round(3 * middle / MIDDLE)))  # (N, S, S)
    wide = normalised(small, round(9 * middle / MIDDLE), 5) * known
    contrast = {
        "coarse": F.adaptive_avg_pool2d(wide[:, None], max(1, middle // 2))[:, 0],
        "middle": wide,
        "sharp": normalised(small, round(5 * middle / MIDDLE), 3) * known,
    }
    films = Films(contrast, known)
    if fine > middle:
        contrast["fine"] = normalised(torch.from_numpy(to_square(images, fine)), round(7 * fine / FINE), 5)
        contrast["fine"] = contrast["fine"] * films.mask("fine")
    return films


def to_square(images: np.ndarray, side: int) -> np.ndarray:
    """(N, Y, X) float32 → (N, side, side), each side averaged down; `side` is at most the shorter one."""
    # One product per image, never one over the batch: an image comes out the same in any batch.
    rows, columns = (area_matrix(length, side).astype(np.float32) for length in images.shape[1:])
    return np.ascontiguousarray(rows @ np.asarray(images, dtype=np.float32) @ columns.T)


def normalised(images: torch.Tensor, window: int, least: int, floor: float = 0.1) -> torch.Tensor:
    """`images/intensity.local_contrast_normalise` over an odd window of at least `least` pixels, many films at once."""
    reach = max(least, window // 2 * 2 + 1) // 2
    centred = images - images.mean(dim=(1, 2), keepdim=True)
    overall = centred.square().mean(dim=(1, 2), keepdim=True).sqrt()
    mean = _boxed(centred, reach)
    spread = (_boxed(centred.square(), reach) - mean.square()).clamp_min(0).sqrt()
    flat = overall <= 1e-6  # rounding noise of a constant film must not be blown up
    return torch.where(flat, 0.0, (centred - mean) / torch.maximum(spread, floor * overall).clamp_min(1e-9))


def _boxed(images: torch.Tensor, reach: int) -> torch.Tensor:
    """(N, S, S) → the mean over 2 reach + 1 pixels a side, mirrored at the rim with its pixel repeated."""
    side, width = images.shape[-1], 2 * reach + 1
    place = torch.arange(-reach, side + reach)
    place = torch.where(place < 0, -1 - place, place)
    place = torch.where(place >= side, 2 * side - 1 - place, place).clamp(0, side - 1)
    padded = images[:, place][:, :, place]
    across = _over_window(padded, width, 2, torch.add) / width
    return _over_window(across, width, 1, torch.add) / width


def _told(images: torch.Tensor, reach: int) -> torch.Tensor:
    """(N, S, S) float32: 0 within `reach` pixels of an exactly flat area, else 1."""
    # Flat: 3 x 3 pixels of nearly one value, in spots of at least _FLAT_SIDE pixels a side (a morphological opening).
    span = _widest(images, 1) + _widest(-images, 1)  # (N, S, S), the range
    flat = (span <= _FLAT).float()
    core = -_widest(-flat, _FLAT_SIDE // 2)
    return 1.0 - _widest(_widest(core, _FLAT_SIDE // 2), reach)


def _widest(images: torch.Tensor, reach: int) -> torch.Tensor:
    """(N, S, S) → the largest value within `reach` pixels along both axes."""
    padded = F.pad(images, (reach, reach, reach, reach), value=-torch.inf)
    across = _over_window(padded, 2 * reach + 1, 2, torch.maximum)
    return _over_window(across, 2 * reach + 1, 1, torch.maximum)


def _over_window(
    images: torch.Tensor, width: int, axis: int, join: Callable[..., torch.Tensor]
) -> torch.Tensor:
    """(N, ...) → what `join` makes of every `width` neighbours along an axis, which gets so much shorter.

    One pass over the images for each neighbour: torch's pooling of single channels is several times slower.
    """
    count = images.shape[axis] - width + 1
    found = images.narrow(axis, 0, count).clone()
    for step in range(1, width):
        join(found, images.narrow(axis, step, count), out=found)
    return found
