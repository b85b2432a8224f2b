"""An encoder behind the detectors' contract: the copy network, or one the hospital brings along.

Axes: N images, P poses, D values, B images at once, S pixels a side.
"""

import numpy as np
import torch
from torch import Tensor, nn

from medaudit.detectors.copynet.contrast import to_square

# Images a pass: always the same number, so that an image's bits never depend on its batch.
_AT_ONCE_CPU, _AT_ONCE_GPU = 16, 256


class EncoderDetector:
    """Distance sqrt(2 - 2 cos) between the unit vectors that `network` gives (B, 1, S, S) films in [0, 1].

    The asking side is tried as it is, mirrored, with black for white, and both, or the first `poses` of these; the
    network need not learn to see past a mirror or the polarity. `id` names the network in saved embeddings; `saved`
    holds such, (N, D) by the id of their cohort.
    """

    def __init__(
        self,
        network: nn.Module,
        size: int,
        name: str,
        meaning: str,
        *,
        device: torch.device | str = "cpu",
        poses: int = 4,
        id: str = "",
    ) -> None:
        self.name, self.meaning, self.id = name, meaning, id
        self.device = torch.device(device)
        self.saved: dict[str, np.ndarray] = {}
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.size = size
        self.asked = poses
        self.at_once = _AT_ONCE_CPU if self.device.type == "cpu" else _AT_ONCE_GPU

    def describe(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, 1, D) float32 with mean square 1."""
        return self._embed(images, 1)[:, 0]

    def poses(self, images: np.ndarray) -> np.ndarray:
        """(N, Y, X) float32 in [0, 1] → (N, P, 1, D) float32; the first pose is the image as it is."""
        return self._embed(images, self.asked)

    def _embed(self, images: np.ndarray, poses: int) -> np.ndarray:
        """(N, P, 1, D): scaled so that the root of the mean squared difference of two rows is sqrt(2 - 2 cos)."""
        blank = np.zeros((1, *images.shape[1:]), dtype=np.float32)
        parts = [
            self._portion(images[start : start + self.at_once], poses)
            for start in range(0, len(images), self.at_once)
        ]
        return np.concatenate(parts) if parts else self._portion(blank, poses)[:0]

    def _portion(self, images: np.ndarray, poses: int) -> np.ndarray:
        """At most `at_once` images, filled up with black ones."""
        films = to_square(images, self.size)
        films = torch.cat([films, films.new_zeros(self.at_once - len(films), *films.shape[1:])])
        with torch.inference_mode():
            found = [self.network(pose.to(self.device)).float().cpu() for pose in _posed(films)[:poses]]
        rows = torch.stack(found, dim=1)[: len(images), :, None]  # (B, P, 1, D)
        return (rows * rows.shape[-1] ** 0.5).numpy()


class CopyNet(EncoderDetector):
    """The network of `training.train_copynet`, trained on the cohort whose copies it looks for."""

    def __init__(
        self,
        network: nn.Module,
        size: int,
        *,
        device: torch.device | str = "cpu",
        poses: int = 4,
        id: str = "",
    ) -> None:
        super().__init__(
            network,
            size,
            "copynet",
            "cosine of two films' embeddings by a network that learnt on the training cohort to see past edits, as "
            "sqrt(2 - 2 cos), over mirror and polarity",
            device=device,
            poses=poses,
            id=id,
        )


def _posed(films: Tensor) -> list[Tensor]:
    """The film as it is, mirrored, in the other polarity, and both."""
    mirrored = films.flip(3)
    return [films, mirrored, 1 - films, 1 - mirrored]
