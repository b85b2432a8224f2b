"""Correlation after local contrast normalisation: blind to brightness, contrast and gamma, and to a mirror or a
small shift, which the asking side tries out.

Axes: N images, P poses, T tiles, D values per tile, (Y, X) pixels, (V, W) working pixels.
"""

import numpy as np

from medaudit.detectors.shrink import area_matrix, shrink
from medaudit.images.intensity import local_contrast_normalise


class LocalContrast:
    """Distance sqrt(2 - 2 r), r the correlation of the normalised images at `working` pixels a side.

    The image is averaged down to at most `native` pixels, normalised over a window of `window_share` of its side,
    and a window of it, narrower at each edge by a margin of `shift_share` of the side in whole pixels, is averaged
    to the working size. A pose moves that window by up to the margin in whole pixels, and mirrors it; what a shift
    uncovers at an edge is therefore never looked at.
    """

    name = "local-contrast"
    id = ""
    meaning = (
        "correlation r after local contrast normalisation, as sqrt(2 - 2 r), over mirror and small shifts"
    )

    def __init__(
        self, native: int = 64, working: int = 32, window_share: float = 9 / 64, shift_share: float = 0.04
    ) -> None:
        self.native = native
        self.working = working
        self.window_share = window_share
        self.shift_share = shift_share

    def describe(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, 1, D) float32, mean 0 and mean square 1 (0 for a flat image)."""
        contrast = self._contrast(images)
        rows, columns = (self._window(side, 0) for side in contrast.shape[1:])
        return _standard(rows @ contrast @ columns.T)[:, None, :]

    def poses(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, P, 1, D) float32; the first pose is the image as it is."""
        contrast = self._contrast(images)
        downs, rights = (self._moves(side) for side in contrast.shape[1:])
        found = []
        for mirrored in (contrast, contrast[:, :, ::-1]):
            for down in downs:
                part = self._window(contrast.shape[1], down) @ mirrored
                found += [_standard(part @ self._window(contrast.shape[2], right).T) for right in rights]
        return np.stack(found, axis=1)[:, :, None, :]

    def _contrast(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 after local contrast normalisation, at most `native` pixels a side."""
        small = shrink(images, self.native)
        window = max(5, round(self.window_share * min(small.shape[1:])) // 2 * 2 + 1)
        return local_contrast_normalise(small, window)

    def _margin(self, side: int) -> int:
        """Pixels left out at each edge: at least one, and something must remain."""
        return min(max(1, int(self.shift_share * side)), (side - 1) // 2)

    def _moves(self, side: int) -> list[int]:
        """Moves of the window in pixels, the unmoved one first."""
        return sorted(range(-self._margin(side), self._margin(side) + 1), key=abs)

    def _window(self, side: int, moved: int) -> np.ndarray:
        """(V, side) float32: the central window, moved by some pixels, at the working size."""
        start, stop = self._margin(side), side - self._margin(side)
        target = min(self.working, stop - start)
        return area_matrix(side, target, start + moved, stop + moved).astype(np.float32)


def _standard(images: np.ndarray) -> np.ndarray:
    """(N, V, W) → (N, D) with mean 0 and mean square 1, so that mean((a - b)^2) = 2 - 2 r."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.mean(np.square(flat, dtype=np.float64), axis=1, keepdims=True))
    return (flat / np.where(scale > 0, scale, 1.0)).astype(np.float32)
