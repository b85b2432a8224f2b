"""medaudit review --apply: the verdicts of a page come back, and each flag is decided. The audit stays as it is."""

from collections.abc import Sequence
from pathlib import Path

from medaudit.artifacts.authentication import check_code, code_with, require_authentic
from medaudit.artifacts.certified_review import LEAST_SENSITIVITY
from medaudit.artifacts.findings import write_record
from medaudit.artifacts.review import REVIEW_JSON, Review, open_page, open_review, read_verdicts
from medaudit.artifacts.store import Draft, Request, file_sha256, finished
from medaudit.errors import ReviewMismatch, UsageProblem
from medaudit.protocol.recheck import open_trusted_audit
from medaudit.stages.outcome import Outcome
from medaudit.stages.review import flagged_images, tables_of

REVIEWERS, SENSITIVITY = 2, 0.8


def run(
    audit: Path, verdicts: Sequence[Path], out: Path | None = None, *, page: Path | None = None,
    reviewers: int = REVIEWERS, sensitivity: float = SENSITIVITY, site_key: Path | None = None,
) -> Outcome:  # fmt: skip
    """Decide each flag of A by the verdicts of a page. Raises ReviewMismatch for verdicts that do not belong to the
    page, are not whole or come twice; nothing is written then. ArtifactBroken for an edited audit or key.
    """
    from medaudit.protocol.review_pairs import unclearable
    from medaudit.protocol.reviewed import answers_of, review_of
    from medaudit.stats.review import Bar

    if reviewers < 1 or not LEAST_SENSITIVITY <= sensitivity < 1:
        raise UsageProblem("--reviewers is at least 1, and --sensitivity at least 0.5 and below 1")
    artifact, audited = open_trusted_audit(audit, site_key, ())
    made, key = open_page(page or audit.with_name(f"{audit.name}.review"))
    secret = require_authentic(made, site_key, (audit,))
    if made.lineage.get("audit") != artifact.id:
        raise ReviewMismatch(f"{made.path} is a page of another audit; give this audit's with --page")
    read = [read_verdicts(path) for path in verdicts]
    answers = [answers_of(one, key, path.name) for one, path in zip(read, verdicts, strict=True)]
    if len({" ".join(one.reviewer.casefold().split()) for one in read}) < len(read):
        raise ReviewMismatch("two of the files are one reviewer's; give one file of each reviewer")
    bar = Bar(reviewers, sensitivity)
    settings = {
        "reviewers": reviewers,
        "sensitivity": sensitivity,
        "verdicts": [file_sha256(one) for one in verdicts],
    }
    out = out or audit.with_name(f"{audit.name}.reviewed")
    parents = {
        "audit": artifact.id,
        "review": made.id,
        **{role: made.lineage[role] for role in ("train", "synthetic")},  # S, or what was released before
    }
    request = Request("reviewed", settings, parents=parents)
    if finished(out, request) is None:
        about = artifact, audited, made.lineage["synthetic"]
        flagged, kept = flagged_images(*about), unclearable(tables_of(*about))
        record = review_of(key, read, answers, flagged, kept, bar)
        with Draft(out, request) as draft:
            write_record(draft.file(REVIEW_JSON), record)
            draft.commit(
                cleared=record.cleared, stands=record.stands, withheld=record.withheld, seal=code_with(secret)
            )
    standing, record = open_review(out)
    check_code(standing, secret)
    of_s = made.lineage["synthetic"] == artifact.lineage["synthetic"]
    return Outcome(
        tuple(_lines(record, audit, out, of_s)), record.model_dump(mode="json", exclude={"images"}), out
    )


def _lines(record: Review, audit: Path, out: Path, of_s: bool) -> list[str]:
    from medaudit.render.reviewed import agreement_words, reviewer_words

    lines = [
        f"{record.cleared} of {record.flagged} flags cleared; {record.stands} stand, {record.withheld} to be left out",
        *(reviewer_words(one) for one in record.reviewers),
        *(agreement_words(one, record.reviewers) for one in record.agreement),
        f"a flag is cleared by at least {record.required_reviewers} reviewers whose sensitivity is at least "
        f"{record.required_sensitivity:.0%} by its lower limit",
        f"decisions: {out / REVIEW_JSON}",
    ]
    if record.cleared and not of_s:
        lines.append("then, once --ledger has it: the same medaudit audit again, with another --out")
    elif record.cleared:
        rest = " --withhold-flagged --train T --holdout H" if record.cleared < record.flagged else ""
        lines.append(
            f"then: medaudit release --synthetic S --audit {audit} --review {out} --out RELEASE{rest}"
        )
    return lines
