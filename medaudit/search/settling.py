"""The nearest found so far, and how they are settled where references lie in files and reading them is what costs.

Axes: G queries, W bounds kept, M references, B of them read at once, K neighbours, n pairs.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from medaudit.search import kernels
from medaudit.search.index import Index

_READ_BYTES = 1 << 25  # of vectors that are read at once
_ROUND = 32  # references of each query that are measured in a round


@dataclass(frozen=True)
class Listed:
    """The k nearest of each query: rows (G, K) int64, -1 where unfilled, and distances (G, K) float64."""

    rows: np.ndarray
    distance: np.ndarray

    @classmethod
    def nothing(cls, count: int, k: int) -> "Listed":
        """Nothing yet."""
        return cls(np.full((count, k), -1, dtype=np.int64), np.full((count, k), np.inf))


def seen_again(index: Index, second: bool) -> np.ndarray:
    """What a second look sees (M, T, F + 1); nothing (M, T, 0) where it would see no more than the first."""
    return index.fine if second else np.empty((*index.fine.shape[:2], 0), dtype=np.float32)


def settle_in_files(
    index: Index, second: bool, vectors: np.ndarray, point: np.ndarray, low: np.ndarray, kept: np.ndarray,
    found: Listed,
) -> None:  # fmt: skip
    """As `kernels.settle`, of all queries at once: in rounds, each in the order of rows, so that a reference is read
    once a round and those that lie near each other together.

    vectors (G, P, T, D), point (G, P, T, A + F + 1), low and kept (G, W); `found` is filled.
    """
    threads = torch.get_num_threads()
    anywhere = np.full(len(vectors), np.inf)
    most = max(1, _READ_BYTES // max(1, index.vectors[:1].nbytes))
    with ThreadPoolExecutor(threads) as pool:
        for asked, wanted in _rounds(low, kept, vectors.shape[-1], found):
            named, back = np.unique(wanted, return_inverse=True)
            for first in range(0, len(named), most):
                part = slice(*np.searchsorted(back, [first, first + most]))
                rows = named[first : first + most]
                read, place, who = index.at(rows, second), back[part] - first, asked[part]
                lanes = [
                    np.flatnonzero(who % threads == lane) for lane in range(threads)
                ]  # a query in one thread
                tasks = [
                    pool.submit(
                        kernels.settle_pairs, vectors, point, who[lane], place[lane], rows, read.coarse,
                        seen_again(read, second), read.vectors, anywhere, found.distance, found.rows,
                    )
                    for lane in lanes
                ]  # fmt: skip
                for task in tasks:
                    task.result()


def _rounds(
    low: np.ndarray, kept: np.ndarray, values: int, found: Listed
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs to be measured next, queries (n,) and rows (n,) ascending by row, nearest bounds first, until no bound
    can beat the K-th distance in `found`."""
    order = np.argsort(low, axis=1, kind="stable")
    bound, row = (np.take_along_axis(part, order, 1) for part in (low, kept))
    size, done = (kept >= 0).sum(axis=1), np.zeros(len(low), dtype=np.int64)
    step = found.rows.shape[1]
    while True:
        ceiling = np.square(found.distance[:, -1]) * values * (1 + 1e-9)
        column = done[:, None] + np.arange(step)  # (G, step)
        there = column < size[:, None]
        column = np.minimum(column, row.shape[1] - 1)
        there &= np.take_along_axis(bound, column, 1) <= ceiling[:, None]
        done += there.sum(axis=1)  # bounds ascend: those that are allowed come first
        asked, place = np.nonzero(there)
        if not len(asked):
            return
        wanted = row[asked, column[asked, place]]
        sort = np.argsort(wanted, kind="stable")
        yield asked[sort], wanted[sort]
        step = _ROUND
