"""One search of images against T under one detector, remembered so that a killed audit goes on after it.

Memory: see `described`; beside it about 40 bytes an image that asked. Axes: G images that ask.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

import numpy as np

from medaudit.artifacts.store import write_whole
from medaudit.protocol.described import Described, Machine
from medaudit.stats.matching import copy_scores


class Images(Protocol):
    """Images that can be had by number: a Side, or planted copies made on the way."""

    def __len__(self) -> int: ...

    def images(self, which: np.ndarray | slice) -> np.ndarray: ...


@dataclass(frozen=True)
class Found:
    """(G,) each; rows are places among T's rows in use, -1 for none."""

    row: np.ndarray
    distance: np.ndarray
    score: np.ndarray
    runner_up: np.ndarray
    runner_up_score: np.ndarray

    @classmethod
    def joined(cls, parts: "list[Found]") -> "Found":
        """One after the other."""
        return cls(
            *(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True))
        )


def search(
    images: Images, train: Described, k: int, machine: Machine, name: str, leave_out: np.ndarray | None = None
) -> Found:
    """Every image against all of T in each of its poses; `leave_out` (G,) is the patient not to compare with.

    Remembered under `name`, so that a killed audit goes on after its last whole search.
    """
    kept = machine.scratch(f"{name}.npz")
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as archive:
            return Found(**archive)
    from medaudit.search.nearest import nearest

    poses = train.detector.poses(images.images(slice(0, 1))).shape[1]
    parts: list[Found] = []
    machine.progress.start(name, len(images))
    for part in train.portions(len(images), poses, machine):
        found = nearest(
            train.detector.poses(images.images(part)),
            train,
            k,
            reference_group=train.side.groups,
            leave_out=None if leave_out is None else leave_out[part],
            device=machine.device,
            memory_bytes=machine.search_bytes,
        )
        score, runner_up_score = copy_scores(found.distance, found.runner_up_distance)
        parts.append(
            Found(found.index[:, 0], found.distance[:, 0], score, found.runner_up_index, runner_up_score)
        )
        machine.progress.advance(len(score))
    whole, stream = Found.joined(parts), BytesIO()
    np.savez(stream, **vars(whole))
    write_whole(kept, stream.getvalue())
    return whole
