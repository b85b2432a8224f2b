"""Groups of images that are all alike: disjoint maximal cliques of a graph of close pairs.

Axes: N images, E edges.

A clique needs every pair of its members to be close; a connected component would chain strangers together through
a film that is a little like both. The maximal cliques of a component are enumerated (Bron and Kerbosch 1973 in the
form of Tomita et al. 2006, as networkx has it). A dense cluster can hold exponentially many of them that differ in
a few members and mean the same; so the largest is taken, its images leave the graph, and what is left is looked
at again: no image is in two cliques, and the number of cliques means something. Where a component has more than
`limit` maximal cliques, one clique is grown greedily from its best connected image instead; such a component is
counted as not enumerated.
"""

from dataclasses import dataclass
from itertools import islice

import networkx as nx
import numpy as np

_LIMIT = 2000  # maximal cliques of one component that are enumerated


@dataclass(frozen=True)
class Cliques:
    """`members`: rows of each clique, ascending, larger cliques first; `medoids`: the row of each that is closest
    to the others on average; `not_enumerated`: components that had too many maximal cliques to list them all."""

    members: tuple[tuple[int, ...], ...]
    medoids: tuple[int, ...]
    not_enumerated: int


def disjoint_cliques(pairs: np.ndarray, distances: np.ndarray, size: int, limit: int = _LIMIT) -> Cliques:
    """Edges (E, 2) with distances (E,) → disjoint cliques of at least `size` images, the largest first.

    Each is maximal in the graph without the images of those before it. Ties go to the lowest rows.
    """
    if size < 2:
        raise ValueError("a clique has at least two images")
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        (int(a), int(b), float(d)) for (a, b), d in zip(pairs, distances, strict=True)
    )
    taken: list[tuple[int, ...]] = []
    not_enumerated = 0
    for component in sorted(map(sorted, nx.connected_components(graph))):
        found, all_listed = _of_component(graph.subgraph(component).copy(), size, limit)
        taken += found
        not_enumerated += not all_listed
    taken.sort(key=lambda clique: (-len(clique), clique))
    return Cliques(tuple(taken), tuple(_medoid(graph, clique) for clique in taken), not_enumerated)


def _of_component(left: nx.Graph, size: int, limit: int) -> tuple[list[tuple[int, ...]], bool]:
    """Disjoint cliques of one component, and whether all its maximal cliques could be listed. Empties `left`."""
    taken: list[tuple[int, ...]] = []
    all_listed = True
    while len(left) >= size:
        listed = [tuple(sorted(clique)) for clique in islice(nx.find_cliques(left), limit + 1)]
        if len(listed) <= limit:
            found = _largest_disjoint([clique for clique in listed if len(clique) >= size])
            if not found:
                break
        else:
            all_listed = False
            start, clique = _grown(left)
            found = [clique] if len(clique) >= size else []
            left.remove_node(start)  # a hub without a clique must not be met again
        taken += found
        left.remove_nodes_from([row for clique in found for row in clique])
    return taken, all_listed


def _grown(graph: nx.Graph) -> tuple[int, tuple[int, ...]]:
    """The image with most neighbours, and a maximal clique around it: add the one with most among those that fit."""
    rows = sorted(graph)
    joined = nx.to_numpy_array(graph, nodelist=rows, weight=None).astype(bool)  # (N, N)
    fitting = np.ones(len(rows), dtype=bool)
    near = joined.sum(axis=1)  # neighbours of each image among those that fit
    clique: list[int] = []
    while fitting.any():
        best = int(np.argmax(np.where(fitting, near, -1)))
        clique.append(rows[best])
        dropped = fitting & ~joined[best]
        fitting &= joined[best]
        near = near - joined[:, dropped].sum(axis=1)
    return clique[0], tuple(sorted(clique))


def _largest_disjoint(cliques: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The largest clique, then the largest that shares no image with it and is as large, and so on."""
    if not cliques:
        return []
    largest = max(map(len, cliques))
    used: set[int] = set()
    kept = []
    for clique in sorted(set(cliques)):
        if len(clique) == largest and used.isdisjoint(clique):
            kept.append(clique)
            used.update(clique)
    return kept


def _medoid(graph: nx.Graph, clique: tuple[int, ...]) -> int:
    """The member with the smallest mean distance to the others."""
    return min(
        clique,
        key=lambda row: (sum(graph[row][other]["weight"] for other in clique if other != row), row),
    )
