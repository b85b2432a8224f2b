"""Records of findings: typed, closed against unknown keys, and refused when they do not fit."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medaudit.artifacts.findings import (
    AUDIT_JSON,
    EXIT_CODES,
    EXTRACT_JSON,
    MATCH_SCHEMA,
    MATCHES,
    Audit,
    Extraction,
    LeakPoint,
    open_audit,
    open_extraction,
    read_matches,
    write_record,
)
from medaudit.artifacts.store import Draft, Request
from medaudit.errors import ArtifactBroken, ArtifactKindMismatch

RATE = {"value": 0.97, "low": 0.91, "high": 0.99, "count": 97, "of": 100, "confidence": 0.95}


def audit_body() -> dict:
    """An audit as JSON, written out by hand."""
    return deepcopy(
        {
            "schema": "medaudit.audit/1",
            "verdict": "inconclusive",
            "reasons": ["too few held-out patients"],
            "counts": {
                "synthetic": 5,
                "train_images": 11,
                "train_patients": 7,
                "holdout_images": 6,
                "holdout_patients": 3,
                "flagged": 0,
                "suspects": 1,
                "patients_exposed": 0,
            },
            "cohort_test": {
                "nearest_in_train": 3,
                "of": 5,
                "expected": 3.5,
                "excess_p": 0.8,
                "run_length": 1,
                "run_patients": 1,
                "run_p": 0.7,
                "smallest_detectable_run": None,
                "excess_copy_rate": None,
                "excess_copy_rate_low": None,
                "excess_copy_rate_high": None,
                "alpha": 0.02,
                "permutations": 1000,
                "rejects": False,
            },
            "detectors": [],
            "controls": {
                "negative": RATE,
                "planted": [
                    {
                        "kind": "flip",
                        "strength": "mirror",
                        "required": True,
                        "power": RATE,
                        "by_detector": {"rmse": RATE},
                    }
                ],
                "minimum_power": 0.91,
                "weakest_kind": "flip",
            },
            "bounds": {
                "model_rate_upper": None,
                "hidden_copies": None,
                "alpha": 0.05,
                "wording": "not resolvable",
            },
            "duplicates": {
                "across_patients_in_train": 0,
                "across_train_and_holdout": 1,
                "pairs": [["train", 1, 2]],
            },
            "patient_level": False,
            "budget": {"cohort_excess": 0.01},
            "withheld": [4],
        }
    )


def put(out: Path, name: str, text: str) -> Path:
    with Draft(out, Request("findings", {"text": text})) as draft:
        draft.file(name).write_text(text)
        draft.commit()
    return out


def holds(found: object, expected: object) -> bool:
    """Whether all of `expected` is in `found`, which may have more keys (fields added since, with defaults)."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(k in found and holds(found[k], v) for k, v in expected.items())
    return found == expected


def test_an_audit_is_its_own_json(tmp_path: Path) -> None:
    record = Audit.model_validate(audit_body())
    with Draft(tmp_path / "A", Request("findings", {})) as draft:
        write_record(draft.file(AUDIT_JSON), record)
        draft.commit()
    artifact, found = open_audit(tmp_path / "A")
    assert found == record and artifact.kind == "findings"
    assert holds(json.loads((tmp_path / "A" / AUDIT_JSON).read_text()), audit_body())
    assert found.counts.suspects == 1 and found.duplicates.pairs == [("train", 1, 2)]


