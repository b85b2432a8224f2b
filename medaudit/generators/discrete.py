"""Models trained with a discrete noise schedule (DDPM and its kin) as denoisers D(x; sigma).

The schedule gives alpha_bar at each time step; a step's noise level in the unit of an unscaled image is
sigma = sqrt((1 - alpha_bar) / alpha_bar), and the network saw x / sqrt(1 + sigma^2) (Karras et al. 2022, table 1,
column VP, and app. C.3). So the sampler that draws from medaudit's own models draws from these as well.

Axes: T time steps, B images, C channels, (Y, X) pixels.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from medaudit.config import SamplingSettings

PREDICTIONS = ("epsilon", "v_prediction", "sample")
# network(x, time step (B,) float32, classes (B,) or None) -> (B, C or 2 C, Y, X)
Call = Callable[[nn.Module, Tensor, Tensor, Tensor | None], Tensor]

_STEPS_OF_A_FOREIGN_MODEL = 32
_LARGEST_SIGMA = 200.0  # beyond it nothing of an image in [-1, 1] is left; cosine schedules go on to 20,000


def betas_of(schedule: str, steps: int, start: float, end: float, cosine_offset: float = 0.008) -> np.ndarray:
    """(T,) float64 betas of a named schedule, as diffusers and MONAI define them. Raises KeyError for another name.

    linear: Ho et al. 2020; scaled_linear: Rombach et al. 2022; squaredcos_cap_v2: Nichol & Dhariwal 2021, eq. 17;
    sigmoid: Xu et al. 2022 (GeoDiff).
    """
    if schedule == "linear":
        return np.linspace(start, end, steps)
    if schedule == "scaled_linear":
        return np.linspace(start**0.5, end**0.5, steps) ** 2
    if schedule == "sigmoid":
        return (end - start) / (1 + np.exp(-np.linspace(-6, 6, steps))) + start
    if schedule == "squaredcos_cap_v2":
        edges = np.cos((np.arange(steps + 1) / steps + cosine_offset) / (1 + cosine_offset) * np.pi / 2) ** 2
        return np.minimum(1 - edges[1:] / edges[:-1], 0.999)
    raise KeyError(schedule)


def sigmas_of(betas: np.ndarray) -> np.ndarray:
    """(T,) noise levels of the time steps, ascending."""
    alpha_bar = np.cumprod(1 - betas)
    return np.sqrt((1 - alpha_bar) / alpha_bar)


def sampling_of(sigmas: np.ndarray, batch: int) -> SamplingSettings:
    """The sampler's settings for a schedule: between its smallest and its largest noise level."""
    return SamplingSettings(
        steps=_STEPS_OF_A_FOREIGN_MODEL,
        sigma_min=float(sigmas[0]),
        sigma_max=float(min(sigmas[-1], _LARGEST_SIGMA)),
        batch=batch,
    )


class DiscreteDenoiser(nn.Module):
    """D(x; sigma) of a network that predicts the noise, the velocity or the image at a time step."""

    def __init__(self, network: nn.Module, call: Call, sigmas: np.ndarray, prediction: str) -> None:
        super().__init__()
        if prediction not in PREDICTIONS:
            raise KeyError(prediction)
        self.network = network
        self.call = call
        self.prediction = prediction
        self.register_buffer("log_sigmas", torch.from_numpy(np.log(sigmas)), persistent=False)  # (T,) float64

    def forward(self, x: Tensor, sigma: Tensor, classes: Tensor | None = None) -> Tensor:
        """x (B, C, Y, X), sigma (B,), classes (B,) or None -> (B, C, Y, X) float32."""
        s = sigma.to(torch.float32)[:, None, None, None]  # (B, 1, 1, 1)
        scaled = x / (1 + s**2).sqrt()
        out = self.call(self.network, scaled, self.time_step(sigma), classes).to(torch.float32)
        out = out[:, : x.shape[1]]  # a learned variance comes after the prediction
        if self.prediction == "epsilon":
            return x - s * out
        if self.prediction == "v_prediction":  # Salimans & Ho 2022: v = alpha eps - sigma x0
            return x / (1 + s**2) - out * s / (1 + s**2).sqrt()
        return out

    def time_step(self, sigma: Tensor) -> Tensor:
        """(B,) float32 time steps of noise levels, between the table's by their logarithm."""
        table: Tensor = self.log_sigmas  # type: ignore[assignment]
        wanted = sigma.to(table.dtype).log().clamp(table[0], table[-1])
        above = torch.searchsorted(table, wanted).clamp(1, len(table) - 1)
        low, high = table[above - 1], table[above]
        return (above - 1 + (wanted - low) / (high - low)).to(torch.float32)
