"""How a site's alpha is spent over any number of audits of the same people.

The j-th audit gets alpha / (j (j + 1)), which is 1 / (j + 1) of what the audits before it left. After J audits
alpha J / (J + 1) is spent, so no number of audits spends all of it: alpha-spending with a fixed sequence (Lan & DeMets
1983; for an unbounded sequence of tests Tian & Ramdas 2021, Online control of the familywise error rate). By the
union bound the chance that a clean release is refused, over all audits of one patient, stays below alpha whatever
the dependence between them, and however the next audit was chosen after seeing the ones before.
"""

from math import ceil

MOST_DRAWS = 1_000_000  # of the cohort test; a level that needs more cannot be tested at
_DRAWS_BEYOND = 10  # draws under the level, at least, for a test to be able to reject at it


def share(alpha: float, number: int) -> float:
    """The part of alpha that audit `number` (from 1) gets. Raises ValueError for a number below 1."""
    if number < 1:
        raise ValueError("audits are counted from 1")
    return alpha / (number * (number + 1))


def draws_needed(alpha: float, cohort_share: float) -> int | None:
    """Draws of the permutation test that let it reject at its part of alpha; None when that is beyond MOST_DRAWS.

    The excess test has half the cohort's share, and no p-value below 1 / (draws + 1).
    """
    draws = ceil(_DRAWS_BEYOND / (alpha * cohort_share / 2))
    return draws if draws <= MOST_DRAWS else None
