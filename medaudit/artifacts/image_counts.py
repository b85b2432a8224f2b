"""Counts of the images of a synthetic cohort: refused, set aside, searched, flagged, released, withheld.

Screen, report, certificate and card all take their counts from here, so that they agree.
"""

from typing import NamedTuple

from pydantic import ConfigDict, model_validator

from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.findings import Audit
from medaudit.artifacts.records import Record, Verdict
from medaudit.errors import CohortMismatch


class Unused(NamedTuple):
    """Of a cohort: refused files, and images that can neither be searched nor released."""

    refused: int
    set_aside: int


class ImageCounts(Record):
    """Images of one synthetic cohort by their outcome.

    Only flags and letters withhold an image. A suspect is not flagged: it is listed for the reviewer and released with
    the others. Nothing of a cohort is released before a release is made: `released` and `withheld` are None until then.
    """

    refused: int | None = None  # files of the source that were refused; None: the cohort is not given
    set_aside: int | None = None  # images that cannot be used: never searched, never released; None as above
    withheld_before: int = 0  # left out before the audit, because of an earlier flag or of letters
    searched: int  # of this cohort, by the audit
    released_before: int = 0  # of earlier releases, searched together with them
    flagged: int  # of `searched`; each is withheld unless reviewers clear it
    cleared: int = 0  # of `flagged`: judged not to be copies by reviewers
    suspects: int  # of all that were searched: not flagged, listed for the reviewer, not withheld
    released: int | None = None
    withheld: int | None = None  # by that release, those `withheld_before` included

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _adds_up(self) -> "ImageCounts":
        if self.released is None or self.withheld is None:
            return self
        if self.searched + self.withheld_before != self.released + self.withheld:
            raise CohortMismatch(
                f"{self.released} images released and {self.withheld} withheld are not the {self.searched} that the "
                "audit searched; give the release of this very audit, or run the audit again"
            )
        return self

    def releasable(self, verdict: Verdict) -> int:
        """How many images a release under this verdict would write."""
        return self.searched if verdict == "release-supported" else 0


def unused(cohort: Cohort) -> Unused:
    """Refused files and set-aside images of a cohort, which no audit searches."""
    refused = cohort.artifact.manifest.get("refused", {}).get("counts", {}).values()
    return Unused(sum(count for count in refused if isinstance(count, int)), len(cohort) - len(cohort.in_use))


def of_audit(record: Audit, beside: Unused | None = None, cleared: int = 0) -> ImageCounts:
    """The counts of an audit under which nothing was released; `cleared`: flagged images that reviewers cleared."""
    before, flagged_before = 0, 0
    if record.ledger is not None:
        before, flagged_before = record.ledger.released_before, record.ledger.flagged_before
    return ImageCounts(
        **({} if beside is None else beside._asdict()),
        withheld_before=len(record.withheld),
        searched=record.counts.synthetic - before,
        released_before=before,
        flagged=record.counts.flagged - flagged_before,
        cleared=cleared,
        suspects=record.counts.suspects,
    )


def of_release(
    record: Audit, released: int, withheld: int, cleared: int = 0, beside: Unused | None = None
) -> ImageCounts:
    """The counts of a release of the cohort that `record` is about, or its first audit before images were withheld."""
    counts = of_audit(record, beside, cleared).model_dump()
    return ImageCounts(**{**counts, "released": released, "withheld": withheld})
