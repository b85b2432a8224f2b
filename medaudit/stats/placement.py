"""Whether unseen people score like the people of the reference: their ranks among them, and how far chance moves ranks.

If the two are alike, the k-th most alike of M unseen people stands where chance puts it among N: the number of the
reference above it is beta-binomial (Wilks 1962, 8.7: the distribution of exceedances).

Axes: N people of the reference, M unseen people, J levels.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import betabinom

_FEWEST = 10  # people between two levels, so that no level is one person's own rank
_MOST_LEVELS = 20


@dataclass(frozen=True)
class Placement:
    """At each level (J,): the p-value expected, of unseen people, of synthetic images, and chance's interval."""

    expected: np.ndarray
    unseen: np.ndarray
    synthetic: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def outside(self) -> int:
        """Levels at which unseen people stand outside the interval."""
        return int(((self.unseen < self.low) | (self.unseen > self.high)).sum())


def ranks(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(M,) p-values of scores among a reference (N,): one plus those at least as alike, over N + 1."""
    below = np.searchsorted(np.sort(reference), scores, side="left")
    return (1 + len(reference) - below) / (len(reference) + 1)


def placement(
    unseen: np.ndarray, synthetic: np.ndarray, reference: np.ndarray, confidence: float = 0.95
) -> Placement | None:
    """Place unseen people (M,) and synthetic images (G,) among the reference (N,), larger scores more alike.

    None where there are too few people for two levels with ten people each.
    """
    people, count = len(unseen), len(reference)
    levels = min(_MOST_LEVELS, people // _FEWEST)
    if levels < 3 or count < 2 * _FEWEST or len(synthetic) < 2 * _FEWEST:
        return None
    places = np.round(np.arange(1, levels) * people / levels).astype(int)  # k of the k-th most alike, (J,)
    expected = places / (people + 1)
    above = betabinom(count, places, people + 1 - places)
    tail = (1 - confidence) / 2
    low, high = ((1 + above.ppf(share)) / (count + 1) for share in (tail, 1 - tail))
    return Placement(
        expected=expected,
        unseen=np.sort(ranks(unseen, reference))[places - 1],
        synthetic=np.quantile(ranks(synthetic, reference), expected),
        low=low,
        high=high,
    )
