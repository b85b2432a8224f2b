"""How alpha, the chance of refusing a clean release, is spent over the tests."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Budget:
    """The parts of alpha; the flag parts are for each of `detectors` detectors."""

    cohort_excess: float
    cohort_run: float
    familywise_each: float
    fdr_each: float
    detectors: int

    @property
    def total(self) -> float:
        """The sum of all parts: by the union bound the chance of refusing a clean release is at most this."""
        return self.cohort_excess + self.cohort_run + self.detectors * (self.familywise_each + self.fdr_each)

    def as_dict(self) -> dict[str, float]:
        """The parts by name, for the record of findings."""
        return {name: float(value) for name, value in asdict(self).items()}


def split_alpha(alpha: float, cohort_share: float, detectors: int) -> Budget:
    """Halve the cohort's share between excess and leading run; halve the rest between both flag rules, over detectors.

    Benjamini-Hochberg at q refuses a clean release with probability q at most, since with no copy in it every flag
    is false; so q is a part of the same alpha. Raises ValueError for values out of range.
    """
    if not 0 < alpha < 1 or not 0 < cohort_share < 1:
        raise ValueError("alpha and cohort_share must lie between 0 and 1")
    if detectors < 1:
        raise ValueError("at least one detector is needed")
    cohort = alpha * cohort_share / 2
    each = alpha * (1 - cohort_share) / 2 / detectors
    return Budget(cohort, cohort, each, each, detectors)
