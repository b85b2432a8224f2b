"""The part of `audit.json` about usefulness: each figure with its interval and what real films reach."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Fault = Literal[
    "noise",
    "unlike",
    "partly unlike",
    "blurred",
    "grainy",
    "collapsed",
    "narrow",
    "average",
    "brightness",
    "labels",
]


class TwinRecord(BaseModel):
    """A value with its interval, beside the value that real films reach among themselves, with its own."""

    model_config = ConfigDict(extra="forbid")

    value: float
    low: float
    high: float
    real: float
    real_low: float
    real_high: float


class UtilityRecord(BaseModel):
    """Whether S is of any use, against unseen people. It never enters the verdict.

    Figures are means over `halvings` random halves of the unseen people, `each` films and images at a time, and the
    intervals the central 95 % of them.
    """

    model_config = ConfigDict(extra="forbid")

    images: int  # of S that were looked at
    of: int  # images of S
    people: int  # unseen people, one film each
    of_people: int
    each: int
    halvings: int
    neighbours: int
    density: TwinRecord  # of neighbourhoods in which an image lies, over k; 1 for real films
    coverage: TwinRecord  # share of unseen films with an image in their neighbourhood
    grey: TwinRecord  # distance of grey values, of the range from black to white
    spectrum: TwinRecord  # typical factor between power spectra; 1 is equal
    detail: TwinRecord  # fine detail, of that of unseen films
    labels: TwinRecord | None  # largest difference of a label's share; None: one side has no labels
    faults: list[Fault]
    wording: list[str]
