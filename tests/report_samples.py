"""Findings built by hand for the tests of the report: refused, supported, inconclusive; with canaries in them.

The pseudonyms and ids are made up. `write_findings` writes them as the artifact that a report reads.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import outlook_samples as outlook
import pyarrow as pa
import pyarrow.parquet as pq
from record_samples import rate, reidentification, utility

from medaudit.artifacts.authentication import KEY_NAME, code_with
from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.findings import (
    AUDIT_JSON,
    DETECTOR_MATCHES,
    EXTRACT_JSON,
    MATCH_SCHEMA,
    MATCHES,
    REFERENCE,
    REFERENCE_SCHEMA,
    Audit,
    Extraction,
    write_record,
)
from medaudit.artifacts.image_counts import of_audit
from medaudit.artifacts.pseudonyms import load_or_make_key
from medaudit.artifacts.store import Artifact, Draft, Request
from medaudit.config import PLANTED_KINDS, REQUIRED_KINDS, AuditSettings
from medaudit.images.plants import BY_KIND
from medaudit.render import build
from medaudit.render.document import Document
from medaudit.render.facts import AuditFacts, Origin, Summary, audit_facts, extraction_facts
from medaudit.render.image_facts import ImageFacts

DETECTORS = ("rmse", "tile", "local-contrast")
MEANINGS = (
    "root of the mean squared difference of grey values",
    "largest difference over a grid of 4 x 4 tiles, against large even backgrounds",
    "difference after local contrast normalisation, mirrored and shifted as well",
)


def pseudonym(number: int) -> str:
    """A canary: a pseudonym that no report for the outside may hold."""
    return f"p-{number * 2654435761 % (1 << 64):016x}"


def audit(case: str = "refused", synthetic: int = 256) -> Audit:
    """An audit record: `refused` (240 of 256, 40 patients), `supported` or `inconclusive`."""
    flagged = round(synthetic * 240 / 256) if case == "refused" else 0
    verdict = {"refused": "do-not-release", "supported": "release-supported"}.get(case, case)
    reasons = {
        "refused": [
            f"{flagged:,} of {synthetic:,} images copy a training patient's scan more closely than unseen people "
            "come; 40 patients of 50 would be exposed.",
            f"The set as a whole is too close to the training patients: {synthetic - 4:,} of {synthetic:,} images "
            f"lie nearest to a training image, where {synthetic * 50 / 140:,.1f} would by chance (p = 0.0001, "
            "allowed 0.01).",
        ],
        "supported": [
            f"0 of {synthetic:,} images were found to copy a patient's scan; with 95 % confidence the model copies in "
            "at most 1.6 % of its images and at most 1 copy was missed in this release, for copies of the kinds "
            "tested.",
            "The set is no closer to the training patients than to unseen ones: 91 of 256 images lie nearest to a "
            "training image, where 91.4 would by chance (p = 0.52); leading run of 1 (p = 0.36).",
            "Planted copies of 11 kinds were looked for; the hardest were those shifted by 4 %, of which 98 of 100 "
            "were found: power is at least 93.0 %, and 90.0 % is required.",
        ],
        "inconclusive": [
            "The audit found 61 of 100 planted copies blurred lightly: power is at least 50.7 % with 95 % confidence, "
            "and 90.0 % is required.",
            "With 50 training and 4 held-out patients no run of training matches could have been evidence; add "
            "held-out patients.",
        ],
    }[case]
    weak = case == "inconclusive"
    found = {kind: 100 - place // 6 for place, kind in enumerate(PLANTED_KINDS)}
    if weak:
        found["blur-1"] = 61
    planted = [
        {
            "kind": kind,
            "strength": BY_KIND[kind].strength,
            "required": kind in REQUIRED_KINDS,
            "power": rate(found[kind], 100),
            "by_detector": {
                "rmse": rate(100 if kind in ("identity", "noise-0.05") else 34, 100),
                "tile": rate(100 if kind in ("identity", "noise-0.05", "jpeg-40") else 21, 100),
                "local-contrast": rate(found[kind], 100),
            },
        }
        for kind in PLANTED_KINDS
    ]
    weakest = min((one for one in planted if one["required"]), key=lambda one: one["power"]["low"])
    holdout = 4 if weak else 90
    return Audit.model_validate(
        {
            "schema": "medaudit.audit/1",
            "verdict": verdict,
            "reasons": reasons,
            "counts": {
                "synthetic": synthetic,
                "train_images": 61,
                "train_patients": 50,
                "holdout_images": holdout + 14,
                "holdout_patients": holdout,
                "flagged": flagged,
                "suspects": round(flagged * 1.02) if flagged else 2,
                "patients_exposed": 40 if flagged else 0,
            },
            "cohort_test": {
                "nearest_in_train": synthetic - 4 if flagged else round(synthetic * 0.355),
                "of": synthetic,
                "expected": synthetic * 50 / 140,
                "excess_p": 0.0000999 if flagged else 0.52,
                "run_length": 231 if flagged else 1,
                "run_patients": 40 if flagged else 1,
                "run_p": 0.0000999 if flagged else 0.36,
                "smallest_detectable_run": None if weak else 5,
                "excess_copy_rate": 0.931 if flagged else 0.0,
                "excess_copy_rate_low": 0.88 if flagged else 0.0,
                "excess_copy_rate_high": 0.97 if flagged else 0.021,
                "alpha": 0.02,
                "permutations": 10_000,
                "rejects": bool(flagged),
            },
            "detectors": [
                {
                    "name": name,
                    "meaning": meaning,
                    "neighbours": 50,
                    "reference_size": 50 + holdout,
                    "tail_points": None if weak else 40,
                    "smallest_p": 1 / (51 + holdout),
                    "alpha_familywise": 0.005,
                    "alpha_fdr": 0.005,
                    "score_line": None if weak else 0.35 + 0.1 * place,
                    "flagged_familywise": max(0, flagged - 9 * (3 - place)),
                    "flagged_fdr": max(0, flagged - 4 * (2 - place)),
                    "suspects": flagged if flagged else 1,
                    "expected_suspects": synthetic / (51 + holdout),
                    "fdr_needs": 363,
                    "match_radius": 0.0712345,
                    "closest_synthetic": 0.0087654321,
                    "closest_unseen": 0.0987654321,
                }
                for place, (name, meaning) in enumerate(zip(DETECTORS, MEANINGS, strict=True))
            ],
            "controls": {
                "negative": rate(0, 50 + holdout),
                "planted": planted,
                "minimum_power": weakest["power"]["low"],
                "weakest_kind": weakest["kind"],
            },
            "bounds": {
                "model_rate_upper": None if flagged or weak else 0.0159,
                "hidden_copies": None if flagged or weak else 1,
                "alpha": 0.05,
                "wording": reasons[0],
            },
            "duplicates": {
                "across_patients_in_train": 2,
                "across_train_and_holdout": 0,
                "pairs": [("train", 7, 4711), ("train", 12, 4712)],
            },
            "patient_level": True,
            "budget": {
                "cohort_excess": 0.01,
                "cohort_run": 0.01,
                "familywise_each": 0.005,
                "fdr_each": 0.005,
            },
            "withheld": [3, 5] if case == "supported" else [],
            "reidentification": reidentification(flagged),
            "variety": {"distinct": synthetic, "repeated": 0, "groups": 0, "largest": 1},
            "source": outlook.source(holdout),
            "remainder": outlook.remainder(synthetic, flagged) if flagged else None,
            "next_steps": outlook.next_steps(case, synthetic, flagged),
            "utility": utility(synthetic),
        }
    )


def extraction(patients: int = 33) -> Extraction:
    """An extraction that found `patients` patients in 2,000 images."""
    curve = [(100, 4), (250, 11), (500, 19), (1000, 27), (1500, 31), (2000, 33)]
    return Extraction.model_validate(
        {
            "schema": "medaudit.extract/1",
            "verdict": "do-not-release" if patients else "release-supported",
            "reasons": [f"{patients} training patients came back from the model in 2,000 images."],
            "generated": 2000,
            "conditions": ["normal", "bacterial pneumonia of the left lower lobe"],
            "edge_threshold": 0.081,
            "edge_false_rate": 0.00002,
            "clique_size": 3,
            "cliques": 58,
            "cliques_in_holdout": 0,
            "matched_cliques": 51 if patients else 0,
            "matched_holdout": 0,
            "patients_extracted": patients,
            "leak_curve": [{"generated": made, "patients": min(found, patients)} for made, found in curve],
            "new_patient_rate": 0.0015,
            "patients_total_estimate": 36.2,
            "wording": "Cliques of at least 3 generated images, each within the edge threshold of all the others.",
            "train_images": 700,
            "flagged_images": 2 * patients,
            "not_enumerated": 0,
            "edge_pairs": 44_850,
            "detectors_without_line": [],
            "duplicates_across": 0,
            "patient_level": True,
            "seen_share": 0.2,
            "alpha": 0.05,
        }
    )


def tables(record: Audit, seed: int = 5) -> tuple[pa.Table, pa.Table, pa.Table]:
    """matches, matches by detector, reference, drawn so that they fit the record."""
    rng = np.random.default_rng(seed)
    count, flagged = record.counts.synthetic, record.counts.flagged
    copied = np.arange(count) < flagged
    people = rng.integers(0, max(1, record.counts.patients_exposed or 50), count)
    parts = {}
    for place, name in enumerate(DETECTORS):
        ratio = np.where(copied, rng.gamma(3, 0.09, count), np.clip(rng.normal(1.72, 0.09, count), 0.9, 2.0))
        ratio[:1] = np.where(copied[:1], 0.0, ratio[:1])
        parts[name] = _matches(name, ratio, 0.11 * (place + 1) * ratio, people, copied, rng)
    by_detector = pa.concat_tables(parts.values())
    reference = []
    for place, name in enumerate(DETECTORS):
        for source, many in (
            ("train", record.counts.train_patients),
            ("holdout", record.counts.holdout_patients),
        ):
            ratio = np.clip(rng.normal(1.7, 0.1, many), 0.9, 2.0)
            reference.append(
                pa.table(
                    {
                        "patient": [pseudonym(1000 + number) for number in range(many)],
                        "source": [source] * many,
                        "detector": [name] * many,
                        "score": -np.log(ratio),
                        "distance": 0.11 * (place + 1) * ratio,
                    },
                    schema=REFERENCE_SCHEMA,
                )
            )
    return parts["local-contrast"], by_detector, pa.concat_tables(reference)


def _matches(
    name: str,
    ratio: np.ndarray,
    distance: np.ndarray,
    people: np.ndarray,
    copied: np.ndarray,
    rng: np.random.Generator,
) -> pa.Table:
    count = len(ratio)
    with np.errstate(divide="ignore"):
        score = -np.log(ratio)
    return pa.table(
        {
            "synthetic_id": np.arange(count),
            "train_id": people + people % 3 // 2,
            "patient": [pseudonym(int(person)) for person in people],
            "detector": [name] * count,
            "score": score,
            "distance": distance,
            "p_value": np.where(copied, 1 / 141, rng.uniform(0.05, 1, count)),
            "q_value": np.where(copied, 0.0075, 0.9),
            "p_upper": np.where(copied, 1e-7, 1.0),
            "eidetic_k": np.where(copied, 1, 9),
            "eidetic_patients": np.where(copied, 1, 8),
            "flagged": copied,
            "suspect": copied,
            "runner_up_id": people + 1,
            "runner_up_patient": [pseudonym(int(person) + 1) for person in people],
            "runner_up_score": -np.log(np.clip(rng.normal(1.8, 0.05, count), 1.2, 2.0)),
            "relation": np.where(copied, "copy", None),
        },
        schema=MATCH_SCHEMA,
    )


def settings() -> AuditSettings:
    """Default settings of an audit."""
    return AuditSettings.model_validate({})


def write_findings(
    out: Path, record: Audit | Extraction, parents: dict[str, str] | None = None, seed: int = 5
) -> Artifact:
    """Write the record, and for an audit its tables, as a findings artifact."""
    kind = "audit" if isinstance(record, Audit) else "extract"
    base = {"train": "1" * 64, "holdout": "2" * 64, "synthetic": "3" * 64}
    if kind == "extract":
        base = {"train": "1" * 64, "holdout": "2" * 64, "model": "4" * 64}
    request = Request(
        "findings",
        {**settings().model_dump(mode="json"), "command": kind},
        seed=seed,
        parents={**base, **(parents or {})},
    )
    with Draft(out, request) as draft:
        write_record(draft.file(AUDIT_JSON if kind == "audit" else EXTRACT_JSON), record)
        if isinstance(record, Audit):
            for name, table in zip((MATCHES, DETECTOR_MATCHES, REFERENCE), tables(record, seed), strict=True):
                pq.write_table(table, draft.file(name))
        else:
            pq.write_table(
                tables(audit("refused"), seed)[0].slice(0, record.matched_cliques), draft.file(MATCHES)
            )
        return draft.commit(seal=code_with(load_or_make_key(out.parent / KEY_NAME)))


def write_cohort(out: Path, count: int, role: str, seed: int, shape: tuple[int, int] = (48, 40)) -> Artifact:
    """A cohort of simple shapes: an oval thorax with two dark lungs, another one for each row."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    films = []
    for _ in range(count):
        wide, tall, tilt, noise = rng.uniform(0.25, 0.36), rng.uniform(0.5, 0.7), rng.uniform(-0.1, 0.1), 0.02
        film = 0.85 * np.exp(-((column / 0.9) ** 4) - (row / 1.2) ** 6)
        for side in (-1, 1):
            film -= 0.6 * np.exp(
                -(((column - side * 0.42 - tilt * row) / wide) ** 4) - ((row - 0.05 * side) / tall) ** 4
            )
        films.append(np.clip(film + rng.normal(0, noise, shape), 0, 1))
    pixels = np.round(np.array(films) * 255).astype(np.uint8)
    origin = "synthetic" if role == "synthetic" else "real"
    with Draft(out, Request("cohort", {"origin": origin, "seed": seed}, seed=seed)) as draft:
        writer = CohortWriter(draft, shape, np.uint8)
        rows = [
            {"file": f"{place}.png", "patient": pseudonym(place), "route": "full range"}
            for place in range(count)
        ]
        writer.append(pixels, rows)
        return writer.finish(note={"origin": origin, "role": role})


def facts(record: Audit) -> AuditFacts:
    """Facts of a record with tables that fit it, small cells hidden."""
    _, by_detector, reference = tables(record)
    return audit_facts(record, settings().model_dump(), by_detector, reference, hide=True)


def summary(case: str | None = "refused", extracted: Extraction | None = None, **changes: Any) -> Summary:
    """A summary of a case, with fields of its audit changed."""
    record = audit(case).model_copy(update=changes) if case else None
    return Summary(
        institution="St. Example Hospital",
        protocol="IRB 2026-014",
        audit=facts(record) if record else None,
        images=ImageFacts.model_validate(of_audit(record)) if record else None,
        extraction=extraction_facts(extracted) if extracted else None,
        origin=Origin(versions={"medaudit": "0.1.0"}, seed=5, audit_id="a" * 64, synthetic_id="5" * 64),
    )


@cache
def document(case: str = "refused", extracted: bool = False) -> Document:
    """The shareable document of a case, built once."""
    return build.shareable(summary(case, extraction() if extracted else None))
