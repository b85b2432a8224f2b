"""The network under the denoiser: diffusers' UNet2DModel behind a pixel-unshuffle.

diffusers rather than MONAI: both cost about the same step, but UNet2DModel is the one that model folders in the
field are saved from, and its middle block works without attention, which costs a third of a step on a CPU.

Axes: B images, C channels (one for a radiograph), (Y, X) pixels, f the unshuffle factor.
"""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medaudit.config import NetworkSettings
from medaudit.seeds import derive

# UNet2DModel's sinusoidal embedding was made for time steps 0 to 1000; c_noise = ln(sigma) / 4 spans about
# -1.6 to 1.1 (Karras et al. 2022, table 1), so it is stretched before it is embedded.
TIME_SCALE = 10.0


def unshuffle_factor(image_shape: tuple[int, int], grid: int) -> int:
    """The factor f for `unshuffle: auto`, which leaves at most `grid` places a side.

    With a grid of 16: 28 x 28 -> 14 x 14 x 4, 64 x 64 -> 16 x 16 x 16.
    """
    return math.ceil(max(image_shape) / grid)


def describe_network(settings: NetworkSettings, image_shape: tuple[int, int], classes: int) -> dict[str, Any]:
    """What `build_network` needs, as JSON values: the record that goes into model.json."""
    automatic = unshuffle_factor(image_shape, settings.grid)
    factor = automatic if settings.unshuffle == "auto" else settings.unshuffle
    attention = settings.attention or (False,) * len(settings.channels)
    channels = factor * factor
    return {
        "type": "diffusers.UNet2DModel",
        "unshuffle": factor,
        "unet": {
            "in_channels": channels,
            "out_channels": channels,
            "block_out_channels": list(settings.channels),
            "down_block_types": ["AttnDownBlock2D" if a else "DownBlock2D" for a in attention],
            "up_block_types": ["AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attention)],
            "layers_per_block": settings.layers_per_block,
            "add_attention": settings.mid_attention,
            "norm_num_groups": settings.norm_groups,
            "resnet_time_scale_shift": "scale_shift" if settings.time_scale_shift else "default",
            "dropout": settings.dropout,
            "num_class_embeds": classes or None,
        },
    }


def build_network(description: Mapping[str, Any], seed: int | None = None) -> "UnshuffledUNet":
    """The network of a description; with a seed its weights are drawn from it, without one they are arbitrary.

    Raises TypeError or ValueError for a description that does not fit UNet2DModel.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0 if seed is None else derive(seed, "weights"))
        unet = make_unet2d(description["unet"])
    network = UnshuffledUNet(unet, int(description["unshuffle"]))
    if seed is not None:
        # A denoiser that starts at D = c_skip x is already right at low noise.
        nn.init.zeros_(unet.conv_out.weight)
        nn.init.zeros_(unet.conv_out.bias)
    return network


def make_unet2d(arguments: Mapping[str, Any]) -> Any:
    """A diffusers UNet2DModel from constructor arguments alone; nothing is looked up, nothing is fetched."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from diffusers.models.unets.unet_2d import UNet2DModel

        from medaudit.generators.blocks import lean  # loads diffusers as well

        unet = UNet2DModel(**arguments)
    lean(unet)
    return unet


class UnshuffledUNet(nn.Module):
    """F(x, c_noise, class): (B, 1, Y, X) -> (B, 1, Y, X), any Y and X.

    The image is zero-padded below and to the right to a multiple of f * 2**(levels - 1), folded to
    (B, f*f, Y/f, X/f), and unfolded and cropped after the UNet; the loss sees the cropped image only.
    """

    def __init__(self, unet: Any, factor: int) -> None:
        super().__init__()
        self.unet = unet
        self.factor = factor
        self.multiple = factor * 2 ** (len(unet.config.block_out_channels) - 1)

    def forward(self, x: Tensor, noise_level: Tensor, classes: Tensor | None = None) -> Tensor:
        """x (B, 1, Y, X); noise_level (B,) is c_noise; classes (B,) int64 or None."""
        height, width = x.shape[-2:]
        down = math.ceil(height / self.multiple) * self.multiple - height
        right = math.ceil(width / self.multiple) * self.multiple - width
        if down or right:
            x = functional.pad(x, (0, right, 0, down))
        x = functional.pixel_unshuffle(x, self.factor)  # (B, f*f, Y/f, X/f)
        out = self.unet(x, noise_level * TIME_SCALE, class_labels=classes, return_dict=False)[0]
        return functional.pixel_shuffle(out, self.factor)[..., :height, :width]
