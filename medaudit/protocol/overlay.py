"""A training film laid over the synthetic image that matches it: the evidence that a reviewer looks at.

Axes: M training films, (Y, X) pixels.
"""

import math
from collections.abc import Callable

import numpy as np

from medaudit.detectors.structure import laid_over, pose_sweep
from medaudit.images.similarity import local_contrast_correlation

OVERLAY_FILMS = 200  # of T are enough to learn what all films share
_WINDOW = 9 / 64  # of the side, for local contrast
_LEAST_GAIN = 0.05  # of its correlation: else the film is shown as it is
_TURN, _ZOOM, _MOVE = 1.5, 0.03, 0.02  # degrees, share, share of the side: less is not worth a word

# Synthetic image and training film, (Y, X) in [0, 1] each → the film laid over the image, and what was done to it.
Overlay = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, str]]


def overlay(train: np.ndarray) -> Overlay:
    """Get ready with films of T (M, Y, X) float32 in [0, 1]."""
    sweep = pose_sweep(train)

    def over(image: np.ndarray, film: np.ndarray) -> tuple[np.ndarray, str]:
        moved, pose, sign = laid_over(film[None], image[None], sweep)
        window = round(_WINDOW * min(image.shape)) // 2 * 2 + 1
        after, before = (local_contrast_correlation(one, image, window) for one in (moved[0], film))
        return (moved[0], _words(pose[0], float(sign[0]))) if after > before + _LEAST_GAIN else (film, "")

    return over


def _words(pose: np.ndarray, sign: float) -> str:
    """What a pose (2, 3), image to film, did to the film; the frame's half side is the unit of its last column."""
    scale = math.sqrt(abs(np.linalg.det(pose[:, :2])))
    mirrored = np.linalg.det(pose[:, :2]) < 0
    upright = pose[:, :2] * np.array([-1.0 if mirrored else 1.0, 1.0])[:, None]
    turn = abs(math.degrees(math.atan2(upright[1, 0] - upright[0, 1], upright[0, 0] + upright[1, 1])))
    moved = float(np.abs(pose[:, 2]).max()) / 2
    said = ["mirrored"] if mirrored else []
    said += [f"turned by {turn:.0f} degrees"] if turn >= _TURN else []
    said += [f"at {1 / scale:.0%} of its size"] if abs(1 / scale - 1) >= _ZOOM else []
    said += [f"moved by {moved:.0%}"] if moved >= _MOVE else []
    said += ["black for white"] if sign < 0 else []
    return ", ".join(said)
