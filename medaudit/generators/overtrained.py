"""A small diffusion model over-trained on a few films until it gives them back: the generative control's model.

Minutes of a UNet would be needed where an audit has seconds, so the denoiser has a convolutional encoder and a dense
decoder, which learns films by heart as fast as its last layer learns. What it makes is a generator's all the same:
noise goes in, and out come films that are blurred, blended and a little wrong, by the EDM loss and sampler of
`denoising`.

Axes: k films, n images, B images a step, (Y, X) pixels, f the unshuffle factor.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from medaudit.config import NoiseSettings, SamplingSettings, TrainSettings
from medaudit.devices import repeatable
from medaudit.generators.denoising import Denoise, Denoiser, draw_sigma, weighted_loss
from medaudit.generators.networks import unshuffle_factor
from medaudit.generators.sampling import GenerativeModel
from medaudit.generators.training import average_decay, batch_picks, learning_rate
from medaudit.progress import SILENT, Progress
from medaudit.seeds import derive

_GRID = 16  # places a side after the first unshuffle, at most
_WIDTH = 32  # channels of the encoder
_HIDDEN = 128  # values between encoder and decoder
_LEVELS = 32  # values that a noise level is embedded in
_HIGHEST = 50.0  # frequency of the embedding

# All in units of the films' own spread. A sigma_data far below that spread makes D the network's own picture rather
# than the noisy input (c_skip of eq. 7 is 0.1 at sigma_min), which is what learning by heart needs.
_SPREAD = 0.5
_SAME = 1e-6  # spread of films that are all the same, up to rounding
_SIGMA_DATA = 0.1
_NOISE = NoiseSettings(p_mean=1.0, p_std=1.3, sigma_data=_SIGMA_DATA)
_SIGMAS = (0.3, 80.0)  # the sampler's last and first noise level
_SAMPLER_STEPS = 10
_EMA_HALFLIFE = 50  # steps


def overtrained(
    films: np.ndarray, steps: int, seed: int, device: str, progress: Progress = SILENT
) -> GenerativeModel:
    """A model that was shown nothing but `films` (k, Y, X) in [0, 1], not all the same, for so many steps."""
    settings = TrainSettings(
        steps=steps,
        batch=16,
        learning_rate=4e-3,
        warmup_steps=20,
        ema_halflife_steps=_EMA_HALFLIFE,
        noise=_NOISE,
    )
    processor = torch.device(device)
    clean = torch.from_numpy(films.astype(np.float32) * 2 - 1)[:, None]  # (k, 1, Y, X)
    scale = Scale.of(clean)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))
        network = HeartLearner((films.shape[1], films.shape[2])).to(processor)
    denoiser = Denoiser(network, _SIGMA_DATA)
    with repeatable(processor):
        average = _trained(denoiser, scale.inward(clean), settings, seed, processor, progress)
    network.load_state_dict(average)
    denoiser.eval().requires_grad_(False)
    low, high = (float(sigma * scale.spread) for sigma in _SIGMAS)
    return GenerativeModel(
        denoise=scale.to(processor).wrapped(denoiser),
        image_shape=(films.shape[1], films.shape[2]),
        sampling=SamplingSettings(steps=_SAMPLER_STEPS, sigma_min=low, sigma_max=high, batch=32),
        device=processor,
        id="",
    )


@dataclass(frozen=True)
class Scale:
    """The films' mean (1, Y, X) and spread: the network sees how an image differs from the mean, at _SPREAD."""

    mean: Tensor
    spread: float

    @classmethod
    def of(cls, clean: Tensor) -> "Scale":
        """The scale of clean (k, 1, Y, X). Raises ValueError for films that are all the same."""
        mean = clean.mean(0)
        spread = float((clean - mean).square().mean().sqrt()) / _SPREAD
        if spread < _SAME:
            raise ValueError("the films are all the same")
        return cls(mean, spread)

    def to(self, device: torch.device) -> "Scale":
        """The same on a device."""
        return Scale(self.mean.to(device), self.spread)

    def inward(self, x: Tensor) -> Tensor:
        """Pixels in [-1, 1] → the network's units."""
        return (x - self.mean) / self.spread

    def wrapped(self, denoise: Denoise) -> Denoise:
        """The denoiser of images in [-1, 1] that follows from one in the network's units."""
        return lambda x, sigma, classes: (
            self.mean + self.spread * denoise(self.inward(x), sigma / self.spread, classes)
        )


