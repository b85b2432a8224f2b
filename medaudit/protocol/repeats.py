"""What a model repeats: groups of generated images that are all alike, and the same search among unseen people.

Axes: N generated images, n unseen people.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medaudit import seeds
from medaudit.detectors import VECTOR_DETECTORS
from medaudit.errors import ReferenceTooSmall
from medaudit.protocol.described import Machine
from medaudit.protocol.describing import describe_films
from medaudit.protocol.found import Images
from medaudit.protocol.sides import Picked, Side
from medaudit.stats.extraction import EdgeLine, edge_line, false_edges, pair_count

if TYPE_CHECKING:
    from medaudit.search.cliques import Cliques

DETECTOR = next(detector for detector in VECTOR_DETECTORS if detector.name == "tile")
_MOST_PEOPLE = 2000  # unseen people among whom the line is drawn


@dataclass(frozen=True)
class Repeats:
    """The line under which images are joined, the groups among the generated, and among unseen people."""

    line: EdgeLine
    cliques: "Cliques"
    among_unseen: int


def find_repeats(
    synthetic: Side, holdout: Side, people: np.ndarray, size: int, seed: int, machine: Machine
) -> Repeats:
    """Draw the line from one half of the unseen people (places in H, one each) and try it on the other half."""
    if len(people) < 4:
        raise ReferenceTooSmall(
            f"{len(people)} held-out patients are too few to tell repeats from strangers; give at least 4"
        )
    mixed = people[seeds.generator(seed, "edge line").permutation(len(people))][: 2 * _MOST_PEOPLE]
    half = len(mixed) // 2
    line = _line(_described(Picked(holdout, mixed[:half])), len(synthetic), machine)
    unseen = _grouped(_described(Picked(holdout, mixed[half:])), line, size, machine)
    return Repeats(line, _grouped(_described(synthetic), line, size, machine), len(unseen.members))


def _line(unseen: np.ndarray, generated: int, machine: Machine) -> EdgeLine:
    """From the closest pairs among descriptions of unseen people (n, T, D)."""
    from medaudit.search.nearest import ArrayBlocks, nearest

    rows = np.arange(len(unseen))
    pairs = pair_count(len(unseen))
    allowed = false_edges(generated, pairs)
    # A pair among the m closest is among the m nearest of both its people.
    found = nearest(
        unseen[:, None],
        ArrayBlocks(unseen),
        min(allowed + 1, len(unseen) - 1),
        reference_group=rows,
        leave_out=rows,
        device=machine.device,
        memory_bytes=machine.search_bytes,
        progress=machine.progress,
    )
    left = np.repeat(rows, found.index.shape[1])
    _, first = np.unique(
        np.sort(np.stack([left, found.index.ravel()], axis=1), axis=1), axis=0, return_index=True
    )
    return edge_line(np.sort(found.distance.ravel()[first]), allowed, pairs)


def _grouped(descriptions: np.ndarray, line: EdgeLine, size: int, machine: Machine) -> "Cliques":
    """Disjoint cliques of images closer than the line."""
    from medaudit.search.cliques import disjoint_cliques
    from medaudit.search.pairs import pairs_within

    pairs, distances = pairs_within(
        descriptions,
        np.nextafter(line.threshold, 0.0),
        device=machine.device,
        memory_bytes=machine.search_bytes,
        progress=machine.progress,
    )
    under = distances < line.threshold
    return disjoint_cliques(pairs[under], distances[under], size)


def _described(images: Images) -> np.ndarray:
    """(N, T, D) float32."""
    return describe_films(DETECTOR, images.images, np.arange(len(images)))
