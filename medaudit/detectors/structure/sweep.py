"""Candidates: every training film against the film that asks in thousands of poses, at a coarse size.

Nothing is sampled: for each pair the correlation of local contrast is taken over mirror, rotation, scale and shift,
polarity being its sign, and the films with the largest are handed on with their best pose. Correlation is taken
after partial whitening by the training films' own principal axes, so that the anatomy that all people share counts
less than what tells one from another. `shortlist` sets aside the films that rounded numbers rule out.

Axes: N films that ask, M training films, P poses, C cells a side, D whitened values, K candidates.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from medaudit.detectors.structure.shortlist import Shortlist, blocks, largest

CELLS = 20  # of the coarse film, a side
_SUB = 3  # samples a cell along one side, so that a shift can be a fraction of a cell
_STEP = 2  # samples between shifts: two thirds of a cell, a thirtieth of the side
_REACH = 3  # shifts to either side: a tenth of the side
ROTATIONS = (-10.0, -5.0, 0.0, 5.0, 10.0)  # degrees
SCALES = (0.75, 0.83, 0.91, 1.0, 1.1)  # side of the training film's part that fills the film that asks
AXES = 200
_WHITENING = 0.5  # exponent of the variance: 0 is plain correlation, 1 full whitening
_LEAST_VARIANCE = 1e-4  # of the first axis; what varies less is rounding
_READ = 256  # training films sampled at once


@dataclass(frozen=True)
class Candidates:
    """(N, K) each: places of training films, their correlation, its sign; and the pose (N, K, 2, 3)."""

    row: torch.Tensor
    likeness: torch.Tensor
    sign: torch.Tensor
    pose: torch.Tensor


class PoseSweep:
    """Training films ready to be asked. `coarse` (M, S, S) is their masked local contrast at any size, or parts of it
    that are `count` films together.

    Memory: 1,000 bytes a film, and 1,600 more while they are read.
    """

    def __init__(self, coarse: torch.Tensor | Iterable[torch.Tensor], count: int | None = None) -> None:
        parts = coarse.split(_READ) if isinstance(coarse, torch.Tensor) else coarse
        cells = self._read(parts, len(coarse) if isinstance(coarse, torch.Tensor) else count)  # (M, C * C)
        spread = sum(part.double().T @ part.double() for part in cells.split(_READ))
        variance, axes = torch.linalg.eigh(spread / len(cells))
        variance, axes = variance.flip(0), axes.flip(1)
        told = int((variance > _LEAST_VARIANCE * variance[0].clamp_min(1e-12)).sum())
        # Films fewer than AXES span less than that many. The rest of the axes is any basis of what is left, so either
        # all of it takes part, with one variance, or rounding would decide what a film is compared by.
        count = AXES if told >= AXES else len(variance)
        floor = float(variance[max(0, min(told, count) - 1)].clamp_min(1e-12))
        self.axes = (
            axes[:, :count] * variance[:count].clamp_min(floor) ** (-_WHITENING / 2)
        ).float()  # (C * C, D)
        self.films = cells.new_empty(len(cells), self.axes.shape[1])  # (M, D)
        for part in blocks(len(cells), cells.device):
            self.films[part] = F.normalize(cells[part] @ self.axes)
        del cells
        self.shortlist = Shortlist.of(self.films)

    def ask(self, coarse: torch.Tensor, k: int, barred: torch.Tensor | None = None) -> Candidates:
        """(N, S, S) → the k most alike films of each; `barred` (N, M) bool marks films not to compare with."""
        # One by one: what a film's poses need stays in a processor's cache, and the films have blocks of their own.
        parts = [
            self._ask(film[None], k, None if barred is None else barred[place])
            for place, film in enumerate(coarse)
        ]
        return Candidates(
            *(torch.stack(column) for column in zip(*(vars(part).values() for part in parts), strict=True))
        )

    def between(self, coarse: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S, S) and (B, S, S), film by film → the best pose of each mirror (B, 2, 2, 3) and its sign (B, 2)."""
        posed = self._posed(coarse)  # (B, P, D)
        film = F.normalize(self._cells(other) @ self.axes)  # (B, D)
        signed = (posed @ film[:, :, None])[:, :, 0].view(len(coarse), 2, -1)  # poses with one mirror first
        pose = signed.abs().argmax(dim=2)  # (B, 2)
        sign = torch.sign(signed.gather(2, pose[:, :, None])[:, :, 0])
        first = torch.tensor([0, signed.shape[2]], device=pose.device)
        return self._pose(pose + first), torch.where(sign == 0, 1.0, sign)

    def _ask(self, coarse: torch.Tensor, k: int, barred: torch.Tensor | None) -> Candidates:
        """(1, S, S) → (k,) of each."""
        posed = self._posed(coarse)[0]  # (P, D)
        films, places = self.films, None
        if self.shortlist is not None:
            places = self.shortlist.places(posed, k, barred)
            films, barred = films[places], None if barred is None else barred[places]
        best = torch.cat([largest(posed @ films[part].T) for part in blocks(len(films), films.device)])
        if barred is not None:
            best = best.masked_fill(barred, -1.0)
        likeness, found = (part[:k] for part in best.sort(descending=True, stable=True))
        signed = posed @ films[found].T  # (P, k)
        pose = signed.abs().argmax(dim=0)  # (k,)
        sign = torch.sign(signed.gather(0, pose[None])[0])
        row = found if places is None else places[found]
        return Candidates(row, likeness, torch.where(sign == 0, 1.0, sign), self._pose(pose))

    def _read(self, parts: Iterable[torch.Tensor], count: int | None) -> torch.Tensor:
        """Training films in parts (m, S, S) → their cells; the first part decides how many those are."""
        # One array from the start: small ones kept between a part's large ones would tear the memory to shreds.
        cells, start = torch.empty(0), 0
        for part in parts:
            if not start:
                self.cells = min(CELLS, part.shape[-1])
                self.frames = _frames().to(part.device)  # (mirror x rotation x scale, 2, 3)
                cells = part.new_empty(count or 0, self.cells**2)
            cells[start : start + len(part)] = self._cells(part)
            start += len(part)
        if start != count:
            raise ValueError(f"{count} films were to be read and {start} came")
        return cells

    def _cells(self, coarse: torch.Tensor) -> torch.Tensor:
        """(m, S, S) → (m, C * C): unmoved, sampled exactly as the films that ask are."""
        upright = torch.eye(2, 3, device=coarse.device)[None]
        return self._shifted(coarse, upright, _REACH * _STEP, 1)

    def _posed(self, coarse: torch.Tensor) -> torch.Tensor:
        """(n, S, S) → (n, P, D): the film in each pose, seen from the training film, whitened, of length 1."""
        cells = self._shifted(coarse, self.frames, 0, 2 * _REACH + 1)
        return F.normalize(cells @ self.axes).reshape(len(coarse), -1, self.axes.shape[1])

    def _shifted(self, coarse: torch.Tensor, frames: torch.Tensor, first: int, shifts: int) -> torch.Tensor:
        """(n, S, S) and (f, 2, 3) → (n * f * shifts^2, C * C): means over the cells of each pose.

        `shifts` along each axis, down before right, the first by `first` samples less the margin.
        """
        n, margin, cells = len(coarse), _REACH * _STEP, self.cells
        grid = _grid(frames, cells * _SUB, margin)  # (f, side + 2 margin, same, 2)
        tall = grid.reshape(1, -1, grid.shape[2], 2).expand(n, -1, -1, -1)
        fine = F.grid_sample(coarse[:, None], tall, align_corners=False)  # (n, 1, f * side', side')
        mean = _means(fine.reshape(n * len(frames), *grid.shape[1:3])).contiguous()
        _, high, wide = mean.shape
        # One strided view of every shift's cells, copied once: twice as fast as slicing them one by one.
        view = mean.as_strided(
            (len(mean), shifts, shifts, cells, cells),
            (high * wide, _STEP * wide, _STEP, _SUB * wide, _SUB),
            first * (wide + 1),
        )
        return view.reshape(-1, cells**2)

    def _pose(self, pose: torch.Tensor) -> torch.Tensor:
        """Numbers of poses, any shape → (..., 2, 3) from training-film coordinates in [-1, 1] to the film that asks."""
        shifts = 2 * _REACH + 1
        frame, rest = pose // shifts**2, pose % shifts**2
        moved = torch.stack([rest % shifts, rest // shifts], dim=-1) - _REACH  # right, down
        unit = 2.0 * _STEP / (_SUB * self.cells)  # of a shift, in [-1, 1] coordinates
        matrix = self.frames[frame]  # (..., 2, 3)
        offset = (matrix[..., :2] @ (moved * unit)[..., None].to(matrix.dtype))[..., 0]
        return torch.cat([matrix[..., :2], (matrix[..., 2] + offset)[..., None]], dim=-1)


def _means(fine: torch.Tensor) -> torch.Tensor:
    """(n, Y, X) → (n, Y - 2, X - 2): means over _SUB x _SUB = 3 x 3 samples."""
    down = fine[:, :-2] + fine[:, 1:-1] + fine[:, 2:]
    return (down[..., :-2] + down[..., 1:-1] + down[..., 2:]) / _SUB**2


def _frames() -> torch.Tensor:
    """(mirror x rotation x scale, 2, 3): x and y of the film that asks from (x, y, 1) of the training film."""
    frames = []
    for mirror in (1.0, -1.0):
        for degrees in ROTATIONS:
            for scale in SCALES:
                cosine, sine = np.cos(np.deg2rad(degrees)) / scale, np.sin(np.deg2rad(degrees)) / scale
                frames.append([[mirror * cosine, -mirror * sine, 0.0], [sine, cosine, 0.0]])
    return torch.tensor(frames, dtype=torch.float32)


def _grid(frames: torch.Tensor, side: int, margin: int) -> torch.Tensor:
    """(f, 2, 3) → (f, side + 2 margin, side + 2 margin, 2): where each sample of the training frame lies."""
    line = (torch.arange(-margin, side + margin, device=frames.device) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # (S', S', 3)
    return torch.einsum("yxc,fdc->fyxd", points, frames)
