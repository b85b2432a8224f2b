"""Images that ask, and what a detector's index answers. Axes: G images that ask."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


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

    def at(self, places: np.ndarray) -> "Found":
        """What the images at these places found."""
        return Found(*(column[places] for column in vars(self).values()))

    @classmethod
    def joined(cls, parts: "list[Found]") -> "Found":
        """One after the other."""
        return cls(
            *(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True))
        )
