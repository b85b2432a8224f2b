"""A cohort as one detector sees it, held so that it can be searched again and again.

Memory of an audit, at most: Python with torch (about 280 MB) + `memory_bytes` + 2 KB for every row of T, H and S. Their
pixel files are mapped and let go of after each part. Of `memory_bytes` a quarter holds the
descriptions of a cohort (4 bytes a value) and their index (2 KB with one tile, 4 with sixteen); where they need more
they lie in scratch files and are read in parts. Another quarter is for the images that ask, half for the search. An
index that `medaudit index` left in the cohort's folder is used instead.

Axes: M images, B of a block, T tiles, D values.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.store import canonical, versions
from medaudit.detectors import Detector, VectorDetector, label
from medaudit.detectors.copynet.detector import EncoderDetector
from medaudit.errors import EmbeddingsMismatch, MemoryTooSmall
from medaudit.progress import Progress
from medaudit.protocol.describing import describe_films
from medaudit.protocol.engines import HERE, Engine
from medaudit.protocol.found import Found
from medaudit.protocol.shared import Mapped, SharedDescriptions, SharedRows
from medaudit.protocol.sides import Side
from medaudit.stats.matching import copy_scores

if TYPE_CHECKING:
    from medaudit.search.index import Index
    from medaudit.search.nearest import Neighbours

_ASKING = 1 << 12  # images in a pose that ask at once: enough for the processor, few enough to see it move
_FEWEST = 256  # images in all their poses that ask at once where memory allows: an index in files is read for each part
_COPIES = 3  # of the poses while they are made


@dataclass(frozen=True)
class Machine:
    """Where and how large: torch device, working memory, progress, the path of a scratch file by name, who searches."""

    device: str
    memory_bytes: int
    progress: Progress
    scratch: Callable[[str], Path]
    engine: Engine = HERE

    @property
    def search_bytes(self) -> int:
        """The search's part of the memory."""
        return self.memory_bytes // 2


def check_memory(memory_bytes: int, side: Side) -> None:
    """Raise MemoryTooSmall unless one image of the side can ask: a quarter of the memory is for those that do."""
    least = 4 * _COPIES * side.images(slice(0, 1)).nbytes
    if memory_bytes < least:
        size = " x ".join(str(length) for length in side.cohort.image_shape)
        raise MemoryTooSmall(
            f"images of {size} need at least {-(-least // 1000):,} kB to be compared one by one, and more to be "
            "quick; raise --memory"
        )


