"""What may have been done to a copy, drawn at random for every film of a batch: the teacher of the copy network.

Everything is a batched torch operation, so the edits cost less than the network. All randomness comes from the
caller's generator. Axes: B films, (Y, X) pixels; films are float32 in [0, 1].
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class EditChances:
    """How often each edit is drawn; the draws are independent, so most films go through several."""

    mirror: float = 0.0
    polarity: float = 0.0
    shift: float = 0.6
    rotate: float = 0.55
    zoom: float = 0.7
    elastic: float = 0.2
    blend: float = 0.3
    half: float = 0.2
    gamma: float = 0.15
    window: float = 0.2
    equalise: float = 0.05
    box: float = 0.1
    blur: float = 0.1
    resolution: float = 0.1
    jpeg: float = 0.1
    noise: float = 0.2


@dataclass(frozen=True)
class EditRanges:
    """How strong an edit may be."""

    shift: float = 0.10  # of the side
    rotate_degrees: float = 12.0
    zoom: tuple[float, float] = (
        0.72,
        1.15,
    )  # share of the side that is seen: below 1 crops, above 1 zooms out
    elastic: float = 0.04  # of the side, standard deviation of the displacement
    blend: tuple[float, float] = (0.5, 0.85)  # share of the film itself
    gamma: tuple[float, float] = (0.45, 2.2)
    window: float = 0.35  # of the range, cut off at most at either end
    noise: float = 0.18
    blur_of_side: tuple[float, float] = (0.008, 0.028)
    resolution: tuple[float, float] = (0.3, 0.75)  # of the side
    jpeg_step: tuple[float, float] = (0.03, 0.35)  # coarseness of the cosine coefficients, in units of [0, 1]


@dataclass
class Edited:
    """Views (B, 1, Y, X), and how much of each is the film itself; the rest is film `partner` (B,) of the batch."""

    films: Tensor
    share: Tensor = field(repr=False)
    partner: Tensor = field(repr=False)


def edit(
    films: Tensor,
    partner: Tensor,
    random: torch.Generator,
    chances: EditChances | None = None,
    ranges: EditRanges | None = None,
) -> Edited:
    """Films (B, 1, Y, X) → a randomly edited view of each; `partner` (B,) int64 is whom it may be mixed with.

    A film whose partner is itself is never mixed.
    """
    drawn = _Draw(len(films), random, films.device, chances or EditChances(), ranges or EditRanges())
    result = _move(films, drawn)
    result, share = _mix(result, films[partner], drawn, partner)
    result = _tone(result, drawn)
    result = _hide(result, drawn)
    result = _degrade(result, drawn)
    return Edited(result.clamp(0, 1), share, partner)


class _Draw:
    """Random numbers of one batch: one per film and question."""

    def __init__(
        self,
        count: int,
        random: torch.Generator,
        device: torch.device,
        chances: EditChances,
        ranges: EditRanges,
    ) -> None:
        self.count, self.random, self.device = count, random, device
        self.chances, self.ranges = chances, ranges

    def uniform(self, low: float, high: float) -> Tensor:
        """(B, 1, 1, 1)."""
        drawn = torch.rand(self.count, 1, 1, 1, generator=self.random, device=self.device)
        return low + (high - low) * drawn

    def normal(self, *shape: int) -> Tensor:
        """(B, *shape)."""
        return torch.randn(self.count, *shape, generator=self.random, device=self.device)

    def happens(self, name: str) -> Tensor:
        """(B, 1, 1, 1) bool: whether the edit named is done to each film."""
        return self.uniform(0, 1) < getattr(self.chances, name)

    def some(self, name: str, neutral: float, low: float, high: float) -> Tensor:
        """(B, 1, 1, 1): uniform where the edit happens, `neutral` elsewhere."""
        return torch.where(
            self.happens(name), self.uniform(low, high), torch.tensor(neutral, device=self.device)
        )


def _move(films: Tensor, draw: _Draw) -> Tensor:
    """Mirror, shift, rotation, zoom and a smooth warp in one resampling; polarity with it, as it commutes."""
    height, width = films.shape[2:]
    r = draw.ranges
    moves = draw.happens("shift")
    down, right = (torch.where(moves, draw.uniform(-2, 2) * r.shift, 0.0) for _ in range(2))
    turn = draw.some("rotate", 0.0, -1, 1) * math.radians(r.rotate_degrees)
    zoom = draw.some("zoom", 1.0, *r.zoom)
    way = torch.where(draw.happens("mirror"), -1.0, 1.0)
    rows = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, device=films.device)[None, :, None, None]
    columns = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, device=films.device)[None, None, :, None]
    x = zoom * way * (turn.cos() * columns - turn.sin() * rows) + right  # (B, Y, X, 1)
    y = zoom * (turn.sin() * columns + turn.cos() * rows) + down
    coarse = draw.normal(2, 5, 5) * torch.where(draw.happens("elastic"), 2 * r.elastic, 0.0)
    warp = functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    grid = torch.cat([x, y], dim=3) + warp.permute(0, 2, 3, 1)
    empty = draw.uniform(0, 1) < 0.5  # what is uncovered: black, or the border repeated
    moved = functional.grid_sample(films, grid, mode="bilinear", padding_mode="border", align_corners=False)
    outside = (grid.abs() > 1).any(dim=3)[:, None]
    moved = torch.where(empty & outside, 0.0, moved)
    return torch.where(draw.happens("polarity"), 1 - moved, moved)


def _mix(films: Tensor, others: Tensor, draw: _Draw, partner: Tensor) -> tuple[Tensor, Tensor]:
    """A blend with the partner, or one half of the partner; (B,) share of the film itself."""
    alone = (partner == torch.arange(len(films), device=films.device))[:, None, None, None]
    share = torch.where(alone, 1.0, draw.some("blend", 1.0, *draw.ranges.blend))
    mixed = share * films + (1 - share) * others
    swap = draw.happens("half") & (draw.uniform(0, 1) < 0.25) & ~alone & (share == 1.0)
    mixed = torch.where(swap & _half(films, draw), others, mixed)
    return mixed, torch.where(swap, 0.5, share)[:, 0, 0, 0]


def _half(films: Tensor, draw: _Draw) -> Tensor:
    """(B, 1, Y, X) bool: left, right, upper or lower half of each film."""
    height, width = films.shape[2:]
    across = (torch.arange(width, device=films.device) < width / 2)[None, None, None, :]
    along = (torch.arange(height, device=films.device) < height / 2)[None, None, :, None]
    sideways, near = draw.uniform(0, 1) < 0.5, draw.uniform(0, 1) < 0.5
    return torch.where(sideways, across == near, along == near)


def _tone(films: Tensor, draw: _Draw) -> Tensor:
    """Gamma, window and an equalised histogram."""
    low, high = (math.log(value) for value in draw.ranges.gamma)
    power = draw.some("gamma", 0.0, low, high).exp()
    films = films.clamp(1e-6, 1) ** power
    window = draw.happens("window")
    bottom = torch.where(window, draw.uniform(0, draw.ranges.window), 0.0)
    top = torch.where(window, draw.uniform(1 - draw.ranges.window, 1), 1.0)
    films = ((films - bottom) / (top - bottom)).clamp(0, 1)
    chosen = draw.happens("equalise").flatten().nonzero().flatten()
    if len(chosen):
        films = films.clone()
        films[chosen] = _equalised(films[chosen])
    return films


def _equalised(films: Tensor) -> Tensor:
    """Each pixel becomes the share of darker pixels; equal pixels stay equal."""
    flat = films.flatten(1)
    ranks = torch.searchsorted(flat.sort(dim=1).values, flat.contiguous())
    return (ranks / flat.shape[1]).to(films.dtype).reshape(films.shape)


def _hide(films: Tensor, draw: _Draw) -> Tensor:
    """One half black, grey or white; a text box of one value."""
    height, width = films.shape[2:]
    paint = (draw.uniform(-0.5, 1.5)).clamp(0, 1)
    hidden = draw.happens("half") & _half(films, draw)
    films = torch.where(hidden, paint, films)
    rows = torch.arange(height, device=films.device)[None, None, :, None] / height
    columns = torch.arange(width, device=films.device)[None, None, None, :] / width
    tall, wide = draw.uniform(0.08, 0.3), draw.uniform(0.15, 0.6)
    top, left = draw.uniform(-0.05, 0.9), draw.uniform(-0.05, 0.8)
    inside = (rows >= top) & (rows < top + tall) & (columns >= left) & (columns < left + wide)
    return torch.where(draw.happens("box") & inside, draw.uniform(-1, 2).clamp(0, 1), films)


def _degrade(films: Tensor, draw: _Draw) -> Tensor:
    """Blur, lost resolution, coarse cosine coefficients as of JPEG, noise."""
    r, side = draw.ranges, max(films.shape[2:])
    low, high = (share * side for share in r.blur_of_side)
    films = torch.where(draw.happens("blur"), _blurred(films, draw.uniform(low, high)), films)
    # one factor a batch: a resampling has one size
    factor = torch.rand(1, generator=draw.random, device=draw.device).item()
    small = [
        max(4, round((r.resolution[0] + (r.resolution[1] - r.resolution[0]) * factor) * n))
        for n in films.shape[2:]
    ]
    coarse = functional.interpolate(films, small, mode="bilinear", antialias=True, align_corners=False)
    coarse = functional.interpolate(coarse, films.shape[2:], mode="bilinear", align_corners=False)
    films = torch.where(draw.happens("resolution"), coarse, films)
    step = draw.uniform(math.log(r.jpeg_step[0]), math.log(r.jpeg_step[1])).exp()
    films = torch.where(draw.happens("jpeg"), _quantised(films, step), films)
    sigma = draw.some("noise", 0.0, 0.0, r.noise)
    return films + sigma * draw.normal(*films.shape[1:])


def _blurred(films: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, a sigma (B, 1, 1, 1) in pixels for each film, edges reflected."""
    count, reach = len(films), max(1, math.ceil(3 * 0.028 * max(films.shape[2:])))
    offsets = torch.arange(-reach, reach + 1, device=films.device, dtype=films.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma[:, 0, 0]).square())  # (B, taps)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    padded = functional.pad(films, (reach,) * 4, mode="reflect").transpose(0, 1)  # (1, B, Y, X)
    rows = functional.conv2d(padded, kernel[:, None, :, None], groups=count)
    return functional.conv2d(rows, kernel[:, None, None, :], groups=count).transpose(0, 1)


def _quantised(films: Tensor, step: Tensor) -> Tensor:
    """JPEG's loss in short (ITU-T T.81): 8 x 8 cosine coefficients rounded to steps that grow with the frequency."""
    height, width = films.shape[2:]
    padded = functional.pad(films, (0, -width % 8, 0, -height % 8), mode="replicate")
    frequency = torch.arange(8, device=films.device, dtype=films.dtype)
    basis = torch.cos((2 * frequency[None, :] + 1) * frequency[:, None] * math.pi / 16) / 2  # (8, 8)
    basis[0] /= math.sqrt(2)
    blocks = padded.unflatten(2, (-1, 8)).unflatten(4, (-1, 8)).transpose(3, 4)  # (B, 1, By, Bx, 8, 8)
    steps = step[..., None, None] * (1 + frequency[:, None] + frequency[None, :]) / 4
    kept = torch.round(basis @ blocks @ basis.T / steps) * steps
    back = (basis.T @ kept @ basis).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return back[:, :, :height, :width]
