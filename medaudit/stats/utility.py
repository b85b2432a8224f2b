"""Is a set of images of any use? Fidelity and diversity beside real films, each with what real films reach themselves.

Unseen people are cut into two halves, again and again at random: what one half says of the other is the value that
real films reach (`real`), and what it says of as many synthetic images is the value of S. Both come from sets of one
size, because the size of a neighbourhood depends on it. No person is in both halves.

Density and coverage (Naeem et al. 2020, eq. 5 and 6) rather than precision and recall (Kynkäänniemi et al. 2019):
both count real neighbourhoods only. Recall is built on neighbourhoods of the synthetic images, and those of noise are
so wide that they hold every real film.

Axes: G synthetic images, P unseen people (one film each), n of each half, H halvings, B bins of grey, R rings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 5  # k of a neighbourhood, as in Naeem et al. 2020
FEWEST = 10  # films in a half, and images, without which nothing is said
_SLACK = 1e-9  # of a radius: a copy of the very film that draws it counts as inside, whatever the rounding
_SPREAD = (2.5, 97.5)  # percentiles of the halvings: 95 %


@dataclass(frozen=True)
class Described:
    """A set of images in the three ways in which sets are compared."""

    places: np.ndarray  # (n, D) vectors whose distances make neighbourhoods
    grey: np.ndarray  # (n, B) shares of grey values
    power: np.ndarray  # (n, R) log10 power by spatial frequency, NaN where there is none
    labels: np.ndarray  # (n, L) bool, one column for each label; L may be 0

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Twin:
    """A value of S with its interval, beside the value that real films reach among themselves."""

    value: float
    low: float
    high: float
    real: float
    real_low: float
    real_high: float


@dataclass(frozen=True)
class Figures:
    """What the halvings say; `each` images and films at a time. `labels` is None where one side carries none."""

    each: int
    density: Twin
    coverage: Twin
    grey: Twin  # distance of the grey values
    spectrum: Twin  # factor by which the power differs, over all frequencies; 1 is equal
    detail: Twin  # fine detail, as a share of that of the unseen films; 1 is equal
    labels: Twin | None  # largest difference of a label's share


def figures(
    synthetic: Described, people: Described, fine: np.ndarray, *, halvings: int, rng: np.random.Generator
) -> Figures | None:
    """Compare S (G) with unseen people (P); None with too few of either. `fine` (R,) bool: rings of fine detail.

    Value and interval: mean and central 95 % over random half-samples of the people, drawn without replacement. Such
    half-samples vary as the whole sample does (delete-d jackknife, Shao & Wu 1989, with d = P / 2), and no film meets
    its own copy in a neighbourhood, as it would in a bootstrap.
    """
    each = min(len(synthetic), len(people) // 2)
    if each < FEWEST:
        return None
    among = squared_distances(people.places, people.places)  # (P, P)
    across = squared_distances(synthetic.places, people.places)  # (G, P)
    seen = []
    for first, second, drawn in _halvings(len(people), len(synthetic), each, halvings, rng):
        radius = neighbourhoods(among[np.ix_(first, first)], NEIGHBOURS)
        both = (
            density_coverage(across[np.ix_(drawn, first)], radius, NEIGHBOURS),
            density_coverage(among[np.ix_(second, first)], radius, NEIGHBOURS),
        )
        pairs = [
            (*found, *_differences(one, rows, people, first, fine))
            for found, one, rows in zip(both, (synthetic, people), (drawn, second), strict=True)
        ]
        seen.append(pairs)
    values = np.array(seen)  # (H, 2, 6)
    density, coverage, grey, spectrum, detail, labels = (
        _twin(values[:, 0, place], values[:, 1, place]) for place in range(values.shape[2])
    )
    labelled = synthetic.labels.any() and people.labels.any()
    return Figures(each, density, coverage, grey, spectrum, detail, labels if labelled else None)


def neighbourhoods(squared: np.ndarray, k: int) -> np.ndarray:
    """(n, n) squared distances of films among themselves → (n,) squared distance of each to its k-th nearest other."""
    return np.partition(squared, k, axis=1)[:, k]  # the nearest is the film itself


def density_coverage(squared: np.ndarray, radius: np.ndarray, k: int) -> tuple[float, float]:
    """(n, m) squared distances, images to films, and (m,) the films' squared neighbourhoods → density and coverage.

    Density: in how many films' neighbourhoods an image lies, over k; coverage: the share of films in whose
    neighbourhood an image lies. Naeem et al. 2020, eq. 5 and 6.
    """
    inside = squared <= radius[None, :] * (1 + _SLACK)
    return float(inside.sum() / (k * len(inside))), float(inside.any(axis=0).mean())


def squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(a, D) and (b, D) → (a, b) float64 mean squared differences."""
    left, right = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    squares = np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1)[None, :]
    return np.maximum(squares - 2 * (left @ right.T), 0.0) / left.shape[1]


def grey_distance(left: np.ndarray, right: np.ndarray) -> float:
    """(B,) shares each → the mean distance that grey values must be moved, of the range from black to white.

    The first Wasserstein distance in one dimension: the area between the distribution functions (Vallender 1974).
    """
    return float(np.abs(np.cumsum(left - right)).mean())


def power_factors(left: np.ndarray, right: np.ndarray, fine: np.ndarray) -> tuple[float, float]:
    """(R,) mean log10 power each → the typical factor between them over all rings (at least 1), and, over the
    rings of fine detail, the power of `left` as a share of that of `right`."""
    apart = left - right
    return float(10 ** np.sqrt(np.nanmean(np.square(apart)))), float(10 ** np.nanmean(apart[fine]))


def _differences(
    one: Described, rows: np.ndarray, other: Described, first: np.ndarray, fine: np.ndarray
) -> tuple[float, float, float, float]:
    grey = grey_distance(one.grey[rows].mean(axis=0), other.grey[first].mean(axis=0))
    spectrum, detail = power_factors(one.power[rows].mean(axis=0), other.power[first].mean(axis=0), fine)
    shares = np.abs(one.labels[rows].mean(axis=0) - other.labels[first].mean(axis=0))
    return grey, spectrum, detail, float(shares.max(initial=0.0))


def _halvings(
    people: int, images: int, each: int, count: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for _ in range(count):
        order = rng.permutation(people)
        yield order[:each], order[each : 2 * each], rng.permutation(images)[:each]


def _twin(own: np.ndarray, real: np.ndarray) -> Twin:
    (low, high), (real_low, real_high) = (
        (float(end) for end in np.percentile(column, _SPREAD)) for column in (own, real)
    )
    return Twin(float(own.mean()), low, high, float(real.mean()), real_low, real_high)
