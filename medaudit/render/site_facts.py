"""What a report says beside its findings: what the site states, the release, the audit before, the real cohorts."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from medaudit.artifacts.findings import Audit
from medaudit.artifacts.records import Verdict
from medaudit.render.allowed import Aggregate, Finite, PlainText
from medaudit.render.histogram import suppress

_NOT_STATED = "not stated"
VIEWS = ("PA", "AP", "LATERAL", "LL", "RL", "LATERAL DECUBITUS", "OBLIQUE", "AP SUPINE")
_POLARITIES = ("MONOCHROME1", "MONOCHROME2")


class SiteFacts(Aggregate):
    """What only the site can state; empty where it did not. Dates as YYYY-MM-DD."""

    date: str = ""
    review_by: str = ""
    signer_key: PlainText = ""  # fingerprint of the key that signs the release


class ReleaseFacts(Aggregate):
    """A release under the audit that the report is about."""

    id: str
    images: int
    format: PlainText
    merkle_root: str | None = None  # None: its certificate states none
    withheld: int = 0  # images of the cohort that are not in it
    second_look_id: str | None = None  # of the audit of the rest; None: released under this very audit
    review_id: str | None = None  # None: no flag of it was cleared by people
    cleared: int = 0  # of its images, flagged and cleared by people
    set_aside: int | None = None  # unusable images of the cohort; None: its certificate does not say


class PreviousFacts(Aggregate):
    """The audit before this one, for what has changed since."""

    audit_id: str
    verdict: Verdict
    synthetic: int
    flagged: int
    patients_exposed: int
    train_images: int
    train_patients: int
    holdout_patients: int
    minimum_power: Finite
    model_rate_upper: Finite
    same_train: bool
    same_holdout: bool
    same_synthetic: bool
    same_version: bool


class CohortFacts(Aggregate):
    """A cohort that was at hand, as counts; a count of None is not shown."""

    role: Literal["train", "holdout", "synthetic"]
    images: int
    set_aside: int
    patients: int
    height: int
    width: int
    bits: int
    tallies: dict[str, dict[PlainText, int | None]]  # films by view, polarity, bits, transfer syntax, route
    refused: dict[PlainText, int]  # files by reason; they are of no patient any more


def previous_facts(
    audit_id: str, audit: Audit, ours: Mapping[str, str], theirs: Mapping[str, str], same_version: bool
) -> PreviousFacts:
    """Take over the aggregates of the audit before; `ours` and `theirs` are the lineages of the two."""
    counts = audit.counts
    taken = ("synthetic", "flagged", "patients_exposed", "train_images", "train_patients", "holdout_patients")
    return PreviousFacts(
        audit_id=audit_id,
        verdict=audit.verdict,
        **{name: getattr(counts, name) for name in taken},
        minimum_power=audit.controls.minimum_power,
        model_rate_upper=audit.bounds.model_rate_upper,
        **{f"same_{role}": ours.get(role) == theirs.get(role) for role in ("train", "holdout", "synthetic")},
        same_version=same_version,
    )


def cohort_facts(
    role: Literal["train", "holdout", "synthetic"],
    rows: Sequence[Mapping[str, Any]],
    shape: tuple[int, int],
    dtype: np.dtype,
    refused: Mapping[str, Any],
    hide: bool,
) -> CohortFacts:
    """Counts of a cohort's rows; with `hide` those under ten are left out, as the shareable edition must."""
    used = [row for row in rows if row["mark"] is None]
    facts = [json.loads(row["facts"]) for row in used]
    words = {
        "view": [_known(row["view"], VIEWS) for row in used],
        "polarity": [_known(fact.get("photometric"), _POLARITIES) for fact in facts],
        "bits stored": [str(fact.get("bits_stored", _NOT_STATED)) for fact in facts],
        "transfer syntax": [
            str(fact.get("transfer_syntax", fact.get("format", _NOT_STATED))) for fact in facts
        ],
        "grey values by": [str(row["route"]) for row in used],
    }
    return CohortFacts(
        role=role,
        images=len(used),
        set_aside=len(rows) - len(used),
        patients=len({row["patient"] for row in used} - {None}),
        height=shape[0],
        width=shape[1],
        bits=8 * dtype.itemsize,
        tallies={name: _tally(found, hide) for name, found in words.items()},
        refused={reason: count for reason, count in refused.items() if isinstance(count, int)},
    )


def _known(word: Any, known: Collection[str]) -> str:
    """A word of a file where it is of a fixed vocabulary: anything else could be a name."""
    return _NOT_STATED if not word else word if word in known else "other"


def _tally(words: Sequence[str], hide: bool) -> dict[str, int | None]:
    """Counts by word, the most frequent first."""
    ordered = Counter(words).most_common()
    counts = [count for _, count in ordered]
    shown = suppress(np.array(counts)) if hide and counts else counts
    return {word: count for (word, _), count in zip(ordered, shown, strict=True)}
