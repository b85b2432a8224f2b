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
from medaudit.artifacts.findings import DETECTOR_MATCHES, MATCHES, Audit
from medaudit.artifacts.second_looks import LedgerRecord
from medaudit.artifacts.store import Draft, Request, finished
from medaudit.config import AuditSettings
from medaudit.protocol.sides import Side
from medaudit.stats.reasons import zero_found_wording
from medaudit.stats.spending import draws_needed
from medaudit.stats.together import flagged_before, next_step, share_sentence, together_sentence

RELEASED_MATCHES = "matches_released.parquet"
_CHUNK_BYTES = 32 << 20


@dataclass(frozen=True)
class Earlier:
    """A synthetic cohort that was released, and its rows that were not."""

    release: str
    cohort: Cohort
    withheld: tuple[int, ...]

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
        return replace(
            asked,
            settings={
                **asked.settings,
                **settings.model_dump(mode="json"),
                "ledger": {**place, "released_before": withheld},
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

    def noted(self, record: Audit, flagged: np.ndarray, size: int) -> Audit:
        """The record with its place in the ledger.

        flagged: positions among N + E that are flagged; size: rows of S's cohort, from where on E begins.
        """
        before = int((flagged >= size).sum())
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
            ),
        }
        reasons = list(record.reasons)
        if self.earlier:
            changes["bounds"], reasons = _without_rate(record, reasons)
            reasons.append(together_sentence(record.counts.synthetic, self.images, len(ids)))
        if before:
            at = _places(flagged, size, [len(one.rows) for one in self.earlier])
            reasons.insert(0, flagged_before(before, len(at)))
            changes |= {"remainder": None, "without_flags": None}
            changes["next_steps"] = [next_step([ids[place] for place in at])]
        if record.agreement is not None:
            images = [(row, many) for row, many in record.agreement.images if row < size]
            changes["agreement"] = record.agreement.model_copy(update={"images": images})
        reasons.append(share_sentence(self.number, self.alpha, self.site_alpha))
        return record.model_copy(update={**changes, "reasons": reasons})

    def parted(self, tables: dict[str, pa.Table], size: int) -> dict[str, pa.Table]:
        """The tables of S alone, and in one of their own the matches of the images that were released before.

        There `synthetic_id` is the row in the earlier cohort, and `release` says which.
        """
        if not self.earlier:
            return tables
        parted = dict(tables)
        for name in (MATCHES, DETECTOR_MATCHES):
            parted[name] = tables[name].filter(pc.less(tables[name].column("synthetic_id"), size))
        old = tables[MATCHES].filter(pc.greater_equal(tables[MATCHES].column("synthetic_id"), size))
        places = old.column("synthetic_id").to_numpy() - size
        rows = np.concatenate([one.rows for one in self.earlier])
        whose = np.repeat([one.release for one in self.earlier], [len(one.rows) for one in self.earlier])
        index = old.schema.get_field_index("synthetic_id")
        old = old.set_column(index, old.schema.field(index), pa.array(rows[places], type=pa.int64()))
        parted[RELEASED_MATCHES] = old.append_column("release", pa.array(whose[places].tolist(), pa.string()))
        return parted


Begin = Callable[[Request, AuditSettings, tuple[Side, Side, Side]], Share]


def _without_rate(record: Audit, reasons: list[str]) -> tuple[Any, list[str]]:
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


def _places(flagged: np.ndarray, size: int, counts: Sequence[int]) -> list[int]:
    """Which of the earlier releases hold the flagged positions."""
    ends = size + np.cumsum(counts)
    return np.unique(np.searchsorted(ends, flagged[flagged >= size], side="right")).tolist()