@pytest.mark.parametrize(
    "edit",
    [
        lambda b: b.update(patient_name="x"),
        lambda b: b["counts"].update(extra=1),
        lambda b: b["controls"]["negative"].update(extra=1),
        lambda b: b.pop("bounds"),
        lambda b: b.update(verdict="fine"),
        lambda b: b.update(schema="medaudit.audit/2"),
        lambda b: b["counts"].update(synthetic="many"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, edit: Callable[[dict], object]) -> None:
    body = audit_body()
    edit(body)
    with pytest.raises(ArtifactBroken, match="does not fit"):
        open_audit(put(tmp_path / "A", AUDIT_JSON, json.dumps(body)))


def test_findings_of_another_kind(tmp_path: Path) -> None:
    put(tmp_path / "A", AUDIT_JSON, json.dumps(audit_body()))
    with pytest.raises(ArtifactBroken, match=r"extract\.json"):
        open_extraction(tmp_path / "A")
    with pytest.raises(ArtifactBroken, match=r"audit\.json"):
        open_audit(put(tmp_path / "X", EXTRACT_JSON, "{}"))
    with pytest.raises(ArtifactBroken, match="does not fit"):
        open_extraction(tmp_path / "X")
    with Draft(tmp_path / "M", Request("model", {})) as draft:
        draft.commit()
    with pytest.raises(ArtifactKindMismatch):
        open_audit(tmp_path / "M")


def test_an_edited_verdict_is_found(tmp_path: Path) -> None:
    put(tmp_path / "A", AUDIT_JSON, json.dumps(audit_body()))
    body = {**audit_body(), "verdict": "release-supported"}
    (tmp_path / "A" / AUDIT_JSON).write_text(json.dumps(body))
    with pytest.raises(ArtifactBroken, match="was changed"):
        open_audit(tmp_path / "A")


def test_an_audit_that_was_put_next_to_other_findings_is_not_opened(tmp_path: Path) -> None:
    """A file that the manifest does not list is under no hash, and so under no authentication code."""
    with Draft(tmp_path / "X", Request("findings", {}, 0)) as draft:
        draft.file("other.json").write_text("{}")
        artifact = draft.commit()
    (tmp_path / "X" / AUDIT_JSON).write_text(json.dumps(audit_body()))
    (tmp_path / "X" / EXTRACT_JSON).write_text("{}")
    pq.write_table(pa.table({"score": [1.0]}), tmp_path / "X" / MATCHES)
    for opened in (open_audit, open_extraction):
        with pytest.raises(ArtifactBroken, match="holds no"):
            opened(tmp_path / "X")
    with pytest.raises(ArtifactBroken):
        read_matches(artifact)


def test_an_extraction_round_trip(tmp_path: Path) -> None:
    record = Extraction(
        verdict="do-not-release",
        reasons=["3 patients were extracted"],
        generated=1000,
        conditions=["none"],
        edge_threshold=0.1,
        edge_false_rate=0.001,
        clique_size=5,
        cliques=4,
        cliques_in_holdout=0,
        matched_cliques=3,
        matched_holdout=0,
        patients_extracted=3,
        leak_curve=[LeakPoint(generated=500, patients=2)],
        new_patient_rate=0.001,
        patients_total_estimate=None,
        wording="3 of 7 patients",
        train_images=10,
        flagged_images=1,
        not_enumerated=0,
        edge_pairs=45,
        detectors_without_line=[],
        duplicates_across=0,
        patient_level=True,
        seen_share=None,
        alpha=0.05,
    )
    with Draft(tmp_path / "X", Request("findings", {})) as draft:
        write_record(draft.file(EXTRACT_JSON), record)
        draft.commit()
    assert open_extraction(tmp_path / "X")[1] == record


def test_matches_have_the_columns_that_outside_tools_rely_on(tmp_path: Path) -> None:
    contract = (
        "synthetic_id, train_id, patient, detector, score, p_value, q_value, eidetic_k, flagged, suspect"
    )
    contract += ", runner_up_patient, runner_up_score"
    assert set(contract.split(", ")) <= set(MATCH_SCHEMA.names)
    with Draft(tmp_path / "A", Request("findings", {})) as draft:
        pq.write_table(MATCH_SCHEMA.empty_table(), draft.file(MATCHES))
        artifact = draft.commit()
    found = read_matches(artifact)
    assert isinstance(found, pa.Table) and found.schema == MATCH_SCHEMA


def test_the_exit_code_is_the_verdict() -> None:
    assert EXIT_CODES == {"release-supported": 0, "do-not-release": 10, "inconclusive": 20}


def test_findings_from_before_usefulness_was_judged_still_open() -> None:
    body = audit_body()
    assert "utility" not in body
    assert Audit.model_validate(body).utility is None


@pytest.mark.parametrize("data", [b"", b"PAR1junk", None])
def test_a_table_that_is_none_is_named_even_when_the_manifest_fits(
    tmp_path: Path, data: bytes | None
) -> None:
    with Draft(tmp_path / "A", Request("findings", {})) as draft:
        if data is None:
            pq.write_table(pa.table({"patient": ["x"]}), draft.file(MATCHES))
        else:
            draft.file(MATCHES).write_bytes(data)
        artifact = draft.commit()
    with pytest.raises(ArtifactBroken, match="no table of matches"):
        read_matches(artifact)