@dataclass(frozen=True)
class Described:
    """A side's descriptions (M, T, D) float32: `index`: theirs, or what an engine that works apart published."""

    side: Side
    detector: VectorDetector
    index: Any
    shape: tuple[int, ...]  # (T, D)

    @classmethod
    def of(cls, side: Side, detector: VectorDetector, machine: Machine) -> "Described":
        """Describe the whole side once; what a killed audit left, a saved index and saved embeddings are used again."""
        from medaudit.search import stored
        from medaudit.search.index import Index
        from medaudit.search.projection import axes_values

        if isinstance(detector, EncoderDetector) and side.cohort.id in detector.saved:
            return cls._saved(side, detector, machine.engine)
        whole = np.array_equal(side.rows, side.cohort.in_use)
        saved = index_folder(side.cohort, detector)
        shape = detector.describe(side.images(slice(0, 1))).shape[1:]
        fits = 4 * len(side) * (prod(shape) + axes_values(*shape)) <= machine.memory_bytes // 4
        if whole and saved.is_dir():
            opened = stored.open_index(saved, side.cohort.id, described_by(detector), len(side))
            if fits and not machine.engine.apart:
                opened = opened.part(0, len(side))  # read once, where each query would read what it needs
            return cls._by(machine.engine, side, detector, opened)
        if machine.engine.apart:
            shared = SharedDescriptions.of(side, detector, shape)
            return cls(side, detector, machine.engine.publish(shared), shape)
        if fits:
            held = describe_films(detector, side.images, np.arange(len(side)))
            return cls(side, detector, Index.of(held), shape)
        folder = machine.scratch(f"{side.cohort.id[:16]}-{label(detector)}")
        return cls(side, detector, grow_index(folder, side, detector, machine.progress, seal=False), shape)

    @classmethod
    def _saved(cls, side: Side, detector: EncoderDetector, engine: Engine) -> "Described":
        rows = detector.saved[side.cohort.id]
        if len(rows) != len(side):
            raise EmbeddingsMismatch(
                f"the saved embeddings are of {len(rows)} films and the cohort has {len(side)}; remove them"
            )
        from medaudit.search.index import Index

        shape = (1, rows.shape[1])
        if engine.apart:
            return cls(side, detector, engine.publish(SharedRows(Mapped.of(rows), shape)), shape)
        return cls(side, detector, Index.of(np.array(rows[:, None], dtype=np.float32)), shape)

    @classmethod
    def _by(cls, engine: Engine, side: Side, detector: VectorDetector, index: "Index") -> "Described":
        """An index that stands in files: searched here, or its descriptions mapped again by whoever works apart."""
        shape = index.vectors.shape[1:]
        known = engine.publish(SharedRows(Mapped.of(index.vectors), shape)) if engine.apart else index
        return cls(side, detector, known, shape)

    def __len__(self) -> int:
        return len(self.side)

    def portions(self, count: int, machine: Machine) -> Iterator[slice]:
        """Parts of `count` images that ask at once, in all their poses, within a quarter of the memory."""
        return self.shares(count, self.detector.poses(self.side.images(slice(0, 1))).shape[1], machine)

    def shares(self, count: int, poses: int, machine: Machine) -> Iterator[slice]:
        """Parts of `count` images, in `poses` poses each, that ask at once within a quarter of the memory."""
        fitting = machine.memory_bytes // 4 // (_COPIES * 4 * poses * prod(self.shape))
        return _parts(count, max(1, min(fitting, max(_FEWEST, _ASKING // poses))))

    def ask(self, images: np.ndarray, k: int, leave_out: np.ndarray | None, machine: Machine) -> Found:
        """(G, Y, X) in each pose → nearest image of T, its score against the k nearest, and the best other patient."""
        found = self.nearest(self.detector.poses(images), k, self.side.groups, leave_out, machine)
        score, runner_up_score = copy_scores(found.distance, found.runner_up_distance)
        return Found(found.index[:, 0], found.distance[:, 0], score, found.runner_up_index, runner_up_score)

    def nearest(
        self, queries: np.ndarray, k: int, groups: np.ndarray, leave_out: np.ndarray | None, machine: Machine
    ) -> "Neighbours":
        """The k nearest of each query (G, P, T, D) by the machine's engine; see search.nearest."""
        return machine.engine.nearest(
            queries,
            self.index,
            k,
            reference_group=groups,
            leave_out=leave_out,
            device=machine.device,
            memory_bytes=machine.search_bytes,
        )

    def crowd(self, rows: np.ndarray, radius: float, machine: Machine) -> tuple[np.ndarray, np.ndarray]:
        """(N,) rows → images (N,) and patients (N,) of the side within the radius of each, itself included."""
        matched, back = np.unique(rows, return_inverse=True)
        parts = []
        machine.progress.start(f"{self.detector.name}-eidetic", len(matched))
        for part in self.shares(len(matched), 1, machine):
            queries = self.detector.describe(self.side.images(matched[part]))[:, None]
            parts.append(
                machine.engine.count_within(
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
        return describe_films(detector, side.images, places)

    def source(start: int, stop: int) -> bytes:
        return np.asarray(side.cohort.pixels[side.rows[start:stop]]).tobytes()

    by = described_by(detector)
    return stored.grow(folder, side.cohort.id, by, len(side), describe, source, progress=progress, seal=seal)


def _parts(count: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, count)) for start in range(0, count, step))
