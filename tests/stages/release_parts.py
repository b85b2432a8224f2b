"""What the tests of release and verify share: a small synthetic cohort and audits of it, written by hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medaudit.artifacts.authentication import KEY_NAME, code_with
from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.findings import (
    AUDIT_JSON,
    DETECTOR_MATCHES,
    MATCH_SCHEMA,
    MATCHES,
    REFERENCE,
    REFERENCE_SCHEMA,
    Audit,
    CohortTest,
    Controls,
    Counts,
    DetectorRecord,
    Duplicates,
    PlantedRecord,
    write_record,
)
from medaudit.artifacts.pseudonyms import load_or_make_key
from medaudit.artifacts.records import RateRecord
from medaudit.artifacts.store import Artifact, Draft, Request
from medaudit.config import AuditSettings
from medaudit.protocol.audit_record import bounds_of, without_flags
from medaudit.protocol.grounds import grounds_of
from medaudit.protocol.scoring import tail_of
from medaudit.stats.budget import split_alpha
from medaudit.stats.flags import judge, score_line
from medaudit.stats.verdict import decide

PATIENT_CANARY = "p-00c0ffee00c0ffee"  # a pseudonym of S itself
TRAIN_CANARY = "p-dec0dedec0dedec0"  # a training patient named by a match
PATH_CANARY = "ward7/MUELLER_ANNA_19610213"
IMAGES, Y, X = 7, 36, 33


def make_cohort(
    path: Path, *, seed: int = 0, origin: str = "synthetic", dtype: type = np.uint16, label: str = "pneumonia"
) -> Artifact:
    """Seven noise images with canaries in the fields that must not go out; row 5 is set aside."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (IMAGES, Y, X)).astype(dtype)
    rows = [
        {
            "file": f"{PATH_CANARY}/{position}.png",
            "patient": PATIENT_CANARY,
            "study": PATIENT_CANARY,
            "view": ("PA", "AP", "LATERAL", None)[position % 4],
            "labels": [label] if position % 2 else [],
            "facts": {"seen": PATH_CANARY},
            "mark": "constant image" if position == 5 else None,
        }
        for position in range(IMAGES)
    ]
    parents = {"model": "ab" * 32, "train": "7a" * 32}
    with Draft(path, Request("cohort", {"size": Y}, seed, parents)) as draft:
        writer = CohortWriter(draft, (Y, X), dtype)
        writer.append(pixels, rows)
        return writer.finish(note={"origin": origin, "role": "synthetic"})


SETTINGS = AuditSettings(required_kinds=("identity",), bootstrap=200, permutations=1000)
REFERENCE_SIZE = 618


