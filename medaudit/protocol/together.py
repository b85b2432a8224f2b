"""An audit under a ledger: its part of the site's alpha, and earlier released images looked at beside the new ones.

The audited set is S followed by the released images of earlier cohorts, written as one cohort among the draft's
scratch files: an image of S keeps its row, and every test (flags over the whole number, the cohort test, twins) sees
everything that is public once S is. Axes: N images of S, E released before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medaudit.artifacts.cohort import Cohort, CohortWriter, open_cohort
from medaudit.artifacts.findings import (
    DETECTOR_MATCHES,
    MATCHES,
    RELEASED_BY_DETECTOR,
    RELEASED_MATCHES,
    Audit,
    Bounds,
)
from medaudit.artifacts.second_looks import LedgerRecord, Remainder
from medaudit.artifacts.store import Draft, Request, finished
from medaudit.config import AuditSettings
from medaudit.protocol.cleared import Pair
from medaudit.protocol.sides import Side
from medaudit.stats.next_steps import NOTHING_LEFT, WITHHOLD, WITHOUT, Rest, remainder_wording
from medaudit.stats.reasons import zero_found_wording
from medaudit.stats.spending import draws_needed
from medaudit.stats.together import (
    NO_BOUND,
    cleared_before,
    flagged_before,
    next_step,
    share_sentence,
    together_sentence,
)
from medaudit.stats.verdict import RELEASE_SUPPORTED

_CHUNK_BYTES = 32 << 20


@dataclass(frozen=True)
class Earlier:
    """A synthetic cohort that was released, and its rows that were not."""

    release: str
    cohort: Cohort
    withheld: tuple[int, ...]
    cleared: tuple[
        Pair, ...
    ] = ()  # of its rows with rows of T, whose flags people cleared (protocol/cleared)

    @property
    def rows(self) -> np.ndarray:
        """The rows that went out."""
        return np.setdiff1d(self.cohort.in_use, np.array(self.withheld, dtype=np.int64))


@dataclass(frozen=True)
class Share:
    """The number of this audit among those of the same people, what it may spend, and what was released before."""

    number: int
    site_alpha: float
    alpha: float
    earlier: tuple[Earlier, ...] = ()
    model: str | None = None  # that made S, by lineage

    @property
    def images(self) -> int:
        """E."""
        return sum(len(one.rows) for one in self.earlier)

    def settings(self, asked: AuditSettings) -> AuditSettings:
        """The settings with this audit's alpha, and draws enough for the cohort test to reject at its part of it."""
        draws = draws_needed(self.alpha, asked.cohort_share) or asked.permutations
        return asked.model_copy(update={"alpha": self.alpha, "permutations": max(asked.permutations, draws)})

    def request(self, asked: Request, settings: AuditSettings) -> Request:
        """The request with these settings, the place in the ledger, and the earlier cohorts as parents."""
        place = {"number": self.number, "site_alpha": self.site_alpha, "model": self.model}
        withheld = {one.release: list(one.withheld) for one in self.earlier}
        cleared = {one.release: list(map(list, one.cleared)) for one in self.earlier if one.cleared}
        return replace(
            asked,
            settings={
                **asked.settings,
                **settings.model_dump(mode="json"),
                "ledger": {
                    **place,
                    "released_before": withheld,
                    **({"cleared_before": cleared} if cleared else {}),
                },
            },
            parents={
                **asked.parents,
                **{f"released_{number}": one.cohort.id for number, one in enumerate(self.earlier, 1)},
            },
        )

    def joined(self, synthetic: Side, draft: Draft, left_out: Sequence[int]) -> Side:
        """S and the released images as one side (N + E); S itself when nothing was released before."""
        if not self.earlier:
            return synthetic
        path, cohort = draft.scratch("joined"), synthetic.cohort
        parents = {**cohort.artifact.lineage, "synthetic": cohort.id}
        request = Request("cohort", {"joined": [one.cohort.id for one in self.earlier]}, None, parents)
        if finished(path, request) is None:
            with Draft(path, request) as inner:
                self._write(inner, cohort)
        return Side.of(open_cohort(path), left_out)

    def _write(self, draft: Draft, cohort: Cohort) -> None:
        """All rows of S, marks too, then those that went out; the deeper pixels of all."""
        parts = [(cohort, np.arange(len(cohort))), *((one.cohort, one.rows) for one in self.earlier)]
        deep = any(part.pixels.dtype == np.uint16 for part, _ in parts)
        writer = CohortWriter(draft, cohort.image_shape, np.uint16 if deep else np.uint8)
        step = max(1, _CHUNK_BYTES // (2 * cohort.image_shape[0] * cohort.image_shape[1]))
        chunks = [
            (part, rows[start : start + step]) for part, rows in parts for start in range(0, len(rows), step)
        ]
        for part, rows in chunks[writer.chunks_done :]:
            pixels = np.asarray(part.pixels[rows])
            if deep and pixels.dtype == np.uint8:
                pixels = pixels.astype(np.uint16) * np.uint16(257)  # the same value in [0, 1]
            records = part.rows.take(pa.array(rows)).to_pylist()
            writer.append(pixels, [{k: v for k, v in row.items() if k != "row_id"} for row in records])
        writer.finish(note={"origin": "synthetic", "role": "synthetic"})

    def cleared(self, size: int) -> set[Pair]:
        """Pairs that people cleared, by position among N + E; size: rows of S's cohort, from where on E begins."""
        starts = size + np.cumsum([0, *(len(one.rows) for one in self.earlier)])
        return {
            (int(start + np.searchsorted(one.rows, row)), film)
            for start, one in zip(starts, self.earlier, strict=False)
            for row, film in one.cleared
            if row in one.rows
        }

    def noted(self, record: Audit, flagged: np.ndarray, size: int, spared: np.ndarray) -> Audit:
        """The record with its place in the ledger.

        flagged (n, 2): positions among N + E that are flagged, with rows of T; size: rows of S's cohort, from where on
        E begins; spared: positions of E with flags that people had cleared.
        """
        out = flagged[flagged[:, 0] >= size]
        before = len(np.unique(out[:, 0]))
        ids = [one.release for one in self.earlier]
        changes: dict[str, Any] = {
            "ledger": LedgerRecord(
                number=self.number,
                site_alpha=self.site_alpha,
                releases=ids,
                cohorts=[one.cohort.id for one in self.earlier],
                withheld=[list(one.withheld) for one in self.earlier],
                released_before=self.images,
                flagged_before=before,
                flagged=self._by_release(out, size) if before else [],
                cleared=[list(one.cleared) for one in self.earlier] if self.cleared(size) else [],
                cleared_before=len(spared),
            ),
        }
        reasons, said = list(record.reasons), []
        if self.earlier:
            changes["bounds"], reasons = _without_rate(record, reasons)
            said.append(together_sentence(record.counts.synthetic, self.images, len(ids)))
        said.append(share_sentence(self.number, self.alpha, self.site_alpha))
        if record.without_flags is not None:
            rest = [
                *([cleared_before(len(spared))] if spared.size else []),
                *record.without_flags.reasons,
                *said,
            ]
            changes["without_flags"] = record.without_flags.model_copy(update={"reasons": rest})
        if spared.size:
            more, reasons = _without_bound(record, changes["bounds"], reasons)
            changes |= more
            reasons.insert(0, cleared_before(len(spared)))
        if before:
            at = [place for place, found in enumerate(changes["ledger"].flagged) if found]
            reasons.insert(0, flagged_before(before, len(at)))
            changes |= {"remainder": None, "without_flags": None}
            changes["next_steps"] = [next_step([ids[place] for place in at])]
        elif record.remainder is not None and self.images:
            changes |= _new_alone(record, changes.get("remainder", record.remainder), self.images)
        if record.agreement is not None:
            images = [(row, many) for row, many in record.agreement.images if row < size]
            changes["agreement"] = record.agreement.model_copy(update={"images": images})
        return record.model_copy(update={**changes, "reasons": [*reasons, *said]})

    def _by_release(self, flagged: np.ndarray, size: int) -> list[list[Pair]]:
        """(n, 2) positions among N + E and rows of T → of each earlier release: its own rows, and the same."""
        ends = size + np.cumsum([len(one.rows) for one in self.earlier])
        places = np.searchsorted(ends, flagged[:, 0], side="right")
        found: list[list[Pair]] = [[] for _ in self.earlier]
        for place, (image, film) in zip(places, flagged, strict=True):
            rows = self.earlier[place].rows
            found[place].append((int(rows[image - ends[place] + len(rows)]), int(film)))
        return found

    def parted(self, tables: dict[str, pa.Table], size: int, spared: np.ndarray) -> dict[str, pa.Table]:
        """The tables of S alone, and in one of their own the matches of the images that were released before.

        There `synthetic_id` is the row in the earlier cohort, `release` says which, `cleared` whether people had
        cleared what would flag it (`spared`, positions among N + E).
        """
        if not self.earlier:
            return tables
        parted = dict(tables)
        for name in (MATCHES, DETECTOR_MATCHES):
            parted[name] = tables[name].filter(pc.less(tables[name].column("synthetic_id"), size))
        parted[RELEASED_MATCHES] = self._released(tables[MATCHES], size, spared)
        parted[RELEASED_BY_DETECTOR] = self._released(tables[DETECTOR_MATCHES], size, spared)
        return parted

    def _released(self, table: pa.Table, size: int, spared: np.ndarray) -> pa.Table:
        """The rows of a table that are of E, under the rows of their own cohorts."""
        old = table.filter(pc.greater_equal(table.column("synthetic_id"), size))
        places = old.column("synthetic_id").to_numpy() - size
        rows = np.concatenate([one.rows for one in self.earlier])
        whose = np.repeat([one.release for one in self.earlier], [len(one.rows) for one in self.earlier])
        index = old.schema.get_field_index("synthetic_id")
        old = old.set_column(index, old.schema.field(index), pa.array(rows[places], type=pa.int64()))
        old = old.append_column("release", pa.array(whose[places].tolist(), pa.string()))
        return old.append_column("cleared", pa.array(np.isin(places + size, spared)))


Begin = Callable[[Request, AuditSettings, tuple[Side, Side, Side]], Share]


def _without_rate(record: Audit, reasons: list[str]) -> tuple[Bounds, list[str]]:
    """No bound on one model's rate: the images of several releases need not be of one model."""
    bounds = record.bounds
    if bounds.model_rate_upper is None:
        return bounds, reasons
    distinct = None if record.variety is None else record.variety.distinct
    wording = zero_found_wording(
        record.counts.synthetic, None, bounds.hidden_copies, bounds.alpha, distinct, None
    )
    kept = bounds.model_copy(update={"model_rate_upper": None, "sources": None, "wording": wording})
    return kept, [wording if reason == bounds.wording else reason for reason in reasons]


def _new_alone(record: Audit, rest: Remainder, out: int) -> dict[str, Any]:
    """What would remain of the new images, without the `out` ones that cannot be withheld any more."""
    new = rest.synthetic - out
    if not new:
        others = [
            step
            for step in record.next_steps
            if step != rest.wording and not step.startswith((WITHHOLD, WITHOUT))
        ]
        return {"remainder": None, "next_steps": [NOTHING_LEFT, *others]}
    found = Rest(rest.verdict, tuple(rest.reasons), new, rest.flagged, rest.cohort_rejects, rest.alpha)
    wording = remainder_wording(rest.withheld, found, out)
    changes = {"synthetic": new, "released_before": out, "wording": wording}
    steps = [wording if step == rest.wording else step for step in record.next_steps]
    return {"remainder": rest.model_copy(update=changes), "next_steps": steps}


def _without_bound(record: Audit, bounds: Bounds, reasons: list[str]) -> tuple[dict[str, Any], list[str]]:
    """No upper limit of what was missed: it holds for sets in which nobody cleared a flag."""
    none: dict[str, Any] = {"model_rate_upper": None, "sources": None, "hidden_copies": None}
    if not record.counts.flagged:
        none["wording"] = NO_BOUND[0].lower() + NO_BOUND[1:]
    changes: dict[str, Any] = {"bounds": bounds.model_copy(update=none)}
    rest = record.remainder
    if rest is not None:
        said = rest.reasons[1:] if rest.verdict == RELEASE_SUPPORTED else rest.reasons
        changes["remainder"] = rest.model_copy(update={"hidden_copies": None, "reasons": said})
    return changes, [reason for reason in reasons if reason != bounds.wording]
