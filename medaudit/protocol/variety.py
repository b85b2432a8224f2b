"""Synthetic images that are one and the same: a collapsed generator repeats itself, and N images are not N looks.

The line is the one under which two real films are one film (protocol/duplicates): what a mild re-encoding does.
Axes: N images of S.
"""

from dataclasses import replace

import numpy as np

from medaudit.protocol.described import Machine
from medaudit.protocol.duplicates import searched, within
from medaudit.protocol.sides import Side
from medaudit.stats.duplicates import components, variety


def find_groups(synthetic: Side, limits: dict[str, float], machine: Machine) -> np.ndarray:
    """(N,) the smallest place of each image's group of near-identical images.

    A search sees a few neighbours of each image, so a large set of twins may first come as several; one image of
    each set is compared again until no two of them are alike. Memory as one search, however many are the same.
    """
    group = np.arange(len(synthetic), dtype=np.int64)
    firsts, turn = group, 0
    while len(firsts) > 1:
        apart = _scratch(machine, f"variety-{turn}")
        pairs = within(searched(synthetic.at(firsts), apart), limits, apart, across_patients=False).places
        if not len(pairs):
            break
        merged = firsts[components(len(firsts), [(int(a), int(b)) for a, b in pairs])]  # (firsts,)
        group = merged[np.searchsorted(firsts, group)]
        firsts, turn = np.unique(merged), turn + 1
    return group


def count_groups(groups: np.ndarray) -> int:
    """How many different images there are."""
    return variety(groups).distinct


def _scratch(machine: Machine, name: str) -> Machine:
    """The machine with scratch files of its own: descriptions of a part must not pass for those of the whole."""
    return replace(machine, scratch=lambda file: machine.scratch(f"{name}-{file}"))
