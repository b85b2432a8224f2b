"""What every record on disk is made of: a base that refuses unknown keys, a rate with its interval, a verdict."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["release-supported", "do-not-release", "inconclusive"]


class Record(BaseModel):
    """A typed part of a finding; unknown keys are errors, numbers that JSON does not have, endless texts."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=10_000)


class RateRecord(Record):
    """`count` of `of`, as value with its interval [low, high] at `confidence`."""

    value: float
    low: float
    high: float
    count: int
    of: int
    confidence: float = 0.95
