"""What people said of flagged images, as a section: which flags were cleared, by whom and why.

The shareable edition is built from ReviewFacts alone: counts, the names given for the outside, reasons from the closed
list. Rows, reviewers' own names and notes are in the confidential edition.
"""

from collections.abc import Mapping

from medaudit.artifacts.review import REASONS, AgreementOfTwo, Reason, Review, ReviewerRecord
from medaudit.render import wording as say
from medaudit.render.document import Block, Cell, Paragraph, Section, Table
from medaudit.render.review_facts import ReviewerFacts, ReviewFacts, ShareFacts, TwoReviewersFacts
from medaudit.render.site_facts import ReleaseFacts

_ROWS_SHOWN = 100
_NOTE_SHOWN = 300


def review_section(facts: ReviewFacts, release: ReleaseFacts | None = None) -> Section:
    """The section of both editions; `release`: what went out."""
    blocks: list[Block] = [Paragraph(text=f"{_lead(facts)} {_then(facts, release)}"), _reviewers(facts)]
    if facts.reasons:
        blocks.append(Paragraph(text=f"Why not a copy: {_reasons(facts.reasons)}."))
    blocks += [
        Paragraph(text=f"{agreement_words(one, facts.reviewers)}.", quiet=True) for one in facts.agreement
    ]
    blocks.append(
        Paragraph(
            text="Planted copies and pairs of different people were mixed in unseen. Among planted copies calling one "
            "a copy or the same person counts as seen; unsure is a miss. The test of the cohort as a whole is not "
            "changed by a review, and no upper limit of the copying rate is stated where flags were cleared.",
            quiet=True,
        )
    )
    return Section(title="Flags that people looked at", blocks=tuple(blocks), page="second")


def _lead(facts: ReviewFacts) -> str:
    verb = "was" if facts.cleared == 1 else "were"
    others = ((facts.stands, "stand"), (facts.withheld, "are to be left out"))
    rest = [f"{say.whole(count)} {text}" for count, text in others if count]
    return (
        f"Of {say.counted(facts.flagged, 'flagged image')} {say.whole(facts.cleared)} {verb} cleared"
        f"{'; ' + say.joined(rest) if rest else ''}. A flag is cleared when everyone says that the image is no copy, "
        f"at least {say.counted(facts.required_reviewers, 'reviewer')} among them with a sensitivity on planted copies "
        f"whose lower limit is {say.level(facts.required_sensitivity)} or more."
    )


def _then(facts: ReviewFacts, release: ReleaseFacts | None) -> str:
    """What a reader may take from it beside the verdict, which is the audit's and stays."""
    if release is not None and release.second_look_id is not None:
        return (
            "The verdict above is the audit's, before anything was withheld. Then "
            f"{say.counted(release.withheld, 'image')} {'was' if release.withheld == 1 else 'were'} left out and the "
            "rest was audited again; that second look supports the release named in the head, in which "
            f"{say.counted(release.cleared, 'image')} with a cleared flag went out."
        )
    if facts.then is None:
        return "The verdict above stands."
    if facts.then == "release-supported":
        return (
            "The verdict above is the audit's, before people looked. With all flags cleared its other grounds support "
            "a release, and medaudit release --review acts on that."
        )
    return "The verdict above stands even without the flags: the audit has other grounds, named on the first page."


def _reviewers(facts: ReviewFacts) -> Table:
    return Table(
        caption="Reviewers, and how well they told the controls apart (95 % intervals)",
        columns=("Reviewer", "Planted copies seen", "Different people told apart", "Vote can clear"),
        rows=tuple(
            (
                Cell(text=one.named_as),
                _rate(one.sensitivity),
                _rate(one.specificity),
                Cell(text="yes" if one.trusted else "no"),
            )
            for one in facts.reviewers
        ),
        weights=(3, 3, 3, 2),
    )


def _rate(rate: ShareFacts | None) -> Cell:
    if rate is None:
        return Cell(text="no controls")
    return Cell(text=f"{rate.count} of {rate.of} ({say.span(rate.low, rate.high)})", value=rate.value)


def _reasons(reasons: Mapping[Reason, int]) -> str:
    return say.joined(
        [f"{REASONS[code]} ({say.counted(count, 'answer')})" for code, count in reasons.items()]
    )


def cleared_section(review: Review) -> Section:
    """For the confidential edition: every image looked at, what was decided, who said what."""
    shown = review.images[:_ROWS_SHOWN]
    left = len(review.images) - len(shown)
    table = Table(
        caption="Flagged images as the reviewers saw them, by row of the synthetic cohort"
        + (f"; {say.whole(left)} more are in review.json" if left else ""),
        columns=("Image", "Decision", "Why", "Film", "Reviewer", "Answer", "Reason", "Note"),
        rows=tuple(
            (
                Cell(text=str(image.synthetic_id), value=image.synthetic_id),
                Cell(text=image.decision),
                Cell(text=image.why),
                Cell(text=str(pair.train_id), value=pair.train_id),
                Cell(text=review.reviewers[one.reviewer].reviewer),
                Cell(text=one.answer.replace("-", " ") + (", leave out" if one.withhold else "")),
                Cell(text="" if one.reason is None else REASONS[one.reason]),
                Cell(text=one.note if len(one.note) <= _NOTE_SHOWN else one.note[:_NOTE_SHOWN] + " ..."),
            )
            for image in shown
            for pair in image.pairs
            for one in pair.answers
        ),
        numeric=(0, 3),
        weights=(2, 3, 4, 2, 3, 3, 4, 4),
    )
    return Section(title="Flags, decision by decision", blocks=(table,))


def reviewer_words(one: ReviewerRecord) -> str:
    """One reviewer in a line, with what the controls say."""
    if one.sensitivity is None:
        return f"{one.reviewer}: no planted copies on the page, so nothing is known of this reviewer's eye"
    seen = one.sensitivity
    line = f"{one.reviewer}: {seen.count} of {seen.of} planted copies seen ({say.span(seen.low, seen.high)})"
    if one.specificity is not None:
        spared = one.specificity
        line += f", {spared.count} of {spared.of} pairs of different people told apart"
        line += f" ({say.span(spared.low, spared.high)})"
    return line + ("" if one.trusted else "; too little to clear a flag")


def agreement_words(
    one: AgreementOfTwo | TwoReviewersFacts,
    reviewers: "list[ReviewerRecord] | tuple[ReviewerFacts, ...]",
) -> str:
    """How far two reviewers agree on the flagged pairs."""
    names = " and ".join(reviewers[place].named_as for place in (one.first, one.second))
    said = f"{names} agree on {one.agreed} of {one.pairs} flagged pairs"
    if one.kappa is None or one.low is None or one.high is None:
        return f"{said}; Cohen's kappa is not defined where both give one answer to all"
    interval = f"{say.level(one.confidence)} interval {one.low:.2f} to {one.high:.2f}"
    return f"{said}; Cohen's kappa {one.kappa:.2f} ({interval})"
