"""DINOv2's vision transformer (Oquab et al. 2023; RAD-DINO, Perez-Garcia et al. 2024) with the parameter names of the
published safetensors files. Axes: B films, L places (a class token and the patches), C = 768 values, H heads.
"""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_PATCH = 14
_HEAD = 64  # values a head, in every size of the family
SIZE = 224  # pixels a side asked for; positions learnt at another side are resampled
_MEAN, _DEVIATION = 0.5307, 0.2583  # of the pixels, RAD-DINO's preprocessing


class Dinov2(nn.Module):
    """Films (B, 1, Y, X) in [0, 1] → (B, C) of length 1: the class token after the last layer.

    `width` C, `layers` and `grid` (patches a side that positions were learnt for) follow from the file.
    """

    def __init__(self, width: int, layers: int, grid: int) -> None:
        super().__init__()
        self.embeddings = _Embeddings(width, grid)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList([_Layer(width) for _ in range(layers)])})
        self.layernorm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, films: Tensor) -> Tensor:
        """(B, 1, Y, X) → (B, C); sides are cut to whole patches."""
        films = ((films - _MEAN) / _DEVIATION).expand(-1, 3, -1, -1)
        places = self.embeddings(films)
        for layer in cast(nn.ModuleList, self.encoder["layer"]):
            places = layer(places)
        return functional.normalize(self.layernorm(places)[:, 0], dim=1)


class _Embeddings(nn.Module):
    """Patches and the class token, each with its position added."""

    def __init__(self, width: int, grid: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        self.patch_embeddings = nn.ModuleDict({"projection": nn.Conv2d(3, width, _PATCH, stride=_PATCH)})

    def forward(self, films: Tensor) -> Tensor:
        """(B, 3, Y, X) → (B, L, C)."""
        patches = self.patch_embeddings["projection"](films)  # (B, C, Y / 14, X / 14)
        first = self.cls_token.expand(len(films), -1, -1)
        places = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1)
        return places + self._positions(patches.shape[2], patches.shape[3])

    def _positions(self, rows: int, columns: int) -> Tensor:
        """(1, 1 + rows * columns, C): the learnt positions, resampled to the patches at hand."""
        learnt = self.position_embeddings
        side = math.isqrt(learnt.shape[1] - 1)
        if (rows, columns) == (side, side):
            return learnt
        grid = learnt[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        grid = functional.interpolate(grid, (rows, columns), mode="bicubic", align_corners=False)
        return torch.cat([learnt[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


class _Layer(nn.Module):
    """x + scale attention(norm x), then x + scale mlp(norm x)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = _Attention(width)
        self.layer_scale1, self.layer_scale2 = _Scale(width), _Scale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, C) → the same."""
        x = x + self.layer_scale1(self.attention(self.norm1(x)))
        inner = functional.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.layer_scale2(self.mlp["fc2"](inner))


class _Scale(nn.Module):
    """A learnt factor for each value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) → the same."""
        return x * self.lambda1


class _Attention(nn.Module):
    """Self-attention with heads of 64 values (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, C) → the same."""
        query, key, value = (
            self.attention[name](x).unflatten(2, (-1, _HEAD)).transpose(1, 2)  # (B, H, L, 64)
            for name in ("query", "key", "value")
        )
        found = functional.scaled_dot_product_attention(query, key, value)
        return self.output["dense"](found.transpose(1, 2).flatten(2))
