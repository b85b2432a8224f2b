"""The allow-list of usefulness: numbers alone, no text of the findings."""

from pydantic import BaseModel, ConfigDict


class TwinFacts(BaseModel):
    """A value with its interval, beside what real films reach among themselves."""

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="forbid")

    value: float
    low: float
    high: float
    real: float
    real_low: float
    real_high: float


class UtilityFacts(BaseModel):
    """Whether S is of any use, against unseen people."""

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="forbid")

    images: int
    of: int
    people: int
    of_people: int
    each: int
    halvings: int
    neighbours: int
    density: TwinFacts
    coverage: TwinFacts
    grey: TwinFacts
    spectrum: TwinFacts
    detail: TwinFacts
    labels: TwinFacts | None = None
