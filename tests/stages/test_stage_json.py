"""One JSON document from keygen, review and every part of ledger, done and refused, against docs/command.schema.json.

tests/cli/test_cli_json.py does the same for the commands that need no audit with flags.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import review_parts as parts
from release_parts import make_audit, make_cohort

from medaudit.artifacts.ledger import Ledger
from medaudit.cli.app import run

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "command.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
PATIENT = "p-00000000000000a1"


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    code = run([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and err.count("\n") == (0 if json.loads(out)["ok"] else 1)
    body = json.loads(out)
    VALIDATOR.validate(body)
    assert body["exit_code"] == code
    return body


@pytest.mark.slow
def test_a_review_from_page_to_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts.audited(tmp_path)
    at = lambda name: tmp_path / name  # noqa: E731
    made = answer(capsys, "review", at("A"), "--train", at("T"), "--synthetic", at("S"))
    assert made["command"] == "review" and made["data"]["pairs"] >= 2 and made["path"] == str(at("A.review"))
    files = [
        parts.save(tmp_path / f"{name}.json", parts.verdicts(at("A.review"), reviewer=name)) for name in "ab"
    ]
    applied = answer(capsys, "review", at("A"), "--apply", files[0], "--apply", files[1])
    assert applied["ok"] and applied["data"]["cleared"] == 2
    for wrong in (
        ["--apply", files[0], "--apply", files[0]],
        ["--apply", parts.save(tmp_path / "none.json", "{}")],
        ["--apply", at("nowhere.json")],
        [
            "--apply",
            parts.save(tmp_path / "other.json", {**parts.verdicts(at("A.review")), "page": "0" * 64}),
        ],
    ):
        refused = answer(capsys, "review", at("A"), *wrong, "--out", at("R2"))
        assert not refused["ok"] and refused["exit_code"] in (1, 2) and not at("R2").exists()


def test_keygen_and_every_part_of_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = answer(capsys, "keygen", "--out", tmp_path / "site")
    assert keys["ok"] and set(keys["data"]) >= {"secret", "public", "fingerprint"}
    assert answer(capsys, "keygen", "--out", tmp_path / "site")["error"] == "OutputExists"
    path = tmp_path / "l"
    with Ledger(path, write=True) as ledger:
        facts = {"train": "7" * 64, "holdout": "8" * 64, "synthetic": "9" * 64, "releases": []}
        ledger.append("audit", "3" * 64, {**facts, "verdict": "do-not-release", "images": 9, "flagged": 1})
    for part, more in (
        ("list", []),
        ("check", []),
        ("export", ["--out", tmp_path / "rows"]),
        ("withdraw", ["--patient", PATIENT, "--reason", "consent"]),
    ):
        done = answer(capsys, "ledger", part, "--ledger", path, *more)
        assert done["ok"] and done["command"] == f"ledger {part}"
        missing = answer(capsys, "ledger", part, "--ledger", tmp_path / "l2", *more)
        assert missing["ok"] is (part == "withdraw")  # a withdrawal may be a ledger's first row
    for wrong in (
        ["check", "--expect-head", "0" * 64],
        ["withdraw", "--reason", "x"],
        ["export", "--out", path],
    ):
        refused = answer(capsys, "ledger", wrong[0], "--ledger", path, *wrong[1:])
        assert not refused["ok"] and refused["exit_code"] in (1, 2)


NOWHERE = ["--train", "N1", "--holdout", "N2"]
REFUSED: list[list[str]] = [
    ["inspect", "nowhere"],
    ["ingest", "nowhere", "--out", "new"],
    ["split", "S", "--train", "S", "--holdout", "S"],
    ["dedup", "R", "--out", "new"],
    ["index", "R"],
    ["train", "--cohort", "S", "--config", "nowhere", "--out", "new"],
    ["generate", "--model", "S", "--count", "1", "--out", "new"],
    ["audit", *NOWHERE, "--synthetic", "S", "--out", "new"],
    ["extract", *NOWHERE, "--model", "S", "--out", "new"],
    ["report", "S", "--out", "new"],
    ["report", "A", "--out", "new", "--date", "tomorrow"],
    ["review", "A", "--train", "S", "--synthetic", "S", "--out", "new"],
    ["release", "--synthetic", "S", "--audit", "no", "--out", "new"],
    ["release", "--synthetic", "S", "--audit", "flagged", "--out", "new"],
    ["release", "--synthetic", "S", "--audit", "unsure", "--out", "new"],
    ["release", "--synthetic", "other", "--audit", "A", "--out", "new"],
    ["release", "--synthetic", "S", "--audit", "A", "--out", "new", "--sign", "S/manifest.json"],
    ["verify", "S"],
    ["verify", "nowhere"],
    ["keygen", "--out", "S/manifest.json/key"],
    ["explain", "xyzzy"],
    ["ledger", "list", "--ledger", "S/manifest.json"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_a_refusal_is_one_document_and_leaves_nothing(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    synthetic = make_cohort(tmp_path / "S")
    make_cohort(tmp_path / "other", seed=3)
    make_audit(tmp_path / "A", synthetic.id)
    make_audit(tmp_path / "flagged", synthetic.id, verdict="do-not-release", flagged=(1,))
    make_audit(tmp_path / "unsure", synthetic.id, verdict="inconclusive")
    before = {path.name for path in tmp_path.iterdir()}
    body = answer(capsys, *arguments)
    assert not body["ok"] and body["error"] != "Defect" and body["exit_code"] in (1, 2, 10, 20)
    assert {path.name for path in tmp_path.iterdir()} - before <= {"medaudit.key"}
    assert body["exit_code"] == {"flagged": 10, "unsure": 20}.get(
        arguments[4] if len(arguments) > 4 else ""
    ) or (body["exit_code"] in (1, 2))
