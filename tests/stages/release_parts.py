"""What the tests of release and verify share: a small synthetic cohort and audits of it, written by hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from medaudit.artifacts.cohort import CohortWriter
from medaudit.artifacts.findings import (
    AUDIT_JSON,
    DETECTOR_MATCHES,
    MATCH_SCHEMA,
    MATCHES,
    Audit,
    Bounds,
    CohortTest,
    Controls,
    Counts,
    DetectorRecord,
    Duplicates,
    PlantedRecord,
    write_record,
)
from medaudit.artifacts.records import RateRecord
from medaudit.artifacts.store import Artifact, Draft, Request

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
    """An audit of the cohort named, with numbers made up for the test."""
    rows = [row for row in range(IMAGES) if row != 5 and row not in withheld]
    count = len(rows) if searched is None else searched
    power = RateRecord(value=1.0, low=0.964, high=1.0, count=100, of=100)
    record = Audit(
        verdict=verdict,
        reasons=["no image was flagged"] if not flagged else [f"{len(flagged)} images are flagged"],
        counts=Counts(
            synthetic=count,
            train_images=611,
            train_patients=307,
            holdout_images=613,
            holdout_patients=311,
            flagged=len(flagged),
            suspects=1,
            patients_exposed=len(flagged),
        ),
        cohort_test=CohortTest(
            nearest_in_train=3,
            of=count,
            expected=3.0,
            excess_p=0.5,
            run_length=1,
            run_patients=1,
            run_p=0.5,
            smallest_detectable_run=6,
            excess_copy_rate=0.0,
            excess_copy_rate_low=-0.1,
            excess_copy_rate_high=0.1,
            alpha=0.02,
            permutations=10_000,
            rejects=False,
        ),
        detectors=[
            DetectorRecord(
                name="rmse",
                meaning="root mean squared difference",
                neighbours=50,
                reference_size=618,
                tail_points=60,
                smallest_p=1 / 619,
                alpha_familywise=0.005,
                alpha_fdr=0.005,
                score_line=0.98765,
                flagged_familywise=len(flagged),
                flagged_fdr=0,
                suspects=1,
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
        bounds=Bounds(
            model_rate_upper=0.4, hidden_copies=1, alpha=0.05, wording="at most 1 copy of tested kinds"
        ),
        duplicates=Duplicates(across_patients_in_train=0, across_train_and_holdout=0),
        patient_level=True,
        budget={"cohort_excess": 0.01},
        withheld=list(withheld),
    )
    matches = [
        {
            "synthetic_id": row,
            "train_id": 599,
            "patient": TRAIN_CANARY,
            "detector": "rmse",
            "score": 0.1,
            "distance": 0.0123456,
            "p_value": 0.5,
            "q_value": 1.0,
            "p_upper": 1.0,
            "eidetic_k": 1,
            "eidetic_patients": 1,
            "flagged": row in flagged,
            "suspect": False,
        }
        for row in rows
    ]
    parents = {"synthetic": synthetic_id, "train": train_id, "holdout": holdout_id}
    with Draft(path, Request("findings", {"alpha": 0.05, "withheld": list(withheld)}, 0, parents)) as draft:
        write_record(draft.file(AUDIT_JSON), record)
        table = pa.Table.from_pylist(matches, schema=MATCH_SCHEMA)
        pq.write_table(table, draft.file(MATCHES))
        pq.write_table(table, draft.file(DETECTOR_MATCHES))
        return draft.commit()


def all_bytes(folder: Path) -> dict[str, bytes]:
    """Every file under the folder, by relative name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
