"""A cohort as one detector sees it, held so that it can be searched again and again.

Memory of an audit, at most: Python with torch (about 280 MB) + `memory_bytes` + the pixel files of T, H and S (mapped;
the system takes them back when it needs to) + 2 KB for every row of the three. Of `memory_bytes` a quarter holds the
descriptions of a cohort (4 bytes a value) and their index (about 2 KB a tile); where they need more they lie in
scratch files, mapped. Another quarter is for the images that ask, half for the search. An index that `medaudit index`
left in the cohort's folder is used instead. Axes: M images, B of a block, T tiles, D values.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.store import canonical, versions
from medaudit.detectors import Detector, VectorDetector, label
from medaudit.detectors.copynet.detector import EncoderDetector
from medaudit.errors import EmbeddingsMismatch
from medaudit.progress import Progress
from medaudit.protocol.found import Found
from medaudit.protocol.sides import Side
from medaudit.stats.matching import copy_scores

if TYPE_CHECKING:
    from medaudit.search.index import Index

_PORTION = 256  # images described at once
_ASKING = 1 << 12  # images in a pose that ask at once: enough for the processor, few enough to see it move


@dataclass(frozen=True)
class Machine:
    """Where and how large: torch device, working memory, progress, and the path of a scratch file by name."""

    device: str
    memory_bytes: int
    progress: Progress
    scratch: Callable[[str], Path]

    @property
    def search_bytes(self) -> int:
        """The search's part of the memory."""
        return self.memory_bytes // 2


@dataclass(frozen=True)
class Described:
    """A side's descriptions (M, T, D) float32 and their index."""

    side: Side
    detector: VectorDetector
    index: "Index"

    @classmethod
    def of(cls, side: Side, detector: VectorDetector, machine: Machine) -> "Described":
        """Describe the whole side once; what a killed audit left, a saved index and saved embeddings are used again."""
        from medaudit.search import stored
        from medaudit.search.index import Index
        from medaudit.search.projection import axes_values

        if isinstance(detector, EncoderDetector) and side.cohort.id in detector.saved:
            return cls._saved(side, detector)
        whole = np.array_equal(side.rows, side.cohort.in_use)
        saved = index_folder(side.cohort, detector)
        if whole and saved.is_dir():
            return cls(
                side, detector, stored.open_index(saved, side.cohort.id, described_by(detector), len(side))
            )
        shape = detector.describe(side.images(slice(0, 1))).shape[1:]
        if 4 * len(side) * (prod(shape) + axes_values(*shape)) <= machine.memory_bytes // 4:
            held = np.empty((len(side), *shape), dtype=np.float32)
            for part in _parts(len(side), _PORTION):
                held[part] = detector.describe(side.images(part))
            return cls(side, detector, Index.of(held))
        folder = machine.scratch(f"{side.cohort.id[:16]}-{label(detector)}")
        return cls(side, detector, grow_index(folder, side, detector, machine.progress, seal=False))

    @classmethod
    def _saved(cls, side: Side, detector: EncoderDetector) -> "Described":
        rows = detector.saved[side.cohort.id]
        if len(rows) != len(side):
            raise EmbeddingsMismatch(
                f"the saved embeddings are of {len(rows)} films and the cohort has {len(side)}; remove them"
            )
        from medaudit.search.index import Index

        return cls(side, detector, Index.of(np.array(rows[:, None], dtype=np.float32)))

    def __len__(self) -> int:
        return len(self.side)

    def portions(self, count: int, machine: Machine) -> Iterator[slice]:
        """Parts of `count` images that ask at once, in all their poses, within a quarter of the memory."""
        return self.shares(count, self.detector.poses(self.side.images(slice(0, 1))).shape[1], machine)

    def shares(self, count: int, poses: int, machine: Machine) -> Iterator[slice]:
        """Parts of `count` images, in `poses` poses each, that ask at once within a quarter of the memory."""
        copies = 3  # of the poses while they are made
        fitting = machine.memory_bytes // 4 // (copies * 4 * poses * prod(self.index.vectors.shape[1:]))
        return _parts(count, max(1, min(fitting, _ASKING // poses)))

    def ask(self, images: np.ndarray, k: int, leave_out: np.ndarray | None, machine: Machine) -> Found:
        """(G, Y, X) in each pose → nearest image of T, its score against the k nearest, and the best other patient."""
        from medaudit.search.nearest import nearest

        found = nearest(
            self.detector.poses(images),
            self.index,
            k,
            reference_group=self.side.groups,
            leave_out=leave_out,
            device=machine.device,
            memory_bytes=machine.search_bytes,
        )
        self.index.release()
        score, runner_up_score = copy_scores(found.distance, found.runner_up_distance)
        return Found(found.index[:, 0], found.distance[:, 0], score, found.runner_up_index, runner_up_score)

    def crowd(self, rows: np.ndarray, radius: float, machine: Machine) -> tuple[np.ndarray, np.ndarray]:
        """(N,) rows → images (N,) and patients (N,) of the side within the radius of each, itself included."""
        from medaudit.search.nearest import count_within

        matched, back = np.unique(rows, return_inverse=True)
        parts = []
        machine.progress.start(f"{self.detector.name}-eidetic", len(matched))
        for part in self.shares(len(matched), 1, machine):
            queries = self.detector.describe(self.side.images(matched[part]))[:, None]
            parts.append(
                count_within(
                    queries,
                    self.index,
                    radius,
                    self.side.groups,
                    device=machine.device,
                    memory_bytes=machine.search_bytes,
                )
            )
            machine.progress.advance(len(queries))
        images, people = (np.concatenate(column) for column in zip(*parts, strict=True))
        return images[back], people[back]


def index_folder(cohort: Cohort, detector: Detector) -> Path:
    """Where `medaudit index` keeps what one detector sees of a cohort."""
    return cohort.artifact.path / "index" / label(detector)


def described_by(detector: Detector) -> str:
    """What decides every value of a description: detector, its parameters and weights, and the version."""
    plain = {
        name: value for name, value in sorted(vars(detector).items()) if isinstance(value, int | float | str)
    }
    return canonical(
        {"detector": label(detector), "id": detector.id, "medaudit": versions().get("medaudit"), **plain}
    )


def grow_index(
    folder: Path, side: Side, detector: VectorDetector, progress: Progress, *, seal: bool = True
) -> "Index":
    """Bring the index in a folder to all films of a side, as `search.stored.grow` does."""
    from medaudit.search import stored

    def describe(places: np.ndarray) -> np.ndarray:
        parts = [detector.describe(side.images(places[part])) for part in _parts(len(places), _PORTION)]
        return np.concatenate(parts)

    def source(start: int, stop: int) -> bytes:
        return np.asarray(side.cohort.pixels[side.rows[start:stop]]).tobytes()

    by = described_by(detector)
    return stored.grow(folder, side.cohort.id, by, len(side), describe, source, progress=progress, seal=seal)


def _parts(count: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, count)) for start in range(0, count, step))
