"""The parts of `audit.json` that look beyond this cohort as it stands: without its flags, and with what came before."""

from pydantic import Field

from medaudit.artifacts.records import Record, Verdict


class Remainder(Record):
    """The second look: S without the images that this audit flagged, judged at once with what is left of alpha."""

    verdict: Verdict
    reasons: list[str]
    withheld: int  # images flagged by the first look
    synthetic: int  # images that remain
    distinct: int
    released_before: int = 0  # looked at beside them, not counted in `synthetic`, but in `distinct`
    flagged: int
    suspects: int
    cohort_rejects: bool
    excess_p: float
    run_p: float
    minimum_power: float | None
    hidden_copies: int | None
    alpha: float  # of this look
    enough: bool  # withholding alone makes the rest fit for release
    wording: str


class WithoutFlags(Record):
    """What the audit would say were its flags cleared by people: all its other grounds, weighed by the same rule."""

    verdict: Verdict
    reasons: list[str]  # without a bound: none holds where people clear flags


class LedgerRecord(Record):
    """An audit under a site's ledger: its number, and what was released before and audited with it."""

    number: int  # audits of the same training patients so far, this one included
    site_alpha: float  # of which this audit's alpha is a part
    releases: list[str]  # ids of the earlier releases
    cohorts: list[str]  # of their synthetic cohorts
    withheld: list[list[int]]  # rows of each that did not go out
    released_before: int  # images of `counts.synthetic` that are not of S
    flagged_before: int  # of `counts.flagged`
    flagged: list[list[tuple[int, int]]] = Field(default_factory=list)  # of each: these, by row and row of T
    cleared: list[list[tuple[int, int]]] = Field(
        default_factory=list
    )  # of each: pairs that people had cleared
    cleared_before: int = 0  # released images whose flags were those; not in `counts.flagged`
