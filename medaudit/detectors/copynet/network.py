"""The copy network: a small residual CNN from a film to a unit vector.

Convolutions with standardised weights and a gain on every branch stand in for batch norm (Brock et al. 2021,
sec. 3), so that an image's vector never depends on its batch, in training as in use. Axes: B films, D values,
C channels, S pixels a side.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medaudit.config import CopyNetSettings
from medaudit.detectors.copynet.contrast import CHANNELS, local_contrast
from medaudit.seeds import derive

_RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))  # Brock et al. 2021, sec. 3: keeps unit variance after a ReLU


def describe_encoder(settings: CopyNetSettings) -> dict[str, Any]:
    """What `build_encoder` needs, as JSON values: the record that lies beside the weights."""
    return {
        "type": "medaudit.copynet/1",
        "size": settings.size,
        "fold": settings.fold,
        "channels": list(settings.channels),
        "blocks": settings.blocks,
        "values": settings.values,
    }


def build_encoder(description: Mapping[str, Any], seed: int = 0) -> "CopyEncoder":
    """The network of a description, with weights drawn from `seed`. Raises KeyError or ValueError if it is none."""
    if description["type"] != "medaudit.copynet/1":
        raise ValueError("not a copy network")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "copynet weights"))
        return CopyEncoder(
            size=int(description["size"]),
            fold=int(description["fold"]),
            channels=[int(width) for width in description["channels"]],
            blocks=int(description["blocks"]),
            values=int(description["values"]),
        )


class CopyEncoder(nn.Module):
    """Films (B, 1, S, S) float32 in [0, 1] → (B, D) float32 of length 1.

    The contrast planes are folded by `fold` x `fold` pixels into channels, then one stage per entry of `channels`,
    each half the side of the one before; the last grid is laid out flat, because where a structure lies tells
    patients apart, and projected to D values.
    """

    def __init__(self, size: int, fold: int, channels: list[int], blocks: int, values: int) -> None:
        super().__init__()
        last = size // (fold * 2 ** (len(channels) - 1))
        if size % (fold * 2 ** (len(channels) - 1)) or last < 1:
            raise ValueError("size must be a multiple of fold * 2 ** (stages - 1)")
        self.size, self.fold, self.values = size, fold, values
        self.window = max(5, round(9 / 64 * size) // 2 * 2 + 1)
        self.stem = StandardisedConv(CHANNELS * fold * fold, channels[0], 3)
        stages: list[nn.Module] = []
        for before, width in zip([channels[0], *channels], channels, strict=False):
            if len(stages):
                stages.append(StandardisedConv(before, width, 2, stride=2))
            stages += [Residual(width) for _ in range(blocks)]
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels[-1] * last * last, values)

    def forward(self, films: Tensor) -> Tensor:
        """(B, 1, S, S) → (B, D)."""
        with torch.no_grad(), torch.autocast(films.device.type, enabled=False):
            planes = local_contrast(films.float(), self.window)
        grid = self.stages(self.stem(functional.pixel_unshuffle(planes, self.fold)))  # (B, C, Y, X)
        return functional.normalize(self.head(functional.relu(grid).flatten(1)).float(), dim=1)


class StandardisedConv(nn.Conv2d):
    """A convolution whose weights have mean 0 and variance 1 / fan-in, times a learnt gain (Qiao et al. 2019)."""

    def __init__(self, before: int, after: int, side: int, stride: int = 1) -> None:
        super().__init__(before, after, side, stride, padding=(side - 1) // 2 if stride == 1 else 0)
        self.gain = nn.Parameter(torch.ones(after, 1, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, Y, X) → (B, C', Y', X')."""
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        variance = self.weight.var((1, 2, 3), keepdim=True, unbiased=False)
        fan_in = self.weight[0].numel()
        weight = (self.weight - mean) * (self.gain * torch.rsqrt(variance * fan_in + 1e-4))
        return functional.conv2d(input, weight, self.bias, self.stride, self.padding)


class Residual(nn.Module):
    """x + g conv(relu(conv(relu(x)))), the learnt g starting at 0.2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = StandardisedConv(width, width, 3)
        self.second = StandardisedConv(width, width, 3)
        self.strength = nn.Parameter(torch.full((), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) → the same."""
        inner = functional.relu(self.first(functional.relu(x) * _RELU_GAIN))
        return x + self.strength * self.second(inner * _RELU_GAIN)
