"""How alike are two films once aligned, where they are least alike? This tells a copy from another film of a person.

Two films of one person agree in most parts of the frame and disagree in some: an arm, the diaphragm, a tube, a lung
that has changed. A copy agrees everywhere, and what an edit costs it costs everywhere. So the frame is cut into
parts, and the correlation that nine parts in ten reach is what counts: their 10 % point. On real films it called more
copies by their name than the correlation of the whole frame did (benchmarks/reidentification.py).

Axes: B pairs, (S, S) pixels, P x P parts of the frame.
"""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F

from medaudit.detectors.structure.films import FINE, Films, read_films
from medaudit.detectors.structure.registration import aligned, overlap_sums, register
from medaudit.detectors.structure.sweep import PoseSweep

PARTS = 8  # of the frame, along a side
LEAST_PARTS = 6  # in which both films speak; with fewer nothing is said
WEAKEST = 0.1  # the point of the parts' correlations that counts
NOTHING = -1.0  # likeness of films that cannot be compared
_STEPS_COARSE, _STEPS_MIDDLE = 10, 6
_TOGETHER = 16  # pairs at once


def compared_pixels(shape: tuple[int, ...]) -> int:
    """The side at which films (Y, X) are compared: that of the finest band with a wide window."""
    return min(FINE, *shape)


def least_likeness(first: np.ndarray, second: np.ndarray, sweep: PoseSweep) -> np.ndarray:
    """(B, Y, X) and (B, Y, X) float32 in [0, 1] → (B,) correlation that 90 % of the aligned frame's parts reach.

    `sweep` gives the poses to start from. NOTHING where the films overlap in too few parts.
    """
    parts = [np.zeros(0)]
    for chunk in _chunks(len(first)):
        parts.append(_least(read_films(first[chunk]), read_films(second[chunk]), sweep))
    return np.concatenate(parts)


def _least(first: Films, second: Films, sweep: PoseSweep) -> np.ndarray:
    device = str(sweep.films.device)
    first, second = first.to(device), second.to(device)
    start, sign = sweep.between(first.contrast["middle"], second.contrast["middle"])  # (B, 2, 2, 3), (B, 2)
    tries = sign.shape[1]
    own = torch.arange(len(first), device=device).repeat_interleave(tries)
    moving, still, pose = first.at(own).turned(sign.flatten()), second.at(own), start.reshape(-1, 2, 3)
    for band, steps in (("coarse", _STEPS_COARSE), ("middle", _STEPS_MIDDLE)):
        pose = register(
            moving.contrast[band], still.contrast[band], moving.mask(band), still.mask(band), pose, steps
        )
    product, one, other, both = overlap_sums(
        moving.contrast["middle"], still.contrast["middle"], moving.known, still.known, pose
    ).T
    quality = product / (one * other).sqrt().clamp_min(1e-9) * both.sqrt()
    best = quality.view(-1, tries).argmax(1) + tries * torch.arange(len(first), device=device)
    return _weakest_parts(moving.at(best), still.at(best), pose[best])


def _weakest_parts(moving: Films, still: Films, pose: torch.Tensor) -> np.ndarray:
    """(B,) the WEAKEST point of the parts' correlations in the finest band."""
    band = "fine" if "fine" in moving.contrast else "middle"
    side = still.contrast[band].shape[-1]
    seen = aligned(moving.mask(band), pose, side)
    both = seen * still.mask(band)
    moved = aligned(moving.contrast[band], pose, side) * still.mask(band)
    target = still.contrast[band] * seen
    product, one, other, share = (
        F.adaptive_avg_pool2d(values[:, None], min(PARTS, side)).flatten(1).double().cpu().numpy()
        for values in (moved * target, moved.square(), target.square(), both)
    )  # (B, P * P) each
    energy = np.sqrt(one * other)
    correlation = np.divide(product, energy, out=np.zeros_like(product), where=energy > 1e-9)
    found = np.full(len(correlation), NOTHING)
    for place, (values, speaks) in enumerate(zip(correlation, share > 0.5, strict=True)):
        if speaks.sum() >= LEAST_PARTS:
            found[place] = np.quantile(values[speaks], WEAKEST)
    return found


def _chunks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _TOGETHER, count)) for start in range(0, count, _TOGETHER))
