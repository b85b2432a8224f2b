"""Is S closer to T than to H? Tests by permuting patients between T and H, never images. STATISTICS 3.

Axes: N synthetic images, P patients of T and H together, R reference people, B draws or bootstrap replicates.
"""

from dataclasses import dataclass

import numpy as np

from medaudit.stats.intervals import Interval, clopper_pearson, cluster_bootstrap


@dataclass(frozen=True)
class Excess:
    """`count` of `of` synthetic images have their nearest real image in T, where `expected` would by chance."""

    count: int
    of: int
    expected: float
    p_value: float


@dataclass(frozen=True)
class Run:
    """The most similar `length` images all match training images, of `patients` distinct patients.

    `smallest_detectable`: so many distinct patients in a run would have sufficed at the given alpha; None when the
    cohorts are too small for any run to suffice, or the set for a run so long; `needed` stands in the second case too.
    """

    length: int
    patients: int
    p_value: float
    smallest_detectable: int | None
    needed: int | None = None


def excess_test(
    nearest_patient: np.ndarray, in_train: np.ndarray, *, draws: int, rng: np.random.Generator
) -> Excess:
    """(N,) codes of the patient nearest to each image, (P,) bool → the count of matches in T and its p-value.

    Under the null the patients' labels are exchangeable: every set of n_T patients is equally likely to be T. Images
    that share a patient move together, so shared neighbours do not make false evidence.
    p = (1 + #{draws at least as large}) / (draws + 1). Phipson & Smyth 2010.
    """
    nearest_patient, in_train = _checked(nearest_patient, in_train)
    if draws < 1:
        raise ValueError("at least one draw is needed")
    matches = np.bincount(nearest_patient, minlength=in_train.size)  # (P,)
    count = int(matches[in_train].sum())
    # Patients with equally many matches are alike: only how many of each sort fall into T matters.
    weights, sizes = np.unique(matches, return_counts=True)
    drawn = rng.multivariate_hypergeometric(sizes, int(in_train.sum()), size=draws, method="marginals")
    as_large = int(np.count_nonzero(drawn @ weights >= count))
    expected = nearest_patient.size * float(in_train.mean())
    return Excess(count, nearest_patient.size, expected, (1 + as_large) / (draws + 1))


def leading_run(
    nearest_patient_sorted: np.ndarray, in_train: np.ndarray, alpha: float, different: int | None = None
) -> Run:
    """(N,) codes of the nearest patients, most similar image first → the leading run of training matches.

    A run at least this long needs all its d distinct patients in T: p = prod_{i<d} (n_T - i) / (P - i), exact.
    `different`: how many of the N images are different ones, all unless given; twins cannot match d patients.
    """
    nearest, in_train = _checked(nearest_patient_sorted, in_train)
    outside = np.flatnonzero(~in_train[nearest])
    length = int(outside[0]) if outside.size else nearest.size
    patients = int(np.unique(nearest[:length]).size)
    n_train, n_all = int(in_train.sum()), in_train.size
    p_value = float(_all_in_train(n_train, n_all)[patients])
    needed = smallest_detectable_run(n_train, n_all - n_train, alpha)
    enough = needed is not None and needed <= (nearest.size if different is None else different)
    return Run(length, patients, p_value, needed if enough else None, needed)


def smallest_detectable_run(n_train: int, n_holdout: int, alpha: float) -> int | None:
    """Fewest distinct patients in a leading run that give p <= alpha; None when all of T would not."""
    if n_train < 1 or n_holdout < 1 or not 0 < alpha < 1:
        raise ValueError("both cohorts need a patient, and alpha must lie between 0 and 1")
    enough = np.flatnonzero(_all_in_train(n_train, n_train + n_holdout) <= alpha)
    return int(enough[0]) if enough.size else None


def excess_copy_rate(
    beyond_generated: np.ndarray,
    clusters: np.ndarray,
    beyond_reference: np.ndarray,
    *,
    replicates: int,
    rng: np.random.Generator,
    confidence: float = 0.95,
) -> Interval | None:
    """R = (r_T - r_H) / (1 - r_H), held at 0 and above; None when r_H is 1.

    beyond_generated (N,) bool: synthetic images beyond the line; clusters (N,): the training patient each matches;
    beyond_reference (R,) bool: unseen people beyond the same line, one value per patient.
    The interval resamples patients on both sides. Where all observations of a side agree a bootstrap knows no
    doubt; then that side's rate is drawn from its Clopper-Pearson limits for as many trials as it has patients.
    Giomi et al. 2023, eq. 3 (the form of R).
    """
    beyond_generated = _checked_bool(beyond_generated, "beyond_generated")
    beyond_reference = _checked_bool(beyond_reference, "beyond_reference")
    rate_generated, rate_reference = float(beyond_generated.mean()), float(beyond_reference.mean())
    if rate_reference == 1:
        return None
    generated = _limits(beyond_generated, clusters, replicates, rng, confidence)
    reference = _limits(beyond_reference, np.arange(beyond_reference.size), replicates, rng, confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = np.where(reference < 1, (generated - reference) / (1 - reference), 0.0)
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    value = (rate_generated - rate_reference) / (1 - rate_reference)
    # R itself is not below 0, so its estimate and limits are not either.
    ends = [max(0.0, float(end)) for end in (min(low, value), max(high, value))]
    return Interval(max(0.0, value), ends[0], ends[1], confidence)


def _limits(
    beyond: np.ndarray, clusters: np.ndarray, replicates: int, rng: np.random.Generator, confidence: float
) -> np.ndarray:
    """(B,) plausible rates: cluster bootstrap, or either Clopper-Pearson end at random where all agree."""
    means = cluster_bootstrap(beyond, clusters, replicates=replicates, rng=rng)
    if beyond.all() or not beyond.any():
        patients = np.unique(clusters).size
        rate = clopper_pearson(patients if beyond.all() else 0, patients, confidence)
        means = rng.permutation(np.where(np.arange(replicates) % 2, rate.high, rate.low))
    return means


def _all_in_train(n_train: int, n_all: int) -> np.ndarray:
    """(n_train + 1,): probability that d given patients are all in T, for d = 0 … n_train."""
    index = np.arange(n_train)
    return np.cumprod(np.r_[1.0, (n_train - index) / (n_all - index)])


def _checked(nearest: np.ndarray, in_train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nearest, in_train = np.asarray(nearest), _checked_bool(in_train, "in_train")
    if nearest.ndim != 1 or nearest.size == 0 or nearest.dtype.kind not in "iu":
        raise ValueError("nearest patients must be a one-dimensional array of codes and not empty")
    if nearest.min() < 0 or nearest.max() >= in_train.size:
        raise ValueError("a nearest patient's code lies outside the patients")
    if in_train.all() or not in_train.any():
        raise ValueError("both the training and the held-out cohort need a patient")
    return nearest, in_train


def _checked_bool(values: np.ndarray, name: str) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or values.size == 0 or values.dtype != np.bool_:
        raise ValueError(f"{name} must be a one-dimensional bool array and not empty")
    return values
