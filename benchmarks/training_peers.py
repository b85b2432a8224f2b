"""What training and sampling are held beside: plain diffusers, each as its own tutorials run it.

Axes: B images of a batch, (Y, X) pixels.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
from torch import Tensor

from medaudit.config import TrainSettings
from medaudit.generators.denoising import Denoise, Denoiser, draw_sigma, weighted_loss
from medaudit.generators.networks import build_network, describe_network
from medaudit.generators.training import TrainingImages, average_decay, batch_picks, learning_rate
from medaudit.seeds import derive

DDIM_STEPS = 50
_SCHEDULE = 1000  # time steps of diffusers' schedules
# The default network's pattern, two layers a block and attention on all levels but the first, on the three levels
# that 28 pixels allow, and as narrow as to have the parameters of the demos' network, or a little fewer.
_WIDTHS = (24, 40, 40)
_ATTENTION = ("AttnDownBlock2D",) * 2, ("AttnUpBlock2D",) * 2


def stock_network(side: int) -> UNet2DModel:
    """A UNet2DModel on the pixels themselves, fp32."""
    return UNet2DModel(
        sample_size=side,
        in_channels=1,
        out_channels=1,
        block_out_channels=_WIDTHS,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", *_ATTENTION[0]),
        up_block_types=(*_ATTENTION[1], "UpBlock2D"),
    )


def stock_step(network: UNet2DModel, images: TrainingImages, batch: int) -> Callable[[int], None]:
    """diffusers' unconditional training step: DDPM noise, mean squared error, AdamW, an average kept in plain torch."""
    schedule = DDPMScheduler(_SCHEDULE)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.95, 0.999), weight_decay=1e-6)
    average = [parameter.detach().clone() for parameter in network.parameters()]
    random = torch.Generator().manual_seed(0)

    def step(number: int) -> None:
        clean, _ = images.batch(batch_picks(len(images.rows), batch, 0, number))  # (B, 1, Y, X)
        noise = torch.randn(clean.shape, generator=random)
        times = torch.randint(0, _SCHEDULE, (batch,), generator=random)
        predicted = network(schedule.add_noise(clean, noise, times), times, return_dict=False)[0]
        torch.nn.functional.mse_loss(predicted, noise).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        keep_average(average, list(network.parameters()), 0.9999)

    return step


class PlainTwin:
    """medaudit's network, batches and noise, in the plain loop: no lean blocks, no channels_last, no fused optimiser.

    After the same steps its averaged weights should be worth as much as medaudit's.
    """

    def __init__(self, images: TrainingImages, settings: TrainSettings, seed: int) -> None:
        self.images, self.settings, self.seed = images, settings, seed
        self.network = build_network(describe_network(settings.network, images.image_shape, 0), seed)
        unet = UNet2DModel.from_config(self.network.unet.config)
        unet.load_state_dict(self.network.unet.state_dict())
        self.network.unet = unet
        self.denoiser = Denoiser(self.network, settings.noise.sigma_data)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), betas=(0.9, 0.99), weight_decay=settings.weight_decay
        )
        self.average = [parameter.detach().clone() for parameter in self.network.parameters()]

    def step(self, number: int) -> None:
        """Step `number` of the run."""
        settings = self.settings
        clean, _ = self.images.batch(batch_picks(len(self.images.rows), settings.batch, self.seed, number))
        random = torch.Generator().manual_seed(derive(self.seed, "step", number))
        sigma = draw_sigma(settings.batch, settings.noise, random)  # (B,)
        noise = torch.randn(clean.shape, generator=random)
        denoised = self.denoiser(clean + sigma[:, None, None, None] * noise, sigma)
        weighted_loss(denoised, clean, sigma, settings.noise.sigma_data).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(settings, number, number / settings.steps)
        self.optimiser.step()
        self.optimiser.zero_grad()
        keep = average_decay(settings.ema_halflife_steps, number)
        keep_average(self.average, list(self.network.parameters()), keep)

    def averaged(self) -> dict[str, Tensor]:
        """The averaged weights by name."""
        names = [name for name, _ in self.network.named_parameters()]
        return dict(zip(names, self.average, strict=True))


@torch.no_grad()
def keep_average(average: list[Tensor], parameters: list[Tensor], keep: float) -> None:
    """The exponential average of the weights, one tensor after the other."""
    for kept, parameter in zip(average, parameters, strict=True):
        kept.mul_(keep).add_(parameter, alpha=1 - keep)


@torch.no_grad()
def ddim(denoise: Denoise, noise: Tensor) -> Tensor:
    """diffusers' DDIMScheduler on a denoiser D(x; sigma): noise (B, 1, Y, X) -> (B, 1, Y, X) in [-1, 1].

    The scheduler's image is sqrt(alpha_bar) times the unscaled one, and sigma^2 = (1 - alpha_bar) / alpha_bar
    (Karras et al. 2022, table 1, column VP); D is what it calls a prediction of the sample.
    """
    schedule = DDIMScheduler(_SCHEDULE, prediction_type="sample")
    schedule.set_timesteps(DDIM_STEPS)
    x = noise
    for time in schedule.timesteps:
        kept = float(schedule.alphas_cumprod[time])
        level = x.new_full((len(x),), math.sqrt((1 - kept) / kept))
        x = schedule.step(denoise(x / math.sqrt(kept), level, None), time, x).prev_sample
    return x


def heldout_loss(denoise: Denoise, films: np.ndarray, settings: TrainSettings) -> np.ndarray:
    """(N,) weighted denoising loss of films (N, Y, X) in [0, 1] at noise drawn once for all networks."""
    clean = torch.from_numpy(films.astype(np.float32) * 2 - 1)[:, None]
    random = torch.Generator().manual_seed(derive(0, "validation"))
    sigma = draw_sigma(len(clean), settings.noise, random)
    noise = torch.randn(clean.shape, generator=random)
    with torch.no_grad():
        denoised = denoise(clean + sigma[:, None, None, None] * noise, sigma, None)
        return weighted_loss(denoised, clean, sigma, settings.noise.sigma_data).numpy()
