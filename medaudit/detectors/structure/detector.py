"""The structure detector: is it the same film, whatever was done to it?

Candidates by `sweep`, each aligned by `registration`, judged by `score`. It stands mirror, polarity, rotation,
scale, shift, crop, tone, text boxes, half images and blends, where pixel detectors see nothing.

Axes: N films that ask, M training films, K candidates.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch

from medaudit.detectors.structure.alignment import align, band_pair
from medaudit.detectors.structure.films import Films, read_films
from medaudit.detectors.structure.registration import overlap_sums
from medaudit.detectors.structure.score import stand_out
from medaudit.detectors.structure.sweep import PoseSweep
from medaudit.devices import side_by_side

CANDIDATES = 8
TOGETHER = 8  # films that ask at once
_PORTION = 64  # films read at once


@dataclass(frozen=True)
class Aligned:
    """(N,) each: the training film that stands out, closeness, score, runner-up; the pose (N, 2, 3) and sign.

    candidates (N, K) rows and distances (N, K): all that were aligned.
    """

    row: np.ndarray
    distance: np.ndarray
    score: np.ndarray
    runner_up: np.ndarray
    runner_up_score: np.ndarray
    pose: np.ndarray
    sign: np.ndarray
    candidates: np.ndarray
    distances: np.ndarray

    @classmethod
    def joined(cls, parts: "Sequence[Aligned]") -> "Aligned":
        """One after the other."""
        return cls(
            *(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True))
        )


class StructureIndex:
    """Training films (M, Y, X) behind `images(places)`, ready to be asked.

    Their bands are held where `hold_bytes` allows, else made again for each candidate.
    """

    def __init__(
        self,
        images: Callable[[np.ndarray], np.ndarray],
        groups: np.ndarray,
        *,
        device: str = "cpu",
        hold_bytes: int = 1 << 28,
    ) -> None:
        self.images = images
        self.groups = np.asarray(groups, dtype=np.int64)
        self.device = device
        held: list[Films] | None = []
        count = len(self.groups)

        def read(start: int) -> Films:
            return read_films(images(np.arange(start, min(start + _PORTION, count))))

        def middle() -> Iterator[torch.Tensor]:
            nonlocal held
            for read_ones in side_by_side(read, range(0, count, _PORTION), torch.device("cpu")):
                films = read_ones.to(device)
                one = 4 * sum(band[0].numel() for band in [*films.contrast.values(), films.known])
                if held is None or one * count > hold_bytes:
                    held = None
                else:
                    held.append(films)
                yield films.contrast["middle"]

        self.sweep = PoseSweep(middle(), count)
        self.held = None if held is None else Films.joined(held)

    def with_images(self, images: Callable[[np.ndarray], np.ndarray]) -> "StructureIndex":
        """The same index over another way to the same films, without the bands that are held: light to carry."""
        other = copy(self)
        other.images, other.held = images, None
        return other

    def ask(
        self, images: np.ndarray, leave_out: np.ndarray | None = None, barred: np.ndarray | None = None
    ) -> Aligned:
        """(N, Y, X) float32 in [0, 1] → the training film each resembles most.

        Without the films of the patient `leave_out` (N,), and without those that are `barred` (N, M) bool.
        """

        def ask(start: int) -> Aligned:
            part = slice(start, start + TOGETHER)
            out = None if barred is None else barred[part]
            if leave_out is not None:
                own = self.groups[None] == leave_out[part, None]
                out = own if out is None else own | out
            return self._ask(images[part], out)

        starts = range(0, len(images), TOGETHER)
        return Aligned.joined(list(side_by_side(ask, starts, torch.device(self.device))))

    def _ask(self, images: np.ndarray, barred: np.ndarray | None) -> Aligned:
        films = read_films(images).to(self.device)
        k = min(CANDIDATES, len(self.groups))
        out = None if barred is None else torch.from_numpy(barred).to(self.device)
        found = self.sweep.ask(films.contrast["middle"], k, out)
        row = found.row.cpu().numpy()  # (n, k)
        asking = films.at(torch.arange(len(films), device=self.device).repeat_interleave(k))
        asking = asking.turned(found.sign.flatten())
        asked = self._films(row.ravel())
        pose = found.pose.reshape(-1, 2, 3)
        pose = align(asking, asked, pose)
        bands = list(asking.contrast)
        sums = torch.stack([overlap_sums(*band_pair(asking, asked, band), pose) for band in bands], dim=1)
        pixels = {band: asking.contrast[band][0].numel() for band in bands}
        gone = found.likeness.cpu().numpy() < 0  # barred, for want of others
        person = np.where(gone, -1, self.groups[row])
        seen = stand_out(
            sums.cpu().numpy().astype(np.float64).reshape(*row.shape, len(bands), 4), pixels, person
        )
        line = np.arange(len(row))
        best = seen.candidate
        distance = np.where(gone, np.inf, np.sqrt(2 - 2 * seen.correlation))
        return Aligned(
            row[line, best],
            distance[line, best],
            seen.score,
            np.where(seen.runner_up < 0, -1, row[line, seen.runner_up]),
            seen.runner_up_score,
            pose.cpu().numpy().reshape(*row.shape, 2, 3)[line, best],
            found.sign.cpu().numpy()[line, best],
            row,
            distance,
        )

    def _films(self, places: np.ndarray) -> Films:
        if self.held is not None:
            return self.held.at(torch.from_numpy(places).to(self.device))
        distinct, back = np.unique(places, return_inverse=True)
        return read_films(self.images(distinct)).to(self.device).at(torch.from_numpy(back).to(self.device))


class Structure:
    """Correlation r of local contrast once the films are aligned, as sqrt(2 - 2 r); see the package's files."""

    name = "structure"
    id = ""
    meaning = "correlation r of local contrast once the films are aligned in any pose and polarity, as sqrt(2 - 2 r)"

    def index(
        self,
        images: Callable[[np.ndarray], np.ndarray],
        groups: np.ndarray,
        *,
        device: str = "cpu",
        hold_bytes: int = 1 << 28,
    ) -> StructureIndex:
        """Training films, M of them with patient codes (M,), ready to be asked."""
        return StructureIndex(images, groups, device=device, hold_bytes=hold_bytes)
