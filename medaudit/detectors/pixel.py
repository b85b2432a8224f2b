"""RMSE of the pixels: the plainest detector, which everyone can check by hand.

Axes: N images, P poses, T tiles, D values per tile.
"""

import numpy as np

from medaudit.detectors.shrink import shrink


class Rmse:
    """sqrt(mean((a - b)^2)) over the pixels of the whole image, one pose and one tile.

    Images up to `longest` pixels a side are compared pixel by pixel; larger ones are first averaged down to that
    side, so that a search over many images stays feasible. The distance is then the RMSE of the averaged images.
    """

    name = "rmse"
    id = ""
    meaning = "root mean squared difference of the pixels, in [0, 1]"

    def __init__(self, longest: int = 128) -> None:
        self.longest = longest

    def describe(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, 1, D) float32."""
        return shrink(images, self.longest).reshape(len(images), 1, -1)

    def poses(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, 1, 1, D) float32."""
        return self.describe(images)[:, None]
