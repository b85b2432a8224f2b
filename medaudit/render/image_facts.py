"""Released and withheld images of the cohort, as counts and in words: the facts of artifacts/image_counts."""

from collections.abc import Mapping
from typing import Any

from medaudit.artifacts.findings import Audit
from medaudit.artifacts.image_counts import Unused, of_audit, of_release
from medaudit.artifacts.records import Verdict
from medaudit.render import wording as say
from medaudit.render.allowed import Aggregate


class ImageFacts(Aggregate):
    """Images of the synthetic cohort by their outcome; None: not known to this report, or no release given."""

    refused: int | None = None
    set_aside: int | None = None
    withheld_before: int
    searched: int
    released_before: int = 0
    flagged: int
    cleared: int = 0
    suspects: int
    released: int | None = None
    withheld: int | None = None


class RemainderFacts(Aggregate):
    """The audit of the images that were not flagged, as far as the report states it."""

    verdict: Verdict
    withheld: int
    synthetic: int
    flagged: int
    enough: bool


def image_facts(record: Audit, beside: Mapping[str, Any], reviewed: Any) -> ImageFacts:
    """The counts of released and withheld images of the audited cohort.

    `beside`: the parts of a summary that are not the audit's, `release` (ReleaseFacts) and `cohorts` (CohortFacts)
    among them; `reviewed`: an object with the reviewers' decisions as `review`, or None.
    """
    release = beside.get("release")
    cohort = next((one for one in beside.get("cohorts", ()) if one.role == "synthetic"), None)
    never = None if cohort is None else Unused(sum(cohort.refused.values()), cohort.set_aside)
    if release is None:
        cleared = 0 if reviewed is None else reviewed.review.cleared
        return ImageFacts.model_validate(of_audit(record, never, cleared))
    counts = of_release(record, release.images, release.withheld, release.cleared, never)
    if counts.set_aside is None:
        counts = counts.model_copy(update={"set_aside": release.set_aside})
    return ImageFacts.model_validate(counts)


def image_items(
    images: ImageFacts, verdict: Verdict, rest: RemainderFacts | None, after_review: Verdict | None
) -> tuple[tuple[str, str], ...]:
    """Names and sentences: what is released, what is withheld, and what the suspects are.

    `verdict`: the audit's; `after_review`: its verdict once people cleared every flag, None where they did not.
    """
    return (
        ("Images released", _released(images, verdict, rest, after_review)),
        ("Images withheld", _withheld(images)),
        ("Suspects", _suspects(images)),
    )


def _released(
    images: ImageFacts, verdict: Verdict, rest: RemainderFacts | None, after_review: Verdict | None
) -> str:
    if images.released is not None:
        people = (
            f", of which {say.whole(images.cleared)} flagged and cleared by people" if images.cleared else ""
        )
        return f"{say.counted(images.released, 'image')}, in the release named in the head{people}"
    if verdict == "release-supported":
        return (
            f"none yet: no release was given to this report; medaudit release writes the {_those(images.searched)} "
            "that were searched"
        )
    if after_review == "release-supported":
        return (
            f"none yet: no release was given to this report; with the review medaudit release writes the "
            f"{_those(images.searched)} that were searched"
        )
    none = "none: under this verdict medaudit release writes no image"
    if rest is not None and rest.enough:
        none += f"; with --withhold-flagged it writes the other {say.whole(rest.synthetic)}"
    return none


def _withheld(images: ImageFacts) -> str:
    before = say.whole(images.withheld_before)
    if images.withheld is None:
        words = f"{before} before this audit; {say.whole(images.flagged)} of those searched "
        words += "is flagged" if images.flagged == 1 else "are flagged"
    else:
        words = f"{say.whole(images.withheld)} by that release, {before} of them before this audit"
    parts = [words]
    if images.set_aside:
        was = "image was" if images.set_aside == 1 else "images were"
        parts.append(f"{say.whole(images.set_aside)} unusable {was} set aside when the cohort was made")
    if images.refused:
        were = "was" if images.refused == 1 else "were"
        parts.append(f"{say.counted(images.refused, 'file')} of its source {were} refused")
    return "; ".join(parts)


def _suspects(images: ImageFacts) -> str:
    if not images.suspects:
        return "none"
    is_not = "A suspect is not flagged and not withheld: a release holds it like the others"
    among = f", among the {say.whole(images.searched + images.released_before)} searched"
    return f"{say.whole(images.suspects)} listed for the reviewer{among}. {is_not}"


def _those(count: int) -> str:
    return say.counted(count, "image")
