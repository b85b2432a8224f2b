"""Flags on images that are out already and that people cleared before: they do not stand again (protocol/cleared).

Axes: N images audited.
"""

from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from medaudit.protocol.audit_record import Case
from medaudit.protocol.cleared import Pair
from medaudit.protocol.examination import Examined
from medaudit.stats.relation import SAME_PERSON


def spare(
    case: Case, examined: Sequence[Examined], cleared: Set[Pair]
) -> tuple[Case, list[Examined], np.ndarray]:
    """The findings without the flags that people cleared before, and the rows of the images whose they were.

    All pairs of an image must be among the cleared. Neither an exact copy is spared nor what is now called the same
    person, as no review could clear them.
    """
    spared = np.zeros(len(case.synthetic), dtype=bool)
    if not cleared:
        return case, list(examined), case.synthetic.rows[spared]
    stands = case.related.relation == SAME_PERSON
    for seen in examined:
        for place in np.flatnonzero(seen.judged.flagged):
            pair = (int(case.synthetic.rows[place]), int(case.train.rows[seen.found.row[place]]))
            spared[place] = True
            stands[place] |= pair not in cleared or seen.found.distance[place] == 0
    spared &= ~stands
    case = replace(case, related=case.related.without(spared))
    return case, [seen.sparing(spared) for seen in examined], case.synthetic.rows[spared]
