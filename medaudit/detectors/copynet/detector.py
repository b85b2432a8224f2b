"""The copy network behind the detectors' contract. Axes: N images, P poses, D values, B images at once."""

import numpy as np
import torch
from torch import Tensor, nn

from medaudit.detectors.copynet.contrast import to_square

_AT_ONCE = 16  # images a pass: always the same number, so that an image's bits never depend on its batch


class CopyNet:
    """Distance sqrt(2 - 2 cos) between the embeddings of two films.

    The asking side is tried as it is, mirrored, with black for white, and both; the network itself need not learn
    to see past a mirror or the polarity.
    """

    name = "copynet"
    meaning = (
        "cosine of two films' embeddings by a network trained on this cohort to see through edits, "
        "as sqrt(2 - 2 cos), over mirror and polarity"
    )

    def __init__(self, network: nn.Module, size: int, device: torch.device | str = "cpu", poses: int = 4) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.size = size
        self.asked = poses

    def describe(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, 1, D) float32 with mean square 1."""
        return embed(self.network, to_square(images, self.size), self.device)[:, None]

    def poses(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, P, 1, D) float32; the first pose is the image as it is."""
        films = to_square(images, self.size)
        asked = [films, films.flip(3), 1 - films, 1 - films.flip(3)][: self.asked]
        return np.stack([embed(self.network, pose, self.device) for pose in asked], axis=1)[:, :, None]


def embed(network: nn.Module, films: Tensor, device: torch.device) -> np.ndarray:
    """(N, 1, S, S) → (N, D) float32 with mean square 1, so that the RMSE of two rows is sqrt(2 - 2 cos)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(films), _AT_ONCE):
            part = films[start : start + _AT_ONCE]
            full = torch.cat([part, part.new_zeros(_AT_ONCE - len(part), *part.shape[1:])])
            parts.append(network(full.to(device))[: len(part)].float().cpu())
    rows = torch.cat(parts) if parts else network(films.new_zeros(1, *films.shape[1:]).to(device))[:0].cpu()
    return (rows * rows.shape[1] ** 0.5).numpy()
