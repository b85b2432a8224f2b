"""Tile distance: the largest RMSE over a grid of tiles (Carlini et al. 2023, sec. 4.2).

A large uniform background makes every pair of films alike under the RMSE; the worst tile does not let it.
Axes: N images, P poses, T tiles, D values per tile.
"""

import numpy as np

from medaudit.detectors.shrink import shrink


class TileDistance:
    """The largest RMSE over `grid` x `grid` tiles. Sides that do not divide make the first tiles a pixel larger.

    Tiles of unequal size are padded with zeros and weighted by the root of (largest / own size), so that the root
    mean square over the padded tile is the RMSE of the tile. Images above `longest` are averaged down as in Rmse.
    """

    name = "tile"
    id = ""
    meaning = "largest root mean squared difference over 4 x 4 tiles of the image"

    def __init__(self, grid: int = 4, longest: int = 128) -> None:
        self.grid = grid
        self.longest = longest

    def describe(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, T, D) float32. Raises ValueError for less than one pixel a tile."""
        small = shrink(images, self.longest)
        if min(small.shape[1:]) < self.grid:
            raise ValueError(f"an image needs at least {self.grid} pixels a side for {self.grid} tiles")
        bands = np.array_split(small, self.grid, axis=1)
        tiles = [tile for band in bands for tile in np.array_split(band, self.grid, axis=2)]
        largest = max(tile[0].size for tile in tiles) if len(small) else tiles[0].shape[1] * tiles[0].shape[2]
        result = np.zeros((len(small), len(tiles), largest), dtype=np.float32)
        for index, tile in enumerate(tiles):
            own = tile.shape[1] * tile.shape[2]
            result[:, index, :own] = tile.reshape(len(small), own) * np.float32(np.sqrt(largest / own))
        return result

    def poses(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, 1, T, D) float32."""
        return self.describe(images)[:, None]
