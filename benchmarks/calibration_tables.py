"""Rows of the calibration tables: a promise, what was measured, and its Monte-Carlo error. For `calibration.py`."""

from dataclasses import dataclass

import numpy as np

from medaudit.stats.intervals import clopper_pearson, cluster_bootstrap

CONFIDENCE = 0.95  # of the interval that is printed
SURE = 0.9998  # of the interval that must miss a promise too before it is called broken; there are hundreds of rows
REPLICATES = 4000


@dataclass(frozen=True)
class Row:
    """One promise. `verdict`: yes, error (wrong side within error), doubtful, broken, or none promised."""

    cell: str
    promised: float
    measured: float
    low: float
    high: float
    verdict: str

    def line(self) -> str:
        """The row as Markdown."""
        told = self.verdict if self.verdict != "none" else "not promised"
        return (
            f"| {self.cell} | {self.promised:.4g} | {self.measured:.4f} | "
            f"{self.low:.4f} to {self.high:.4f} | {told} |"
        )


def share_row(cell: str, promised_most: float, happened: np.ndarray, *, promised: bool) -> Row:
    """A share (A,) bool of audits that must be at most `promised_most`."""
    count, of = int(np.sum(happened)), len(happened)
    rate, sure = clopper_pearson(count, of, CONFIDENCE), clopper_pearson(count, of, SURE)
    verdict = _verdict(rate.value <= promised_most, rate.low <= promised_most, sure.low <= promised_most)
    return Row(cell, promised_most, rate.value, rate.low, rate.high, verdict if promised else "none")


def coverage_row(cell: str, promised_least: float, held: np.ndarray, *, promised: bool = True) -> Row:
    """A share (A,) bool of audits that must be at least `promised_least`."""
    count, of = int(np.sum(held)), len(held)
    rate, sure = clopper_pearson(count, of, CONFIDENCE), clopper_pearson(count, of, SURE)
    verdict = _verdict(rate.value >= promised_least, rate.high >= promised_least, sure.high >= promised_least)
    return Row(cell, promised_least, rate.value, rate.low, rate.high, verdict if promised else "none")


def mean_row(
    cell: str,
    promised: float,
    values: np.ndarray,
    rng: np.random.Generator,
    *,
    both: bool = False,
    counts: bool = True,
) -> Row:
    """A mean of (A,) values that must be at most `promised`, or equal to it; interval by bootstrap over audits."""
    means = cluster_bootstrap(values, np.arange(len(values)), replicates=REPLICATES, rng=rng)
    tails = [(1 - CONFIDENCE) / 2, (1 - SURE) / 2]
    low, sure_low = np.quantile(means, tails)
    high, sure_high = np.quantile(means, [1 - tail for tail in tails])
    value = float(values.mean())
    if both:
        verdict = _verdict(True, low <= promised <= high, sure_low <= promised <= sure_high)
    else:
        verdict = _verdict(value <= promised, low <= promised, sure_low <= promised)
    return Row(cell, promised, value, float(low), float(high), verdict if counts else "none")


def _verdict(right_side: bool, within: bool, within_sure: bool) -> str:
    if right_side and within:
        return "yes"
    if within:
        return "yes, within error"
    return "doubtful" if within_sure else "broken"


def show(title: str, rows: list[Row]) -> None:
    """Print one table."""
    print(f"\n{title}\n")
    print("| cell | promised | measured | Monte-Carlo 95 % interval | ok? |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(row.line(), flush=True)
