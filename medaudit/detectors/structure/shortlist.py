"""Which training films can be among the most alike? Answered with rounded numbers, and never wrong.

Processors multiply small integers several times as fast as float32. So each film and each pose is rounded, the
largest correlation over poses is taken of the rounded ones, and a film is set aside only where the rounding cannot
have cost it its place: |a.b - a'.b'| <= |a - a'| |b| + |a'| |b - b'| (Cauchy-Schwarz), and every length is known.
Whoever asks measures the films that are left in float32.

Axes: M training films, P poses, D values.
"""

from collections.abc import Iterator

import torch

from medaudit.devices import multiplies_int8, uses_bf16

BLOCK = 512  # films at once: their products with all poses stay in a processor's cache
_BLOCK_INT8 = 96  # the same for integers, which are multiplied so fast that waiting for memory is what counts
_BLOCK_CUDA = 1 << 14
_LEAST = 256  # films from which rounding pays
_SLACK = 1e-5  # what float32 itself may cost
_STEPS = 127  # of an int8 to either side of 0
_HALF_STEP = 2.0**-8  # of a bf16, as a share of the value: twice what rounding to nearest costs


def rounding_for(device: torch.device) -> torch.dtype | None:
    """The numbers that this processor multiplies faster than float32 and exactly as told; None where none are."""
    if device.type == "cpu":
        return torch.int8 if multiplies_int8() else None
    return torch.bfloat16 if device.type == "cuda" and uses_bf16("auto", device) else None


class Shortlist:
    """Training films (M, D) of length 1, rounded to `kind`: int8 or bfloat16."""

    def __init__(self, films: torch.Tensor, kind: torch.dtype) -> None:
        self.kind = kind
        largest = films.abs().amax(dim=1)
        self.scale = _scale(largest, kind)  # (M,)
        self.codes = torch.empty(films.shape, dtype=kind, device=films.device)  # (M, D)
        self.off = torch.empty(len(films), device=films.device)  # (M,) length of what rounding took
        for part in blocks(len(films), films.device):
            self.codes[part], self.off[part] = _rounded(films[part], self.scale[part, None], kind)

    @classmethod
    def of(cls, films: torch.Tensor) -> "Shortlist | None":
        """None where it would not pay: few films, or a processor that has no faster numbers."""
        kind = rounding_for(films.device) if len(films) >= _LEAST else None
        return None if kind is None else cls(films, kind)

    def places(self, posed: torch.Tensor, k: int, barred: torch.Tensor | None = None) -> torch.Tensor:
        """(P, D) of length 1 → (n,) places, ascending, among which the k most alike surely are.

        Films `barred` (M,) bool count as opposite to everything.
        """
        low, high = self.bounds(posed)
        if barred is not None:
            low, high = low.masked_fill(barred, -1.0), high.masked_fill(barred, -1.0)
        return torch.nonzero(high >= low.topk(k).values[-1])[:, 0]

    def bounds(self, posed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(P, D) of length 1 → limits (M,) from below and above of the largest absolute correlation over poses."""
        scale = _scale(posed.abs().max(), self.kind)
        codes, gone = _rounded(posed, scale, self.kind)
        off = gone.max()
        best = torch.empty(len(self.codes), device=posed.device)
        for part in blocks(len(best), posed.device, _BLOCK_INT8 if self.kind == torch.int8 else BLOCK):
            best[part] = largest(_product(codes, self.codes[part].T))
        best *= scale * self.scale
        doubt = off + (1 + off) * self.off + _SLACK
        if self.kind == torch.bfloat16:  # the products are rounded too
            doubt = doubt + _HALF_STEP * best
        return best - doubt, best + doubt


def blocks(count: int, device: torch.device, held: int = BLOCK) -> Iterator[slice]:
    """Parts of `count` films whose products with all poses are held at once: `held` on the processor."""
    step = _BLOCK_CUDA if device.type == "cuda" else held
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def largest(correlations: torch.Tensor) -> torch.Tensor:
    """(P, M) → (M,): the largest absolute value over poses; `correlations` is written over."""
    return correlations.abs_().amax(dim=0)


def _scale(most: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """What one step of the rounded numbers is worth."""
    return (most / _STEPS).clamp_min(1e-20) if kind == torch.int8 else torch.ones_like(most)


def _rounded(
    vectors: torch.Tensor, scale: torch.Tensor, kind: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, D) → rounded (n, D), and the length (n,) of what that took from each."""
    steps = vectors / scale
    codes = (steps.round() if kind == torch.int8 else steps).to(kind)
    return codes, (vectors - codes * scale).norm(dim=1)


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch._int_mm(left, right) if left.dtype == torch.int8 else left @ right
