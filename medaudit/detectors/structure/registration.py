"""Registration of film pairs: six affine parameters by Gauss-Newton with damping, for many pairs at once.

What is maximised is the correlation of local contrast where both films say something, times the root of the share
of the frame where they do: a small overlap must be earned. The step is that of Lucas and Kanade 1981 with the gain
of one film fitted, damped as in Levenberg 1944; a step that does not help is not taken.

Axes: B pairs, (S, S) pixels. A pose (2, 3) leads from (x, y, 1) of the second film to x and y of the first,
in [-1, 1] coordinates whose ends are the edges of the outer pixels.
"""

import torch
import torch.nn.functional as F

_LEAST = 1e-6
_TOGETHER = 1 << 16  # pixels of the pairs at once: what a step needs of them stays in a processor's cache


def register(
    first: torch.Tensor,
    second: torch.Tensor,
    mask_first: torch.Tensor,
    mask_second: torch.Tensor,
    pose: torch.Tensor,
    steps: int,
) -> torch.Tensor:
    """(B, S, S) contrasts and masks, starting poses (B, 2, 3) → poses that are at least as good."""
    if not len(pose):
        return pose
    most = max(1, _TOGETHER // first[0].numel()) if pose.device.type == "cpu" else len(pose)
    parts = zip(
        first.split(most), second.split(most), mask_first.split(most), mask_second.split(most), pose.split(most),
        strict=True,
    )  # fmt: skip
    return torch.cat([_registered(*part, steps) for part in parts])


def _registered(
    first: torch.Tensor,
    second: torch.Tensor,
    mask_first: torch.Tensor,
    mask_second: torch.Tensor,
    pose: torch.Tensor,
    steps: int,
) -> torch.Tensor:
    layers = torch.stack([first, mask_first, *_slopes(first)], dim=1)  # (B, 4, S, S)
    target, known = second.flatten(1), mask_second.flatten(1)
    power = target.square()
    points = frame_points(first.shape[1], first.shape[2], pose.device)  # (S * S, 3)
    coordinates = points.T.contiguous()  # (3, S * S)
    rows = target.new_empty(len(pose), 7, target.shape[1])
    best, step = pose.clone(), torch.zeros_like(pose)
    quality = torch.full((len(pose),), -torch.inf, device=pose.device)
    damping = torch.full((len(pose),), 1e-3, device=pose.device)
    normal = pose.new_zeros(len(pose), 6, 6)
    slope = pose.new_zeros(len(pose), 6)
    for turn in range(steps + 1):
        tried = best + step
        where = (points @ tried.transpose(1, 2)).view(len(pose), *first.shape[-2:], 2)
        seen = F.grid_sample(layers, where, align_corners=False).flatten(2)  # (B, 4, S * S)
        both = seen[:, 1] * known
        moved = seen[:, 0] * known
        product = (moved * target).sum(1)
        energy = moved.square().sum(1) + _LEAST
        other = (power * both).sum(1) + _LEAST
        reached = product / (energy * other).sqrt() * both.mean(1).sqrt()
        better = reached > quality
        best = torch.where(better[:, None, None], tried, best)
        quality = torch.where(better, reached, quality)
        damping = torch.where(better, damping * 0.3, damping * 10).clamp(1e-4, 1e3)
        if turn == steps:  # never sooner: a pair must come out the same in any batch
            break
        gain = (product / energy)[:, None]
        # Each parameter moves a pixel by a slope times a coordinate; the residual is a seventh row, so that one product
        # gives the normal equations and their right side.
        along = gain[:, None] * seen[:, 2:] * both[:, None]  # (B, 2, S * S)
        torch.mul(along[:, :, None], coordinates, out=rows[:, :6].view(-1, 2, 3, rows.shape[2]))
        torch.mul(target - gain * moved, both, out=rows[:, 6])
        sums = torch.bmm(rows, rows.transpose(1, 2))  # (B, 7, 7)
        normal = torch.where(better[:, None, None], sums[:, :6, :6], normal)
        slope = torch.where(better[:, None], sums[:, :6, 6], slope)
        weight = torch.diagonal(normal, dim1=1, dim2=2) * damping[:, None] + 1e-3
        step = torch.linalg.solve(normal + torch.diag_embed(weight), slope).view(-1, 2, 3)
    return best


def overlap_sums(
    first: torch.Tensor,
    second: torch.Tensor,
    mask_first: torch.Tensor,
    mask_second: torch.Tensor,
    pose: torch.Tensor,
) -> torch.Tensor:
    """Sums over the aligned frame → (B, 4): product, energy of the first, of the second, pixels where both speak."""
    where = places(pose, *second.shape[-2:])
    seen = F.grid_sample(torch.stack([first, mask_first], dim=1), where, align_corners=False)
    both = seen[:, 1] * mask_second
    moved, target = seen[:, 0] * mask_second, second * seen[:, 1]
    return torch.stack(
        [part.sum((1, 2)) for part in (moved * target, moved.square(), target.square(), both)], dim=1
    )


def aligned(film: torch.Tensor, pose: torch.Tensor, side: int) -> torch.Tensor:
    """(B, S, S) and poses (B, 2, 3) → (B, side, side): the first film as it lies in the second's frame, 0 outside."""
    where = places(pose, side, side)
    return F.grid_sample(film[:, None], where, align_corners=False)[:, 0]


def _slopes(film: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, S, S) → the slopes along x and y, per unit of [-1, 1] coordinates; 0 at the rim."""
    across, down = torch.zeros_like(film), torch.zeros_like(film)
    unit = film.shape[-1] / 4  # a central difference spans two pixels, a pixel is 2 / S
    across[:, :, 1:-1] = (film[:, :, 2:] - film[:, :, :-2]) * unit
    down[:, 1:-1] = (film[:, 2:] - film[:, :-2]) * unit
    return across, down


def places(pose: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Poses (B, 2, 3) → where the points of the frame lie in the first film (B, Y, X, 2)."""
    points = frame_points(height, width, pose.device)
    return (points @ pose.transpose(1, 2)).view(len(pose), height, width, 2)


def frame_points(height: int, width: int, device: torch.device) -> torch.Tensor:
    """(Y * X, 3): x, y and 1 of every pixel's centre, in [-1, 1] coordinates."""
    down, right = ((torch.arange(side, device=device) + 0.5) * 2 / side - 1 for side in (height, width))
    y, x = torch.meshgrid(down, right, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], dim=-1).view(-1, 3)
