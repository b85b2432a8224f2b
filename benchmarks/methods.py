"""The detectors of an audit as plain functions, for benchmarks. Axes: M films of T, G images that ask."""

from collections.abc import Callable
from functools import partial

import numpy as np

from medaudit.detectors import DETECTORS, Structure, VectorDetector
from medaudit.detectors.structure import StructureIndex
from medaudit.search.nearest import ArrayBlocks, nearest
from medaudit.stats.reference import adaptive_ratio, copy_score

# (G, Y, X) and patients to leave out (G,) or None → score (G,), larger is more alike, and the row of T (G,)
Ask = Callable[[np.ndarray, np.ndarray | None], tuple[np.ndarray, np.ndarray]]

NEIGHBOURS = 50
_TOGETHER = 256


def our_detectors(train: np.ndarray, groups: np.ndarray) -> dict[str, Ask]:
    """Each detector of an audit over the films T (M, Y, X) with patient codes (M,)."""
    asks: dict[str, Ask] = {}
    for detector in DETECTORS:
        if isinstance(detector, Structure):
            index = detector.index(lambda places: train[places], groups, hold_bytes=1 << 29)
            asks[detector.name] = partial(_by_structure, index)
        else:
            references = ArrayBlocks(detector.describe(train))
            asks[detector.name] = partial(_by_vectors, detector, references, groups)
    return asks


def _by_structure(
    index: StructureIndex, images: np.ndarray, leave_out: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    seen = index.ask(images, leave_out)
    return seen.score, seen.row


def _by_vectors(
    detector: VectorDetector, references: ArrayBlocks, groups: np.ndarray, images: np.ndarray,
    leave_out: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    scores, rows = [], []
    for start in range(0, len(images), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        out = None if leave_out is None else leave_out[part]
        asking = detector.poses(images[part])
        found = nearest(asking, references, NEIGHBOURS, reference_group=groups, leave_out=out)
        scores.append(copy_score(adaptive_ratio(found.distance)))
        rows.append(found.index[:, 0])
    return np.concatenate(scores), np.concatenate(rows)
