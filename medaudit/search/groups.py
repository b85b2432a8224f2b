"""Groups of references: whose they are.

Axes: G queries, M references.
"""

import numpy as np


def own_codes(group: np.ndarray, leave_out: np.ndarray | None = None) -> np.ndarray:
    """(M,) codes with every -1 turned into a group of its own, under a code that no query (G,) leaves out."""
    free = max(int(group.max(initial=0)), 0 if leave_out is None else int(leave_out.max(initial=0))) + 1
    return np.where(group < 0, free + np.arange(len(group)), group)
