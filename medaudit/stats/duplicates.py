"""Films that stand twice: how near is the same film, which pairs are there, which rows belong together.

Axes: N pairs of descriptions (T, D), M rows of a cohort, n pairs of rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

DUPLICATE_SHARE = 0.99  # of mild re-encodings lie within the duplicate line


def pair_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(N, T, D) and (N, T, D) descriptions → (N,) float64 distances, largest over tiles of the root mean square."""
    squared = np.square(left.astype(np.float64) - right).mean(axis=-1)
    return np.sqrt(squared.max(axis=-1))


def duplicate_line(reencoded: np.ndarray, strangers: np.ndarray) -> float:
    """The distance up to which two films are the same film: that of a film to its own mild re-encoding.

    reencoded (n,): distances of films to their re-encodings; strangers (m,): distances of films to the nearest film
    of another patient. Half of the median stranger is the most, whatever re-encoding does; a median stands while
    fewer than half of the films have a duplicate.
    """
    return min(float(np.quantile(reencoded, DUPLICATE_SHARE)), float(np.median(strangers)) / 2)


def unordered_pairs(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n,) and (n,) rows → (m, 2) int64 pairs, smaller row first, each once, ascending."""
    both = np.sort(np.stack([left, right], axis=1).astype(np.int64), axis=1)
    return np.unique(both, axis=0) if len(both) else both


def components(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Rows 0 … count - 1 and the pairs that join them → (count,) int64: the smallest row of each row's group."""
    parent = np.arange(count, dtype=np.int64)

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    for left, right in pairs:
        low, high = sorted((root(int(left)), root(int(right))))
        parent[high] = low
    return np.array([root(row) for row in range(count)], dtype=np.int64)


@dataclass(frozen=True)
class Variety:
    """`distinct`: images that are left when of images that are one and the same only one counts; `repeated`: images
    that have a twin; `groups`: sets of twins; `largest`: images in the largest set (1 when nothing repeats)."""

    distinct: int
    repeated: int
    groups: int
    largest: int


def variety(groups: np.ndarray) -> Variety:
    """(N,) group of each image, as `components` gives them → how many different images there are."""
    if groups.size < 1:
        raise ValueError("at least one image is needed")
    sizes = np.unique(groups, return_counts=True)[1]
    twins = sizes[sizes > 1]
    return Variety(int(sizes.size), int(twins.sum()), int(twins.size), int(sizes.max()))


def nearest_in_pairs(count: int, pairs: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """(n, 2) pairs of rows and their distances (n,) → (count,) smallest distance of each row's pairs, inf for none."""
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, pairs.ravel(), np.repeat(distance, 2))
    return nearest


def groups_across(groups: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """(M,) group of each row and (M,) patient code → (M,) bool: the row's group holds films of several patients."""
    both = np.unique(np.stack([groups, patients], axis=1), axis=0)
    return np.bincount(both[:, 0], minlength=groups.size)[groups] > 1
