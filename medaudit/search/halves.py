"""Vectors on their axes in bfloat16, with what the product of two of them may be wrong by: see `looks`.

Let x = (p, r) be a vector on its axes with what is left over (`projection`), so |x_a - x_b| <= |a - b|, and h what
bfloat16 makes of it, e = |x - h|. Then |a - b| >= |h_a - h_b| - e_a - e_b, and for every 0 < s < 1
|a - b|^2 >= (1 - s) (|h_a - h_b|^2 - (2 / s) (e_a^2 + e_b^2)). The inner part is one inner product; products of
bfloat16 are exact in float32, and sums of them are wrong by at most `precision.slack`.

Axes: M references, B of them in a block, T tiles, A coarse and F fine axes, C columns.
"""

from functools import cache

import numpy as np
import torch

from medaudit.search.precision import slack

EXTRA = 4  # columns beside those of a vector
_TILE = 32  # columns that the processor multiplies at once
_SHARE = 2.0**-8  # s above
_LOST = 2.0**-110  # of a column: what underflow may take, 2 / s times, where a library flushes it to nought
_UNIT = 2.0**-8  # unit roundoff of bfloat16
SCALE = (
    (1.0 - _SHARE) * (1.0 - _UNIT) * (1.0 - 2.0**-20)
)  # of a product that was rounded to bfloat16, to be a bound


def columns(axes: int) -> int:
    """Columns of `axes` axes: those of a vector and of what is left over, cut to whole tiles, and four more."""
    return max(axes + 1 + EXTRA - (axes + 1 + EXTRA) % _TILE, min(axes + 1 + EXTRA, _TILE))


def of_queries(point: np.ndarray) -> torch.Tensor:
    """(..., A + F + 1) → (..., C): (-2 h, 1, 1, n), n in two parts; the product with a reference is a bound."""
    places = _cut(torch.from_numpy(point))
    made = torch.ones(*places.shape[:-1], places.shape[-1] + EXTRA, dtype=torch.bfloat16)
    made[..., :-EXTRA], made[..., -2:] = _halved(places)
    made[..., :-EXTRA] *= -2.0
    return made


def of_references(coarse: np.ndarray, fine: np.ndarray) -> torch.Tensor:
    """(B, T, A + 3) and (B, T, F + 1) → (T, B, C): (h, n, 1, 1)."""
    places = torch.cat([torch.from_numpy(coarse)[..., :-3], torch.from_numpy(fine)], dim=-1).transpose(0, 1)
    places = _cut(places)
    made = torch.ones(*places.shape[:-1], places.shape[-1] + EXTRA, dtype=torch.bfloat16)
    made[..., :-EXTRA], made[..., -EXTRA:-2] = _halved(places)
    return made


def _cut(places: torch.Tensor) -> torch.Tensor:
    """(..., A + F + 1) → (..., C - 4): the last axes join what is left over, of which only the length is kept."""
    kept = columns(places.shape[-1] - 1) - EXTRA
    if kept == places.shape[-1]:
        return places
    rest = places[..., kept - 1 :].square().sum(-1, keepdim=True).sqrt_()
    return torch.cat([places[..., : kept - 1], rest], dim=-1)


def _halved(places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(..., C) float32 → h (..., C) bfloat16, and |h|^2 less all that may be wrong, (..., 2) bfloat16 parts of it."""
    half = places.bfloat16()
    back = half.float()
    norm = back.square().sum(-1)
    error = (places - back).square().sum(-1)
    allowed = 2.0 * slack(places.shape[-1] + 4) + 2.0**-15  # of the sums, and of the norm's two parts
    error = 1.01 * error + 2.0**-40 * norm  # what float32 had lost before
    low = norm * (1.0 - allowed) - (2.0 / _SHARE) * error - _LOST * places.shape[-1]
    first = low.bfloat16()
    return half, torch.stack([first, (low - first.float()).bfloat16()], dim=-1)


@cache
def in_tiles() -> bool:
    """Whether the processor has tiles for bfloat16 and a product made with them keeps the promise."""
    if not torch.cpu._is_amx_tile_supported():
        return False
    draw = torch.Generator().manual_seed(0)
    first, second = (torch.randn(96, 517, generator=draw).bfloat16() for _ in range(2))
    right = first.double() @ second.double().T
    size = first.double().abs() @ second.double().abs().T
    wrong = (first @ second.T).double() - right
    return bool((wrong.abs() <= right.abs() * _UNIT + size * slack(517)).all())