class HeartLearner(nn.Module):
    """F(x, c_noise): (B, 1, Y, X) -> (B, 1, Y, X), any Y and X: convolutions in, one dense layer of pixels out."""

    def __init__(self, image_shape: tuple[int, int]) -> None:
        super().__init__()
        self.factor = unshuffle_factor(image_shape, _GRID)
        self.padded = [math.ceil(side / (2 * self.factor)) * 2 * self.factor for side in image_shape]
        places = math.prod(side // (2 * self.factor) for side in self.padded)
        self.first = nn.Conv2d(self.factor**2, _WIDTH, 3, padding=1)
        self.second = nn.Conv2d(4 * _WIDTH, _WIDTH, 3, padding=1)
        self.gather = nn.Linear(places * _WIDTH, _HIDDEN)
        self.level = nn.Linear(_LEVELS, _HIDDEN)
        self.middle = nn.Linear(_HIDDEN, _HIDDEN)
        self.pixels = nn.Linear(_HIDDEN, math.prod(image_shape))
        nn.init.zeros_(self.pixels.weight)
        nn.init.zeros_(self.pixels.bias)

    def forward(self, x: Tensor, noise_level: Tensor, classes: Tensor | None = None) -> Tensor:
        """x (B, 1, Y, X); noise_level (B,) is c_noise."""
        down, right = (padded - side for padded, side in zip(self.padded, x.shape[-2:], strict=True))
        folded = functional.pixel_unshuffle(functional.pad(x, (0, right, 0, down)), self.factor)
        seen = functional.silu(self.first(folded))  # (B, _WIDTH, Y/f, X/f)
        seen = functional.silu(self.second(functional.pixel_unshuffle(seen, 2)))
        code = functional.silu(self.gather(seen.flatten(1)) + self.level(_embedded(noise_level)))
        code = code + functional.silu(self.middle(code))  # (B, _HIDDEN)
        return self.pixels(code).view_as(x)


def _embedded(noise_level: Tensor) -> Tensor:
    """(B,) → (B, _LEVELS) sines and cosines."""
    frequency = torch.linspace(0, math.log(_HIGHEST), _LEVELS // 2, device=noise_level.device).exp()
    angle = noise_level[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _trained(
    denoiser: Denoiser,
    films: Tensor,
    settings: TrainSettings,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> dict[str, Tensor]:
    """The averaged weights after `settings.steps`; every random number of a step follows from (seed, step)."""
    network = denoiser.network
    optimiser = torch.optim.AdamW(
        network.parameters(), betas=(0.9, 0.99), weight_decay=0.0, fused=device.type in ("cpu", "cuda")
    )
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    for step in range(settings.steps):
        random = torch.Generator(device).manual_seed(derive(seed, "step", step))
        picks = batch_picks(len(films), settings.batch, seed, step)
        clean = films[torch.from_numpy(picks)].to(device)  # (B, 1, Y, X)
        sigma = draw_sigma(settings.batch, settings.noise, random)  # (B,)
        noise = torch.randn(clean.shape, generator=random, device=device)
        denoised = denoiser(clean + sigma[:, None, None, None] * noise, sigma)
        loss = weighted_loss(denoised, clean, sigma, settings.noise.sigma_data).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(settings, step, step / settings.steps)
        optimiser.step()
        with torch.no_grad():
            keep = average_decay(settings.ema_halflife_steps, step)
            weights = network.state_dict()
            torch._foreach_lerp_(list(average.values()), [weights[k] for k in average], 1 - keep)
        progress.advance()
    return average
