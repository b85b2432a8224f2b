"""What a review changes about a release: flags that people cleared no longer stand against it. Nothing else does.

The cohort test, the power, the controls and every other doubt of the audit decide as before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medaudit.artifacts.authentication import require_authentic
from medaudit.artifacts.certified_review import CertifiedReview, certified_review
from medaudit.artifacts.findings import Audit, Bounds
from medaudit.artifacts.review import Review, open_review
from medaudit.artifacts.second_looks import WithoutFlags
from medaudit.artifacts.store import Artifact
from medaudit.errors import NotReleasable, ReviewMismatch
from medaudit.stages.review import tables_of
from medaudit.stats.together import NO_BOUND, WAYS_OUT

if TYPE_CHECKING:
    from medaudit.render.review_facts import ReviewFacts

_NO_BOUND = NO_BOUND[0].lower() + NO_BOUND[1:]


@dataclass(frozen=True)
class Clearing:
    """A review of an audit: the pairs (row of S, row of T) whose flags were cleared."""

    artifact: Artifact
    review: Review

    @property
    def pairs(self) -> set[tuple[int, int]]:
        """The pairs that reviewers looked at and cleared."""
        images = (one for one in self.review.images if one.decision == "cleared")
        return {(one.synthetic_id, pair.train_id) for one in images for pair in one.pairs}

    @property
    def images(self) -> set[int]:
        """Rows of S whose flags were cleared."""
        return {image for image, _ in self.pairs}


def clearing_of(
    path: Path | None, audit: Artifact, key: Path | None = None, near: Iterable[Path] = ()
) -> Clearing | None:
    """The review at `path`, None without one; `key` and `near`: as for the audit (protocol/recheck).

    Raises ReviewMismatch unless it is one of this very audit, FindingsNotAuthentic for one that was edited.
    """
    if path is None:
        return None
    artifact, review = open_review(path)
    require_authentic(artifact, key, (*near, audit.path))
    if artifact.lineage.get("audit") != audit.id:
        raise ReviewMismatch(f"{path} is the review of another audit; give the review of this one")
    if artifact.lineage.get("synthetic") != audit.lineage.get("synthetic"):
        raise ReviewMismatch(
            f"{path} is about images that were released before; with --ledger it counts in the next audit, not here"
        )
    return Clearing(artifact, review)


def review_facts(clearing: Clearing | None, audit: tuple[Artifact, Audit] | None) -> "ReviewFacts | None":
    """What a report says of a review; with all flags cleared also what the audit says without them."""
    from medaudit.render.review_facts import ReviewFacts

    if clearing is None or audit is None:
        return None
    review, rest = clearing.review, audit[1].without_flags
    then = rest.verdict if rest is not None and review.cleared == review.flagged else None
    return ReviewFacts.model_validate(review).model_copy(update={"then": then})


def cleared(clearing: Clearing, audit: Artifact, record: Audit) -> tuple[Audit, CertifiedReview]:
    """The audit as it stands once its flags are cleared, and what the certificate says of that.

    `audit` is the one that was reviewed, or the second look without the images that were not cleared. An image whose
    flag was cleared counts as flagged although the second look, at half of alpha, may not flag it again. Raises
    NotReleasable while a flag stands, or where the audit would not support a release even without its flags.
    """
    from medaudit.protocol.review_pairs import flagged_pairs, unclearable

    if record.ledger is not None and record.ledger.flagged_before:
        raise NotReleasable(
            f"flagged images are out already, and no review of this cohort clears them: {WAYS_OUT}"
        )
    tables = tables_of(audit, record)
    flagged = set(flagged_pairs(tables))
    standing = {image for image, _ in flagged - clearing.pairs} | set(unclearable(tables))
    if standing:
        raise NotReleasable(
            f"{len(standing)} flagged images are not cleared: release again with --withhold-flagged as well, "
            "or train again"
        )
    unbounded = [reason for reason in record.reasons if reason != record.bounds.wording]
    rest = record.without_flags if flagged else WithoutFlags(verdict=record.verdict, reasons=unbounded)
    if rest is None:
        raise ReviewMismatch("the audit does not say how it stands without its flags; run it again")
    if rest.verdict != "release-supported":
        error = NotReleasable(
            f"the flags are cleared, but the audit says {rest.verdict} even so; its reasons say what else is wrong"
        )
        error.exit_code = {"inconclusive": 20}.get(rest.verdict, 10)
        raise error
    said = certified_review(clearing.review, clearing.artifact.id, set(record.withheld))
    bounds = Bounds(
        model_rate_upper=None, sources=None, hidden_copies=None, alpha=record.bounds.alpha, wording=_NO_BOUND
    )
    reasons = [_sentence(said, record.counts.synthetic), *rest.reasons]
    changed = {
        "flagged": said.cleared,
        "suspects": record.counts.suspects - _suspects_among(tables, clearing.images),
    }
    counts = record.counts.model_copy(update=changed)
    changes = {
        "verdict": rest.verdict,
        "reasons": reasons,
        "counts": counts,
        "bounds": bounds,
        "next_steps": [],
    }
    return record.model_copy(update=changes), said


def _suspects_among(tables: list[Any], images: set[int]) -> int:
    """How many of these rows of S count as suspects: suspect under a detector, flagged under none."""
    suspect, flagged = (
        {
            image
            for table in tables
            for image in table.filter(table.column(name)).column("synthetic_id").to_pylist()
        }
        for name in ("suspect", "flagged")
    )
    return len((suspect - flagged) & images)


def _sentence(said: CertifiedReview, images: int) -> str:
    names = ", ".join(one.named_as for one in said.reviewers)
    one = said.cleared == 1
    return (
        f"{said.cleared} of {images} images {'was' if one else 'were'} flagged, looked at by {len(said.reviewers)} "
        f"reviewers ({names}) and cleared: {'it is' if one else 'they are'} no copy in the eyes of all; no upper limit "
        "of what was missed is stated."
    )
