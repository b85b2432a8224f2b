"""What the confidential edition adds: matches by pseudonym, exact distances, and pairs of pictures.

Nothing of this module is reachable from a shareable document, which is built from a Summary alone.

Axes: N synthetic images, K pairs, (Y, X) pixels.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medaudit.artifacts.findings import Audit
from medaudit.artifacts.review import Review
from medaudit.render import wording as say
from medaudit.render.background import figure, text
from medaudit.render.document import Block, Cell, Facts, Figure, Paragraph, Section, Table
from medaudit.render.reviewed import cleared_section
from medaudit.stats.relation import SAME_PERSON

ROWS_SHOWN = 25
PAIRS_SHOWN = 12
PAIRS_SHOWN_WHEN_CLEAN = 4

# The pictures of a pair: synthetic row, training row → two (Y, X) float arrays in [0, 1], the training film laid over
# the synthetic image, and what was done to it for that.
Pictures = Callable[[int, int], tuple[np.ndarray, np.ndarray, str]]


@dataclass(frozen=True)
class Details:
    """What only the confidential edition may hold."""

    audit: Audit | None  # None: the matches are those of an extraction
    matches: pa.Table  # matches.parquet, N rows
    lineage: Mapping[str, str]
    pictures: Pictures | None = None
    review: Review | None = None


def any_suspect(matches: pa.Table, by_detector: pa.Table | None) -> pa.Table:
    """The matches (N rows) with `suspect` as the counts have it: under any detector, not only the one named."""
    if by_detector is None:
        return matches
    suspect = by_detector.filter(by_detector.column("suspect")).column("synthetic_id").unique()
    found = pc.is_in(matches.column("synthetic_id"), value_set=suspect)
    return matches.set_column(matches.schema.get_field_index("suspect"), "suspect", found)


def most_alike(matches: pa.Table) -> pa.Table:
    """(N) rows, flagged first, then suspects, then the most alike; ties by synthetic id."""
    keys = [(name, "descending") for name in ("flagged", "suspect", "score")]
    return matches.sort_by([*keys, ("synthetic_id", "ascending")])


def match_table(details: Details) -> Section:
    """The most copy-like images with the patients they show; the rest is counted and lies in matches.parquet."""
    source = "extraction" if details.audit is None else "audit"
    ordered = most_alike(details.matches)
    named = ordered.filter(pc.or_(ordered.column("flagged"), ordered.column("suspect")))
    shown = (named if len(named) else ordered).slice(0, ROWS_SHOWN).to_pylist()
    rest = max(0, len(named) - len(shown))
    lead = (
        f"{say.counted(len(named), 'image')} flagged or suspect"
        if len(named)
        else "No image is flagged or suspect; the most alike are listed"
    )
    agreed = details.audit.agreement if details.audit is not None else None
    flagging = dict(agreed.images) if agreed is not None else {}
    more = f" {say.whole(rest)} more are in matches.parquet of the {source}." if rest else ""
    table = Table(
        caption="Row numbers are positions in the synthetic and the training cohort. Relative distance 0 is the same "
        "image. The runner-up is the nearest image of another patient. "
        "Flagged by: how many detectors flag it; the one that speaks is named.",
        columns=(
            "Image",
            "Patient",
            "Film",
            "Detector",
            "Relative distance",
            "p",
            "k (patients)",
            "Runner-up",
            "Rule",
        ),
        rows=tuple(_match_row(row, flagging) for row in shown),
        numeric=(0, 2, 4, 5, 6),
        weights=(2, 5, 2, 3, 2, 2, 2, 5, 2),
    )
    return Section(title="Matches, by pseudonym", blocks=(Paragraph(text=f"{lead}.{more}"), table))


def _match_row(row: Mapping[str, Any], flagging: Mapping[int, int]) -> tuple[Cell, ...]:
    """`flagging`: how many detectors flag an image, by its row."""
    ratio = math.exp(-row["score"])
    runner_up = row["runner_up_patient"] or "none"
    if row["runner_up_score"] is not None and math.isfinite(row["runner_up_score"]):
        runner_up = f"{runner_up} ({say.number(math.exp(-row['runner_up_score']), 2)})"
    return (
        Cell(text=str(row["synthetic_id"]), value=row["synthetic_id"]),
        text(row["patient"] or "no id"),
        Cell(text=str(row["train_id"]), value=row["train_id"]),
        text(row["detector"]),
        figure(ratio, 2),
        Cell(text=say.chance(row["p_value"]), value=row["p_value"]),
        Cell(text=f"{row['eidetic_k']} ({row['eidetic_patients']})", value=row["eidetic_k"]),
        text(runner_up),
        text(_rule(row, flagging.get(row["synthetic_id"]))),
    )


def _rule(row: Mapping[str, Any], detectors: int | None = None) -> str:
    if row["flagged"]:
        flagged = "flagged" if detectors is None else f"flagged by {detectors}"
        return f"{flagged}, same person" if row.get("relation") == SAME_PERSON else flagged
    return "suspect" if row["suspect"] else "not flagged"


def exact_distances(details: Details) -> Section:
    """The extremes that the shareable edition replaces by quantiles, and the full ids of the cohorts."""
    ids = Facts(
        items=tuple((f"id of {role}", value) for role, value in sorted(details.lineage.items())), code=True
    )
    if details.audit is None:
        return Section(title="Lineage", blocks=(ids,))
    rows = tuple(
        (text(one.name), figure(one.closest_synthetic), figure(one.closest_unseen), figure(one.match_radius))
        for one in details.audit.detectors
    )
    table = Table(
        caption="Smallest distances to a training image, and the radius within which eidetic k counts",
        columns=("Detector", "Closest synthetic image", "Closest unseen person", "Match radius"),
        rows=rows,
        numeric=(1, 2, 3),
        weights=(3, 2, 2, 2),
    )
    blocks: list[Block] = [table, ids]
    pairs = details.audit.duplicates.pairs
    if pairs:
        shown = tuple(
            (text(where), Cell(text=str(a), value=a), Cell(text=str(b), value=b))
            for where, a, b in pairs[:ROWS_SHOWN]
        )
        blocks.append(
            Table(
                caption=f"Near-duplicates in the real data ({len(shown)} of {len(pairs)} listed), by row",
                columns=("Where", "Row", "Row"),
                rows=shown,
                numeric=(1, 2),
                weights=(4, 1, 1),
            )
        )
    return Section(title="Exact distances", blocks=tuple(blocks))


def pairs(details: Details) -> Section | None:
    """Pairs side by side, the most alike first and every patient once before any comes twice."""
    from medaudit.render.figures import pair

    if details.pictures is None or len(details.matches) == 0:
        return None
    blocks: list[Block] = []
    for place, row in enumerate(_chosen(details.matches), start=1):
        synthetic, training, done = details.pictures(row["synthetic_id"], row["train_id"])
        patient = row["patient"] or "without id"
        rule = _rule(row)
        blocks.append(
            Figure(
                name=f"pair-{place}",
                title=f"Image {row['synthetic_id']} and patient {patient}",
                caption=f"{rule}; detector {row['detector']}, relative distance "
                f"{say.number(math.exp(-row['score']), 2)}; training row {row['train_id']}"
                + (f"; the film is shown {done}." if done else "."),
                alt=f"Synthetic image {row['synthetic_id']}, training film of patient {patient}, and their difference.",
                media="image/png",
                picture=pair(synthetic, training),
                wide=True,
            )
        )
    lead = Paragraph(
        text="Left the synthetic image, in the middle the training film it matches, right what remains when the one "
        "is taken from the other: an even grey means no difference. Where the film fits better turned, mirrored, "
        "moved or with black for white, it is shown that way, and the caption says so."
    )
    return Section(title="Pairs side by side", blocks=(lead, *blocks))


def _chosen(matches: pa.Table) -> list[dict[str, Any]]:
    ordered = most_alike(matches)
    named = ordered.filter(pc.or_(ordered.column("flagged"), ordered.column("suspect")))
    if len(named) == 0:
        return ordered.slice(0, PAIRS_SHOWN_WHEN_CLEAN).to_pylist()
    patients = named.column("patient").to_pylist()
    seen: dict[str | None, int] = {}
    visit = []
    for position, patient in enumerate(patients):
        visit.append((seen.get(patient, 0), position))
        seen[patient] = seen.get(patient, 0) + 1
    chosen = [position for _, position in sorted(visit)[:PAIRS_SHOWN]]
    return named.take(pa.array(chosen)).to_pylist()


def confidential_sections(details: Details) -> list[Section]:
    """The sections that stay inside."""
    table = match_table(details) if len(details.matches) else None
    decisions = cleared_section(details.review) if details.review is not None else None
    sections = [pairs(details), decisions, table, exact_distances(details)]
    return [section for section in sections if section is not None]
