"""A linear autoencoder: films on their principal axes. The plainest model of what a generator's codec loses.

Axes: N films, (Y, X) pixels, A axes.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PrincipalAxes:
    """Mean (Y * X,) and orthonormal axes (Y * X, A), float32."""

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, count: int) -> "PrincipalAxes":
        """From (N, Y, X) films; at most `count` axes, and no more than the films span.

        By the eigenvectors of the N x N matrix of inner products (Sirovich & Kirby 1987).
        Raises ValueError for fewer than two films or no axis.
        """
        if len(images) < 2 or count < 1:
            raise ValueError("two films and one axis are the least")
        flat = images.reshape(len(images), -1).astype(np.float32)
        mean = flat.mean(axis=0, dtype=np.float64).astype(np.float32)
        centred = flat - mean
        variance, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
        variance, vectors = variance[::-1], vectors[:, ::-1]
        kept = int(np.count_nonzero(variance[:count] > 1e-7 * max(variance[0], 1e-12)))
        scale = np.sqrt(variance[:kept])
        return cls(mean, (centred.T @ (vectors[:, :kept] / scale)).astype(np.float32))

    def round_trip(self, image: np.ndarray) -> np.ndarray:
        """(Y, X) → what is left of it on the axes, float32 in [0, 1]."""
        centred = image.ravel().astype(np.float32) - self.mean
        rebuilt = self.mean + self.axes @ (self.axes.T @ centred)
        return np.clip(rebuilt, 0.0, 1.0).reshape(image.shape).astype(np.float32)
