"""Histograms that give nobody away: cells under ten are not shown, extremes are folded into quantiles.

Axes: N values of synthetic images, R values of unseen people, B cells.
"""

import math

import numpy as np
from pydantic import BaseModel, ConfigDict

# Cells under ten stay hidden, the threshold rule of statistical disclosure control (Hundepool et al. 2012, 5.2).
SMALLEST_CELL = 10
NOT_SHOWN = "not shown"  # of a hidden cell; "under 10" would be untrue of a second one hidden beside it


class Histogram(BaseModel):
    """Counts of two samples over common cells. None is a cell not shown: under ten, or hidden beside one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edges: tuple[float, ...]  # B + 1
    synthetic: tuple[int | None, ...]  # B
    unseen: tuple[int | None, ...]  # B
    synthetic_of: int
    unseen_of: int
    top_open: bool  # the last cell also holds everything above the last edge

    @property
    def hides(self) -> bool:
        """Whether a cell is not shown."""
        return None in self.synthetic or None in self.unseen


def suppress(counts: np.ndarray) -> list[int | None]:
    """Hide every count under ten, zero included; hide a second cell where the total would give one away. (B,)"""
    hidden = counts < SMALLEST_CELL
    if hidden.sum() == 1 and len(counts) > 1:
        shown = np.where(hidden, np.iinfo(np.int64).max, counts)
        hidden[int(np.argmin(shown))] = True
    return [None if gone else int(count) for gone, count in zip(hidden, counts, strict=True)]


def quantise(synthetic: np.ndarray, unseen: np.ndarray, *, top: float | None, hide: bool) -> Histogram | None:
    """Histogram of (N,) and (R,) values >= 0; None when there is nothing finite to show.

    Cells run from 0 to `top`, or to a rounded 95th percentile of the two samples together, with everything above in
    the last cell. Their number follows the smaller sample, so that a typical cell can reach ten.
    """
    synthetic, unseen = synthetic[np.isfinite(synthetic)], unseen[np.isfinite(unseen)]
    if len(synthetic) == 0 or len(unseen) == 0:
        return None
    if top is None:
        top = _round_up(float(np.quantile(np.concatenate([synthetic, unseen]), 0.95)))
    cells = int(np.clip(min(len(synthetic), len(unseen)) // 5, 10, 40))
    edges = np.linspace(0.0, top, cells + 1)
    counts = [np.histogram(np.minimum(values, top), bins=edges)[0] for values in (synthetic, unseen)]
    above = any(bool((values > top).any()) for values in (synthetic, unseen))
    shown = [suppress(count) if hide else [int(value) for value in count] for count in counts]
    return Histogram(
        edges=tuple(round(float(edge), 6) for edge in edges),
        synthetic=tuple(shown[0]),
        unseen=tuple(shown[1]),
        synthetic_of=len(synthetic),
        unseen_of=len(unseen),
        top_open=above,
    )


def resolvable_quantile(
    synthetic: np.ndarray, unseen: np.ndarray
) -> tuple[float | None, tuple[float, float] | None]:
    """The smallest quantile, at least 1 %, with ten values below it in both samples, and its two values.

    Replaces the minimum, which is one image's distance to one patient. None for samples under twenty.
    """
    fewest = min(len(synthetic), len(unseen))
    if fewest < 2 * SMALLEST_CELL:
        return None, None
    share = max(0.01, math.ceil(100 * SMALLEST_CELL / fewest) / 100)
    values = tuple(float(np.quantile(sample, share)) for sample in (synthetic, unseen))
    return share, (_three_figures(values[0]), _three_figures(values[1]))


def _three_figures(value: float) -> float:
    return float(f"{value:.3g}") if math.isfinite(value) else value


def _round_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8, 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
    return next(step for step in steps if step * power >= value * (1 - 1e-12)) * power
