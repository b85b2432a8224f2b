"""Which images are flagged: family-wise by a tail fit, by false discovery rate, and who is merely suspect.

Axes: N scores to judge, R reference scores (unseen people, one each), B bootstrap replicates, k tail points.
A larger score is more copy-like; +inf is an exact copy. STATISTICS 4.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from medaudit.stats.matching import lone_flags
from medaudit.stats.reference import checked_scores, conformal_p_values
from medaudit.stats.tail import TailFit, fit_tail


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """(N,) p-values → (N,) q-values: the smallest rate at which each would be flagged. Benjamini & Hochberg 1995."""
    p = checked_scores(p, "p-values")
    if (p < 0).any() or (p > 1).any():
        raise ValueError("p-values must lie in [0, 1]")
    order = np.argsort(p, kind="stable")
    raw = p[order] * p.size / np.arange(1, p.size + 1)
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(raw[::-1])[::-1]
    return np.minimum(q, 1.0)


def familywise(upper_p: np.ndarray, count: int, alpha: float) -> np.ndarray:
    """(N,) upper limits of tail p-values → (N,) bool: p * count <= alpha, `count` being the size of the release."""
    upper_p = checked_scores(upper_p, "p-values")
    if count < 1 or not 0 < alpha < 1:
        raise ValueError("the release needs an image, and alpha must lie between 0 and 1")
    return upper_p * count <= alpha


@dataclass(frozen=True)
class Judged:
    """(N,) each: conformal p, Benjamini-Hochberg q, upper limit of the tail p (1 without a tail), and the flags."""

    p: np.ndarray
    q: np.ndarray
    upper: np.ndarray
    familywise: np.ndarray
    fdr: np.ndarray
    suspect: np.ndarray
    lone: np.ndarray  # would be flagged as the only copy of the release

    @property
    def flagged(self) -> np.ndarray:
        """Flagged by either rule that counts."""
        return self.familywise | self.fdr

    def without(self, spared: np.ndarray) -> "Judged":
        """The same with no flag on the `spared` (N,) images."""
        return replace(self, familywise=self.familywise & ~spared, fdr=self.fdr & ~spared)


def judge(
    scores: np.ndarray,
    reference: np.ndarray,
    tail: TailFit | None,
    count: int,
    alpha_familywise: float,
    alpha_fdr: float,
) -> Judged:
    """(N,) scores of one detector → p-values and flags; the one place where an image is flagged.

    reference: (R,) scores of patients whom the model never saw; tail: fitted to them; count: images of the release,
    over which the family-wise rule holds.
    """
    p = conformal_p_values(scores, reference)
    q = benjamini_hochberg(p)
    upper = np.ones(len(p)) if tail is None else tail.upper_p(scores)
    return Judged(
        p=p,
        q=q,
        upper=upper,
        familywise=familywise(upper, count, alpha_familywise),
        fdr=q <= alpha_fdr,
        suspect=suspects(scores, reference),
        lone=lone_flags(p, upper, count, alpha_familywise, alpha_fdr),
    )


def score_line(tail: TailFit | None, count: int, alpha: float) -> float:
    """The smallest score that `familywise` flags; inf when none but exact copies, or nothing at all, would be."""
    if count < 1 or not 0 < alpha < 1:
        raise ValueError("the release needs an image, and alpha must lie between 0 and 1")
    if tail is None:
        return math.inf
    line = tail.line(alpha / count)
    # The line and the p-values are computed by inverse formulas: step over what rounding leaves between them.
    step = np.spacing(abs(line)) if math.isfinite(line) else 0.0
    while math.isfinite(line) and not familywise(tail.upper_p(np.array([line])), count, alpha)[0]:
        line, step = line + step, 2 * step
    return line


def suspects(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(N,) bool: more copy-like than everyone in the reference."""
    return checked_scores(scores, "scores") > checked_scores(reference, "reference").max()


def expected_suspects(n: int, reference_size: int) -> float:
    """How many of n images of no one would be suspect by chance: n / (R + 1)."""
    if n < 0 or reference_size < 1:
        raise ValueError("the reference needs a person, and n must not be below 0")
    return n / (reference_size + 1)


def fdr_needs(n: int, reference_size: int, q: float) -> int:
    """Copies beyond the whole reference that Benjamini-Hochberg at q needs before it sees any: R + 1 >= n / (q K).

    More than n means that it can see none.
    """
    if n < 1 or reference_size < 1 or not 0 < q < 1:
        raise ValueError("image and reference numbers must be at least 1, and q between 0 and 1")
    smallest_p = 1 / (reference_size + 1)
    needed = max(1, math.ceil(n * smallest_p / q) - 1)  # one less: rounding must not cost a copy
    while smallest_p * n / needed > q:  # the comparison that benjamini_hochberg makes
        needed += 1
    return needed


def cross_fit_flags(
    reference: np.ndarray,
    folds: int,
    count: int,
    alpha_familywise: float,
    alpha_fdr: float,
    replicates: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(R,) reference → (R,) bool: each person judged by both flag rules against the people of the other folds.

    The negative control: everyone here is unseen, so every flag is a false alarm. `count` is the size of the
    release, as for its own images; Benjamini-Hochberg sees a fold as one cohort.
    """
    reference = checked_scores(reference, "reference")
    if not 2 <= folds <= reference.size:
        raise ValueError("folds must be at least 2 and at most the number of people")
    fold = rng.permutation(np.arange(reference.size) % folds)  # (R,)
    flagged = np.zeros(reference.size, dtype=bool)
    for part in range(folds):
        posing, others = reference[fold == part], reference[fold != part]
        flagged[fold == part] = benjamini_hochberg(conformal_p_values(posing, others)) <= alpha_fdr
        tail = fit_tail(others, replicates=replicates, rng=rng)
        if tail is not None:
            flagged[fold == part] |= familywise(tail.upper_p(posing), count, alpha_familywise)
    return flagged


__all__ = [
    "Judged",
    "TailFit",
    "benjamini_hochberg",
    "cross_fit_flags",
    "expected_suspects",
    "familywise",
    "fdr_needs",
    "fit_tail",
    "judge",
    "score_line",
    "suspects",
]
