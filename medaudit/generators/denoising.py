"""The denoiser, its training loss and its sampler, after Karras et al. 2022, "Elucidating the Design Space of
Diffusion-Based Generative Models" (EDM). Equation, table and algorithm numbers below are that paper's.
The multistep solver is DPM-Solver++'s (Lu et al. 2022) with the polynomial integrated exactly, as DEIS does (Zhang &
Chen 2023).

Axes: B images, C channels, (Y, X) pixels. Pixels are in [-1, 1]; sigma is the standard deviation of the noise in
the same unit.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from medaudit.config import NoiseSettings, SamplingSettings

_ORDER = 3  # of the multistep solver: a fourth point made few steps worse
# D(x; sigma, class): x (B, C, Y, X), sigma (B,), class (B,) int64 or None -> (B, C, Y, X), the expected clean image.
Denoise = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class Denoiser(nn.Module):
    """D(x; sigma) = c_skip x + c_out F(c_in x; c_noise), eq. 7 with the EDM column of table 1."""

    def __init__(self, network: nn.Module, sigma_data: float) -> None:
        super().__init__()
        self.network = network
        self.sigma_data = sigma_data

    def forward(self, x: Tensor, sigma: Tensor, classes: Tensor | None = None) -> Tensor:
        """x (B, 1, Y, X) noisy image, sigma (B,), classes (B,) or None -> (B, 1, Y, X) float32."""
        s = sigma.to(torch.float32)[:, None, None, None]  # (B, 1, 1, 1)
        variance = s**2 + self.sigma_data**2
        c_skip = self.sigma_data**2 / variance
        c_out = s * self.sigma_data / variance.sqrt()
        c_in = 1 / variance.sqrt()
        c_noise = sigma.to(torch.float32).log() / 4  # (B,)
        return c_skip * x + c_out * self.network(c_in * x, c_noise, classes).to(torch.float32)


def draw_sigma(batch: int, noise: NoiseSettings, generator: torch.Generator) -> Tensor:
    """(B,) noise levels, ln sigma ~ normal(p_mean, p_std) (table 1, training).

    The quantiles are spread evenly with one random offset (Kingma et al. 2021, Variational Diffusion Models, app.
    I.1), each still uniform on its own: the same expectation with less variance from step to step.
    """
    device = generator.device
    offset = torch.rand(1, generator=generator, device=device)
    order = torch.randperm(batch, generator=generator, device=device)
    quantile = (offset + order / batch) % 1.0
    normal = torch.special.ndtri(quantile.clamp(1e-6, 1 - 1e-6))
    return (noise.p_mean + noise.p_std * normal).exp()


def weighted_loss(denoised: Tensor, clean: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    """(B,) loss of each image: lambda(sigma) ||D(y + n; sigma) - y||^2 a pixel, eq. 2 and table 1 (loss weighting)."""
    weight = (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2
    return weight * (denoised - clean).square().flatten(1).mean(1)


def sigma_steps(sampling: SamplingSettings) -> list[float]:
    """The sampler's noise levels from sigma_max to sigma_min, then 0: eq. 5."""
    low, high = sampling.sigma_min ** (1 / sampling.rho), sampling.sigma_max ** (1 / sampling.rho)
    last = sampling.steps - 1
    return [(high + i / last * (low - high)) ** sampling.rho for i in range(sampling.steps)] + [0.0]


@torch.no_grad()
def heun(denoise: Denoise, noise: Tensor, sigmas: list[float], classes: Tensor | None = None) -> Tensor:
    """Integrate dx/dsigma = (x - D(x; sigma)) / sigma from noise to image: algorithm 1, deterministic.

    noise (B, C, Y, X) standard normal; returns (B, C, Y, X), not clipped.
    """
    x = noise * sigmas[0]
    for here, there in pairwise(sigmas):
        level = x.new_full((len(x),), here)
        slope = (x - denoise(x, level, classes)) / here
        ahead = x + (there - here) * slope
        if there > 0:
            level = x.new_full((len(x),), there)
            slope = (slope + (ahead - denoise(ahead, level, classes)) / there) / 2
            ahead = x + (there - here) * slope
        x = ahead
    return x


@torch.no_grad()
def multistep(denoise: Denoise, noise: Tensor, sigmas: list[float], classes: Tensor | None = None) -> Tensor:
    """The same integral with one evaluation a step, deterministic, of third order.

    In lambda = -ln sigma the exact step is x' = e^-h x + int_0^h e^(u - h) D(u) du (DPM-Solver++, proposition 4.1
    with alpha = 1); D(u) is the polynomial through the last three evaluations, fewer in the first two steps, where
    the noise hides the image anyway. noise (B, C, Y, X) standard normal; returns (B, C, Y, X), not clipped: the last
    evaluation, for at sigma 0 nothing else is left of the integral.
    """
    x = noise * sigmas[0]
    seen: list[tuple[float, Tensor]] = []  # (lambda, D there), newest first
    for here, there in pairwise(sigmas):
        now = -math.log(here)
        seen = [(now, denoise(x, x.new_full((len(x),), here), classes)), *seen[: _ORDER - 1]]
        if there == 0:
            break
        ahead = -math.log(there) - now
        x = x * (there / here)
        for weight, (_, clean) in zip(
            exponential_weights(ahead, [at - now for at, _ in seen]), seen, strict=True
        ):
            x = x + weight * clean
    return seen[0][1]


def exponential_weights(ahead: float, places: list[float]) -> list[float]:
    """Weights w so that sum_j w_j p(u_j) = int_0^h e^(u - h) p(u) du for each polynomial p of a degree below the
    number of places u_j; h is `ahead`."""
    moments = [-math.expm1(-ahead)]  # of u^k: by parts, m_k = h^k - k m_(k-1)
    for power in range(1, len(places)):
        moments.append(ahead**power - power * moments[-1])
    vandermonde = np.power.outer(np.array(places), np.arange(len(places))).T
    return [float(weight) for weight in np.linalg.solve(vandermonde, np.array(moments))]


def solve(
    denoise: Denoise, noise: Tensor, sampling: SamplingSettings, classes: Tensor | None = None
) -> Tensor:
    """From noise (B, C, Y, X), standard normal, to images (B, C, Y, X), not clipped, as `sampling` says."""
    solver = {"heun": heun, "multistep": multistep}[sampling.solver]
    return solver(denoise, noise, sigma_steps(sampling), classes)
