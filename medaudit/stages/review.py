"""medaudit review: the flagged pairs of an audit as one page for a person. The verdicts come back by review_apply."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from medaudit.artifacts.authentication import code_with, require_authentic
from medaudit.artifacts.findings import (
    DETECTOR_MATCHES,
    MATCHES,
    RELEASED_BY_DETECTOR,
    RELEASED_MATCHES,
    Audit,
    read_matches,
    write_record,
)
from medaudit.artifacts.review import (
    KEY,
    LONGEST_NAME,
    LONGEST_NOTE,
    PAGE,
    REASONS,
    VERDICTS_SCHEMA,
    Item,
    Key,
)
from medaudit.artifacts.store import Artifact, Draft, Request, finished, write_whole
from medaudit.errors import CohortMismatch, UsageProblem
from medaudit.progress import SILENT, Progress
from medaudit.protocol.grounds import settings_of
from medaudit.protocol.recheck import open_trusted_audit
from medaudit.stages.outcome import Outcome

PAIRS, CONTROLS = 200, 27  # of 27 planted copies one may be missed where a sensitivity of 80 % is required


def run(
    audit: Path, train: Path, synthetic: Path, out: Path | None = None, *, pairs: int = PAIRS, controls: int = CONTROLS,
    seed: int = 0, key: Path | None = None, progress: Progress = SILENT,
) -> Outcome:  # fmt: skip
    """Write the page of A: at most `pairs` flagged pairs of whole images, `controls` planted copies and as many pairs
    of different people, in an order drawn from the seed. Raises UsageProblem when nothing is flagged, CohortMismatch.
    """
    from medaudit.protocol.review_pairs import controls as planted
    from medaudit.protocol.review_pairs import first_images, flagged_pairs, shuffled
    from medaudit.protocol.sides import Side

    if pairs < 1 or controls < 0:
        raise UsageProblem("--pairs is at least 1, and --controls not below 0")
    artifact, record = open_trusted_audit(audit, key, (train, synthetic))
    secret = require_authentic(artifact, key, (train, synthetic))
    if not record.counts.flagged:
        raise UsageProblem(f"{audit} flags no image; there is nothing to review")
    theirs, ours = _cohorts(artifact, record, train, synthetic)
    found = flagged_pairs(tables_of(artifact, record, ours.id))
    shown = first_images(found, pairs)
    if not found:
        raise UsageProblem(f"{audit} flags no image of {synthetic}; there is nothing to review")
    if not shown:
        raise UsageProblem("one image alone has more pairs than --pairs allows; raise --pairs")
    out = out or audit.with_name(f"{audit.name}.review")
    parents = {"audit": artifact.id, "train": theirs.id, "synthetic": ours.id}
    request = Request("review", {"pairs": pairs, "controls": controls}, seed, parents)
    page = request.fingerprint()
    blank = [Item(item="0" * 16, control="", synthetic_id=image, train_id=film) for image, film in shown]
    kinds = settings_of(artifact).required_kinds
    items = shuffled([*blank, *planted(Side.of(theirs), record, kinds, controls, seed)], page, seed)
    if finished(out, request) is None:
        progress.start("review", len(items))
        with Draft(out, request) as draft:
            write_record(draft.file(KEY), Key(page=page, items=items))
            write_whole(draft.file(PAGE), _page(page, items, theirs, ours, seed, progress).encode())
            draft.commit(images=len({image for image, _ in shown}), pairs=len(items), seal=code_with(secret))
    left = len({image for image, _ in found}) - len({image for image, _ in shown})
    lines = [
        f"{len(shown)} flagged pairs and {len(items) - len(shown)} controls on one page: {out / PAGE}",
        "open it in a browser; it needs no server and sends nothing. It shows films of patients: it stays inside",
        "give reviewers page.html alone: key.json tells which pairs are controls",
        *([f"{left} further flagged images are not on it, and their flags stand (--pairs)"] if left else []),
        f"then: medaudit review {audit} --apply VERDICTS.json --apply SECOND.json",
    ]
    return Outcome(
        tuple(lines), {"pairs": len(shown), "items": len(items), "not_shown": left, "page": page}, out
    )


def _page(page: str, items: list[Item], theirs: Any, ours: Any, seed: int, progress: Progress) -> str:
    from medaudit.protocol.review_pairs import draw
    from medaudit.render.review_page import Shown, print_page
    from medaudit.writers.raster import grey_webp

    def shown() -> Any:
        for item, one in zip(items, draw(items, theirs, ours, seed), strict=True):
            yield Shown(item.item, one.image, one.film, one.untouched, one.done)
            progress.advance()

    return print_page(
        page, shown(), REASONS, VERDICTS_SCHEMA, (LONGEST_NOTE, LONGEST_NAME), grey_webp, len(items)
    )


def flagged_images(audit: Artifact, record: Audit, synthetic: str | None = None) -> list[int]:
    """Rows of S, or of the earlier cohort of this id, that any detector flags."""
    from medaudit.protocol.review_pairs import flagged_pairs

    return sorted({image for image, _ in flagged_pairs(tables_of(audit, record, synthetic))})


def searched_images(audit: Artifact) -> list[int]:
    """Rows of S that the audit searched."""
    return read_matches(audit, MATCHES).column("synthetic_id").to_pylist()


def tables_of(audit: Artifact, record: Audit, synthetic: str | None = None) -> list[Any]:
    """The tables of matches that name flagged pairs: of S, or of the earlier cohort of this id that was released."""
    of_s = synthetic in (None, audit.lineage["synthetic"])
    names = (MATCHES, DETECTOR_MATCHES) if of_s else (RELEASED_MATCHES, RELEASED_BY_DETECTOR)
    tables = [read_matches(audit, name) for name in names if name in audit.manifest["files"]]
    if of_s or record.ledger is None:
        return tables
    release = record.ledger.releases[record.ledger.cohorts.index(str(synthetic))]
    return [table.filter(pc.equal(table.column("release"), release)) for table in tables]


def _cohorts(audit: Artifact, record: Audit, train: Path, synthetic: Path) -> tuple[Any, Any]:
    """T and S, or T and an earlier cohort whose released images the audit looked at. Raises CohortMismatch."""
    from medaudit.artifacts.cohort import open_cohort
    from medaudit.stages.pictures import cohorts_of

    earlier = open_cohort(synthetic)
    if record.ledger is None or earlier.id not in record.ledger.cohorts:
        return cohorts_of(audit, train, synthetic)
    theirs = open_cohort(train)
    if theirs.id != audit.lineage["train"]:
        raise CohortMismatch(f"{train} is not the cohort that the findings call train; give that one")
    return theirs, earlier
