"""From aligned pairs to a score: does one film stand out from the other candidates, in any band?

Each candidate's correlation c in a band becomes artanh(c) times the root of the share of the frame where both films
speak (Fisher 1915: its spread hardly depends on c, and shrinks with the root of what was compared). A candidate is
judged by how far it lies above the mean of the candidates of other patients, which takes out films that resemble
everybody. Bands are brought to one scale by constants, and the band in which the best candidate stands out most speaks.

The constants (centre and spread of unseen people on the films of Kermany et al. 2018 at 128 pixels) only balance the
bands; what a score means is learnt from the reference of each audit. Axes: N films, K candidates, B bands.
"""

from dataclasses import dataclass

import numpy as np

_SCALE = 5.0  # spreads to a unit of score: exp(-score) is then about 1 for the unseen and 0 for copies, as ratios are

# Excess over the other candidates that unseen people have: its centre and its spread.
BALANCE = {"coarse": (0.15, 0.063), "middle": (0.14, 0.063), "sharp": (0.13, 0.064), "fine": (0.10, 0.052)}


@dataclass(frozen=True)
class Standing:
    """(N,) each: which candidate stands out and its score; the best of another patient, -1 for none.

    correlation (N, K): of each candidate in the middle band.
    """

    candidate: np.ndarray
    score: np.ndarray
    correlation: np.ndarray
    runner_up: np.ndarray
    runner_up_score: np.ndarray


def stand_out(sums: np.ndarray, pixels: dict[str, int], person: np.ndarray) -> Standing:
    """Sums over aligned frames (N, K, B, 4) of `overlap_sums`, pixels of each band's frame, patients (N, K) → scores.

    A candidate whose patient is -1 does not exist. Bands are in the order of `pixels`.
    """
    exists = person >= 0
    correlation = _correlation(sums)  # (N, K, B)
    share = sums[..., 3] / np.array(list(pixels.values()))
    strength = np.where(exists[..., None], np.arctanh(correlation) * np.sqrt(share), np.nan)
    centre, spread = np.array([BALANCE[band] for band in pixels]).T
    excess = (strength - _others(strength, person) - centre) / spread / _SCALE  # (N, K, B)
    excess = np.where(np.isnan(excess), -np.inf, excess)
    score = excess.max(axis=2)
    rows = np.arange(len(score))
    best = score.argmax(axis=1)
    other = np.where(exists & (person != person[rows, best][:, None]), score, -np.inf)
    second = other.argmax(axis=1)
    second_score = other[rows, second]
    return Standing(
        best,
        score[rows, best],
        correlation[..., list(pixels).index("middle")],
        np.where(np.isfinite(second_score), second, -1),
        second_score,
    )


def _correlation(sums: np.ndarray) -> np.ndarray:
    """(..., 4) → (...) in [0, 1): what is opposite once aligned is no likeness."""
    energy = np.sqrt(sums[..., 1] * sums[..., 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(energy > 0, sums[..., 0] / energy, 0.0)
    return np.clip(value, 0.0, 1.0 - 1e-6)


def _others(strength: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(N, K, B) and (N, K) → (N, K, B): the mean over the candidates of other patients than each one's, 0 if none."""
    other = (person[:, :, None] != person[:, None, :]) & (person >= 0)[:, None, :]  # (N, K, K)
    total = np.einsum("nkj,njb->nkb", other.astype(np.float64), np.nan_to_num(strength))
    return total / np.maximum(1, other.sum(axis=2))[..., None]
