"""Films brought together pair by pair: coarse to fine, over the bands in which registration is sure.

Axes: B pairs, (S, S) working pixels of a band.
"""

import torch

from medaudit.detectors.structure.films import Films
from medaudit.detectors.structure.registration import register

_STEPS = {"coarse": 10, "middle": 6}  # of Gauss-Newton in each band


def align(first: Films, second: Films, pose: torch.Tensor) -> torch.Tensor:
    """Films film by film and starting poses (B, 2, 3) → poses that are at least as good."""
    for band, steps in _STEPS.items():
        pose = register(*band_pair(first, second, band), pose, steps)
    return pose


def band_pair(
    first: Films, second: Films, band: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Contrast of both films in a band and where they speak, (B, S, S) each, as registration takes them."""
    return first.contrast[band], second.contrast[band], first.mask(band), second.mask(band)