def make_audit(
    path: Path,
    synthetic_id: str,
    *,
    verdict: str = "release-supported",
    flagged: tuple[int, ...] = (),
    withheld: tuple[int, ...] = (),
    searched: int | None = None,
    train_id: str = "7a" * 32,
    holdout_id: str = "b0" * 32,
) -> Artifact:
    """An audit of the cohort named that agrees with itself, with scores made up for the test; the key beside it.

    verdict: `do-not-release` without flags is the cohort test's, `inconclusive` for want of patient ids; searched:
    only so many of the images in use.
    """
    rows = [row for row in range(IMAGES) if row != 5 and row not in withheld][:searched]
    reference = np.random.Generator(np.random.Philox(3)).standard_normal(REFERENCE_SIZE)
    spent = SETTINGS.alpha / 2 if withheld else 0.0
    budget = split_alpha(SETTINGS.alpha - spent, SETTINGS.cohort_share, 1)
    alphas = budget.familywise_each, budget.fdr_each
    tail = tail_of(reference, "rmse", SETTINGS.bootstrap, 0)
    scores = np.array([60.0 + row if row in flagged else -0.1 * row for row in rows])
    seen = judge(scores, reference, tail, len(rows), *alphas)
    assert [row for row, flag in zip(rows, seen.flagged, strict=True) if flag] == sorted(flagged)
    power = RateRecord(value=1.0, low=0.964, high=1.0, count=100, of=100)
    rejects = verdict == "do-not-release" and not flagged
    counts = Counts(
        synthetic=len(rows),
        train_images=611,
        train_patients=307,
        holdout_images=31_300,
        holdout_patients=31_100,
        flagged=len(flagged),
        suspects=int((seen.suspect & ~seen.flagged).sum()),
        patients_exposed=bool(flagged),
    )
    line = score_line(tail, len(rows), budget.familywise_each)
    undecided = Audit(
        verdict="inconclusive",
        reasons=[],
        counts=counts,
        cohort_test=CohortTest(
            nearest_in_train=len(rows) if rejects else 0,
            of=len(rows),
            expected=0.1,
            excess_p=0.001 if rejects else 0.5,
            run_length=0,
            run_patients=0,
            run_p=1.0,
            smallest_detectable_run=1,
            excess_copy_rate=0.0,
            excess_copy_rate_low=-0.1,
            excess_copy_rate_high=0.1,
            alpha=budget.cohort_excess + budget.cohort_run,
            permutations=SETTINGS.permutations,
            rejects=rejects,
        ),
        detectors=[
            DetectorRecord(
                name="rmse",
                meaning="root mean squared difference",
                neighbours=50,
                reference_size=REFERENCE_SIZE,
                tail_points=tail.points,
                smallest_p=1 / (REFERENCE_SIZE + 1),
                alpha_familywise=budget.familywise_each,
                alpha_fdr=budget.fdr_each,
                score_line=line,
                flagged_familywise=int(seen.familywise.sum()),
                flagged_fdr=int(seen.fdr.sum()),
                suspects=int(seen.suspect.sum()),
                expected_suspects=0.01,
                fdr_needs=3,
                match_radius=0.04321,
                closest_synthetic=0.0123456,
                closest_unseen=0.0234567,
            )
        ],
        controls=Controls(
            negative=RateRecord(value=0.0, low=0.0, high=0.012, count=0, of=311),
            planted=[
                PlantedRecord(
                    kind="identity", strength="exact", required=True, power=power, by_detector={"rmse": power}
                )
            ],
            minimum_power=0.964,
            weakest_kind="identity",
        ),
        bounds=bounds_of(counts, None, 0.964, SETTINGS.alpha, withheld=bool(withheld)),
        duplicates=Duplicates(across_patients_in_train=0, across_train_and_holdout=0),
        patient_level=verdict != "inconclusive",
        budget={"alpha": SETTINGS.alpha, "alpha_spent": spent, **budget.as_dict()},
        withheld=list(withheld),
    )
    grounds = grounds_of(undecided, SETTINGS)
    decided, reasons = decide(grounds)
    assert decided == verdict
    record = undecided.model_copy(
        update={"verdict": decided, "reasons": reasons, "without_flags": without_flags(grounds)}
    )
    matches = [
        {
            "synthetic_id": row,
            "train_id": 599,
            "patient": TRAIN_CANARY,
            "detector": "rmse",
            "score": float(scores[place]),
            "distance": 0.0123456,
            "p_value": float(seen.p[place]),
            "q_value": float(seen.q[place]),
            "p_upper": float(seen.upper[place]),
            "eidetic_k": 1,
            "eidetic_patients": 1,
            "flagged": bool(seen.flagged[place]),
            "suspect": bool(seen.suspect[place]),
        }
        for place, row in enumerate(rows)
    ]
    people = [
        {"patient": None, "source": "holdout", "detector": "rmse", "score": float(score), "distance": 0.03}
        for score in reference
    ]
    parents = {"synthetic": synthetic_id, "train": train_id, "holdout": holdout_id}
    options = {**SETTINGS.model_dump(mode="json"), "withheld": list(withheld)}
    with Draft(path, Request("findings", options, 0, parents)) as draft:
        write_record(draft.file(AUDIT_JSON), record)
        table = pa.Table.from_pylist(matches, schema=MATCH_SCHEMA)
        pq.write_table(table, draft.file(MATCHES))
        pq.write_table(table, draft.file(DETECTOR_MATCHES))
        pq.write_table(pa.Table.from_pylist(people, schema=REFERENCE_SCHEMA), draft.file(REFERENCE))
        return draft.commit(seal=code_with(load_or_make_key(path.parent / KEY_NAME)))


def all_bytes(folder: Path) -> dict[str, bytes]:
    """Every file under the folder, by relative name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
