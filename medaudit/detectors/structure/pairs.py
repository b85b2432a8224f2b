"""How alike are two films once aligned, where they are less alike? This tells a copy from another film of a person.

Two films of one person agree in most parts of the frame and disagree in some: an arm, the diaphragm, a tube, a lung
that has changed. A copy agrees everywhere, and what an edit costs it costs everywhere. So the frame is cut into
parts, and the correlation that three parts in four reach is what counts: their 25 % point. Two bands are looked at,
because edits cost one or the other: `smooth`, in which noise and lost detail vanish, and `detail`, the finest band,
in which blends and what is cut or covered do less harm.

Axes: B pairs, (S, S) pixels, P x P parts of the frame.
"""

import numpy as np
import torch
import torch.nn.functional as F

from medaudit.detectors.structure.alignment import align, band_pair
from medaudit.detectors.structure.films import FINE, Films, normalised, read_films, to_square
from medaudit.detectors.structure.registration import aligned, overlap_sums, places
from medaudit.detectors.structure.sweep import PoseSweep
from medaudit.devices import side_by_side

PARTS = 4  # of the frame, along a side
LEAST_PARTS = 2  # in which both films speak; with fewer nothing is said
WEAKER = 0.25  # the point of the parts' correlations that counts
NOTHING = -1.0  # of films that cannot be compared
_BLUR, _WINDOW = 3 / 64, 13 / 64  # of the smooth band, as shares of the side
_TOGETHER = 16  # pairs at once


def compared_pixels(shape: tuple[int, ...]) -> int:
    """The side at which the detail of films (Y, X) is compared."""
    return min(FINE, *shape)


def weaker_likeness(first: np.ndarray, second: np.ndarray, sweep: PoseSweep) -> np.ndarray:
    """(B, Y, X) and (B, Y, X) float32 in [0, 1] → (B, 2): the correlation that three parts in four of the aligned
    frame reach in the bands `smooth` and `detail`.

    `sweep` gives the poses to start from. NOTHING where the films overlap in too few parts.
    """

    def compare(start: int) -> np.ndarray:
        part = slice(start, start + _TOGETHER)
        return _compared(_with_smooth(first[part]), _with_smooth(second[part]), sweep)

    parts = side_by_side(compare, range(0, len(first), _TOGETHER), sweep.films.device)
    return np.concatenate([np.zeros((0, 2)), *parts])


def _with_smooth(images: np.ndarray) -> Films:
    """The films with one band more, at the size of the middle band."""
    films = read_films(images)
    small = torch.from_numpy(to_square(images, films.known.shape[-1]))
    side = small.shape[-1]
    smooth = normalised(_blurred(small, _BLUR * side), round(_WINDOW * side), 5) * films.known
    return Films({**films.contrast, "smooth": smooth}, films.known)


def _blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """(N, S, S) after a Gaussian of `sigma` pixels, the rim repeated outward."""
    reach = max(1, round(3 * sigma))
    weight = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weight = weight / weight.sum()
    padded = F.pad(images[:, None], (reach, reach, reach, reach), mode="replicate")
    return F.conv2d(F.conv2d(padded, weight[None, None, None]), weight[None, None, :, None])[:, 0]


def pose_sweep(images: np.ndarray) -> PoseSweep:
    """A sweep that has learnt from films (M, Y, X) float32 in [0, 1] what all films share."""
    return PoseSweep(read_films(images).contrast["middle"])


def laid_over(
    first: np.ndarray, second: np.ndarray, sweep: PoseSweep
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(B, Y, X) and (B, Y, X) float32 in [0, 1] → the first films as they lie in the second ones' frames (B, Y, X), 0
    outside; the poses (B, 2, 3); and (B,) sign, -1 where black was taken for white."""
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(0, len(first), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        _, _, pose, sign = _aligned_films(read_films(first[part]), read_films(second[part]), sweep)
        film = torch.from_numpy(first[part]).to(pose.device)[:, None]
        film = torch.where(sign[:, None, None, None] < 0, 1 - film, film)
        moved = F.grid_sample(film, places(pose, *second.shape[1:]), align_corners=False)[:, 0]
        found.append((moved.cpu().numpy(), pose.cpu().numpy(), sign.cpu().numpy()))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))  # type: ignore[return-value]


def _compared(first: Films, second: Films, sweep: PoseSweep) -> np.ndarray:
    """(B, 2) of films one by one."""
    moving, still, pose, _ = _aligned_films(first, second, sweep)
    detail = "fine" if "fine" in moving.contrast else "sharp"
    return np.stack([_weaker_parts(moving, still, pose, band) for band in ("smooth", detail)], axis=1)


def _aligned_films(
    first: Films, second: Films, sweep: PoseSweep
) -> tuple[Films, Films, torch.Tensor, torch.Tensor]:
    """Films one by one: aligned from the best pose of each mirror, the better alignment taken.

    Returns the first films in the polarity that fits, the second ones, the poses (B, 2, 3) and the signs (B,).
    """
    device = str(sweep.films.device)
    first, second = first.to(device), second.to(device)
    start, sign = sweep.between(first.contrast["middle"], second.contrast["middle"])  # (B, 2, 2, 3), (B, 2)
    tries = sign.shape[1]
    own = torch.arange(len(first), device=device).repeat_interleave(tries)
    moving, still, pose = first.at(own).turned(sign.flatten()), second.at(own), start.reshape(-1, 2, 3)
    pose = align(moving, still, pose)
    product, one, other, both = overlap_sums(*band_pair(moving, still, "middle"), pose).T
    quality = product / (one * other).sqrt().clamp_min(1e-9) * both.sqrt()
    best = quality.view(-1, tries).argmax(1) + tries * torch.arange(len(first), device=device)
    return moving.at(best), still.at(best), pose[best], sign.flatten()[best]


def _weaker_parts(moving: Films, still: Films, pose: torch.Tensor, band: str) -> np.ndarray:
    """(B,) the WEAKER point of the correlations of the parts in which both films speak."""
    side = still.contrast[band].shape[-1]
    seen = aligned(moving.mask(band), pose, side)
    moved = aligned(moving.contrast[band], pose, side) * still.mask(band)
    target = still.contrast[band] * seen
    product, one, other, share = (
        F.adaptive_avg_pool2d(values[:, None], PARTS).flatten(1).double().cpu().numpy()
        for values in (moved * target, moved.square(), target.square(), seen * still.mask(band))
    )  # (B, P * P) each
    energy = np.sqrt(one * other)
    correlation = np.divide(product, energy, out=np.zeros_like(product), where=energy > 1e-9)
    found = np.full(len(correlation), NOTHING)
    for place, (values, speaks) in enumerate(zip(correlation, share > 0.5, strict=True)):
        if speaks.sum() >= LEAST_PARTS:
            found[place] = np.quantile(values[speaks], WEAKER)
    return found
