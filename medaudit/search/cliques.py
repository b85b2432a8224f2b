"""Groups of images that are all alike: disjoint maximal cliques of a graph of close pairs.

Axes: N images, E edges.

A clique needs every pair of its members to be close; a connected component would chain strangers together through
a film that is a little like both. The maximal cliques of a component are enumerated (Bron and Kerbosch 1973 in the
form of Tomita et al. 2006, as networkx has it). A dense cluster can hold exponentially many of them that differ in
a few members and mean the same; so the largest is taken, its images leave the graph, and what is left is looked
at again: no image is in two cliques, and the number of cliques means something. Where a component has more than
`limit` maximal cliques, one clique is grown from each of its images instead, those with the densest surroundings
first; such a component is counted as not enumerated.
"""

from collections.abc import Iterator
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
        part = graph.subgraph(component).copy()
        complete = True
        while True:
            candidates, all_listed = _candidates(part, limit)
            complete &= all_listed
            found = _largest_disjoint([c for c in candidates if len(c) >= size])
            if not found:
                break
            taken += found
            part.remove_nodes_from([row for clique in found for row in clique])
        not_enumerated += not complete
    taken.sort(key=lambda clique: (-len(clique), clique))
    return Cliques(tuple(taken), tuple(_medoid(graph, clique) for clique in taken), not_enumerated)


def _candidates(graph: nx.Graph, limit: int) -> tuple[list[tuple[int, ...]], bool]:
    """All maximal cliques, or one grown from each image when there are more than `limit`."""
    listed = [tuple(sorted(clique)) for clique in islice(nx.find_cliques(graph), limit + 1)]
    if len(listed) <= limit:
        return listed, True
    return list(_grown(graph)), False


def _grown(graph: nx.Graph) -> Iterator[tuple[int, ...]]:
    """One maximal clique from each image: always add the image with most neighbours among those that still fit."""
    core = nx.core_number(graph)
    for start in sorted(graph, key=lambda row: (-core[row], row)):
        clique, fitting = [start], set(graph[start])
        while fitting:
            best = min(fitting, key=lambda row: (-len(fitting & graph[row].keys()), row))
            clique.append(best)
            fitting &= graph[best].keys()
        yield tuple(sorted(clique))


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
