"""medaudit ledger through its front door: what it prints, its exit codes, and options that need a ledger."""

import json
import os
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from medaudit.artifacts.ledger import Ledger, people_sha256
from medaudit.cli import app as front

PATIENT = "p-00000000000000a1"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A ledger with one row of each kind but a withdrawal."""
    path = tmp_path / "site.ledger"
    names = [PATIENT, "p-00000000000000a2"]
    train, holdout, synthetic, model = (letter * 64 for letter in "7bcd")
    parents = {"train": train, "holdout": holdout, "synthetic": synthetic, "model": model}
    note = {"by": "data office", "date": "20261101"}
    cohort = {"images": 9, "patients": 2, "known": True, "key": None, "patients_sha256": people_sha256(names)}
    part = {"number": 1, "alpha": 0.025, "site_alpha": 0.05}
    found = {"verdict": "do-not-release", "images": 10_000, "patients": 12}
    with Ledger(path, write=True) as ledger:
        ledger.append("cohort", train, cohort, (train, names))
        ledger.append("budget", "1" * 64, {**parents, **part, **note})
        ledger.append("extract", "2" * 64, {**parents, **found, **note})
        ledger.append(
            "audit", "3" * 64, {**parents, **found, "flagged": 9_999, "releases": [], **part, **note}
        )
        ledger.append("review", "4" * 64, {"audit": "3" * 64, "cleared": 8, "withheld": 9_991, **note})
        release = {
            "audit": "4" * 64,
            "cleared_by": "4" * 64,
            "release_id": "5" * 64,
            "images": 9000,
            "withheld": [1],
        }
        ledger.append("release", "6" * 64, {**parents, **release, "receivers": ["University B"], **note})
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = front.run(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_fits_80_columns_and_ends_with_the_head(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "ledger", "list", "--ledger", str(site))
    lines = out.splitlines()
    assert code == 0 and len(lines) == 8 and max(map(len, lines)) <= 80
    assert lines[4] == "   5  20261101  audit       333333333333  do-not-release, 9,999/10,000 flagged"
    assert lines[6] == "   7  20261101  release     666666666666  9,000 images, 1 receiver"
    code, out, _ = run(capsys, "ledger", "list", "--ledger", str(site), "--json")
    body = json.loads(out)
    assert lines[-1] == f"head {body['data']['head']}" and body["data"]["rows"] == 7
    assert [event["kind"] for event in body["data"]["events"]][-1] == "release"
    assert PATIENT not in out


def test_a_row_of_a_kind_that_a_later_version_added_is_listed(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(site, write=True) as ledger:
        ledger.append("audience", "8" * 64, {"x": 1})  # type: ignore[arg-type]
    code, out, _ = run(capsys, "ledger", "list", "--ledger", str(site))
    assert code == 0 and "audience    888888888888  of a kind that this version does not know" in out
    assert run(capsys, "ledger", "check", "--ledger", str(site))[0] == 0


def test_a_ledger_of_a_later_version_is_refused_by_every_part(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = sqlite3.connect(site)
    raw.execute("PRAGMA user_version = 9")
    raw.close()
    before = site.read_bytes()
    parts = [["list"], ["check"], ["export", "--out", str(site.parent / "rows")]]
    parts.append(["withdraw", "--patient", PATIENT, "--reason", "asked"])
    for part in parts:
        code, out, err = run(capsys, "ledger", *part, "--ledger", str(site))
        assert code == 2 and out == "" and err.startswith("LedgerTooNew: ") and err.count("\n") == 1
    assert site.read_bytes() == before and not (site.parent / "rows").exists()


def test_check_takes_the_head_that_was_kept(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "ledger", "check", "--ledger", str(site), "--json")
    head = json.loads(out)["data"]["head"]
    assert code == 0
    code, out, _ = run(capsys, "ledger", "check", "--ledger", str(site), "--expect-head", head)
    assert code == 0 and "the head that was kept is in the chain, 0 rows before its end" in out
    code, out, err = run(capsys, "ledger", "check", "--ledger", str(site), "--expect-head", "0" * 64)
    assert code == 1 and out == "" and err.startswith("LedgerBroken: ") and err.count("\n") == 1


def test_the_ledger_may_be_named_once_for_all(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDAUDIT_LEDGER", str(site))
    assert run(capsys, "ledger", "check")[0] == 0
    monkeypatch.delenv("MEDAUDIT_LEDGER")
    code, _, err = run(capsys, "ledger", "check")
    assert code == 2 and "--ledger" in err


def test_export_writes_every_row_once_and_no_patient(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = site.parent / "rows.jsonl"
    arguments = ["ledger", "export", "--ledger", str(site), "--out", str(out)]
    assert run(capsys, *arguments)[0] == 0 and run(capsys, *arguments)[0] == 0  # the same bytes may stand
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["number"] for line in lines] == list(range(1, 8)) and "p-0000" not in out.read_text()
    assert all(later["before"] == row["hash"] for row, later in pairwise(lines))
    assert out.stat().st_mode & 0o777 == 0o600
    run(
        capsys,
        "ledger",
        "withdraw",
        "--ledger",
        str(site),
        "--patient",
        PATIENT,
        "--reason",
        "consent withdrawn",
    )
    code, _, err = run(capsys, *arguments)
    assert code == 2 and err.startswith("OutputExists") and len(out.read_text().splitlines()) == 7


def test_withdraw_says_what_must_be_done(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [
        "ledger",
        "withdraw",
        "--ledger",
        str(site),
        "--patient",
        PATIENT,
        "--reason",
        "consent withdrawn",
    ]
    code, out, _ = run(capsys, *chosen, "--date", "20261120", "--by", "ethics")
    assert code == 0
    assert out.splitlines()[:-1] == [
        f"patient {PATIENT} is withdrawn, row 8; what must be done:",
        "- release 666666666666: made from a model that the patient's films trained; the board decides whether to "
        "recall (ledger withdraw --release)",
        "- tell University B",
        "- training cohort 777777777777: make again without the patient",
        "- model dddddddddddd: retire, train again without the patient",
        "- synthetic cohort cccccccccccc: release refuses it from now on",
        "- findings 222222222222, 333333333333, 444444444444: looked at the patient's films; delete or keep as the "
        "board says",
    ]
    code, out, _ = run(capsys, *chosen, "--json")
    data = json.loads(out)["data"]
    assert data["already"] and data["row"] == 8 and data["receivers"] == ["University B"]
    code, out, _ = run(
        capsys, "ledger", "withdraw", "--ledger", str(site), "--patient", "p-" + "f" * 16, "--reason", "early"
    )
    assert code == 0 and "- nothing: no cohort of this ledger holds the patient" in out


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A", "--with-release", "X"],
         "--with-release"),
        (["release", "--synthetic", "S", "--audit", "A", "--out", "R", "--with-release", "X"], "--with-release"),
        (["release", "--synthetic", "S", "--audit", "A", "--out", "R", "--receiver", "X"], "--receiver"),
    ],
)  # fmt: skip
def test_options_that_only_a_ledger_can_use(
    arguments: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2 and err.startswith(f"UsageProblem: {option} needs --ledger")


def test_a_broken_ledger_stops_a_command_before_it_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad").write_bytes(b"not a ledger" * 100)
    (tmp_path / "bad").chmod(0o600)
    folders = ["--train", "T", "--holdout", "H", "--synthetic", "S", "--out", str(tmp_path / "A")]
    code, _, err = run(capsys, "audit", *folders, "--ledger", str(tmp_path / "bad"))
    assert code == 2 and err.startswith("LedgerUnreadable: ") and err.count("\n") == 1
    assert not (tmp_path / "A").exists()


def test_every_part_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for part in ("list", "check", "export", "pseudonym", "withdraw"):
        code, out, _ = run(capsys, "ledger", part, "--help")
        assert code == 0 and f"Example: medaudit ledger {part}" in out and "--json" in out


def test_the_ledger_loads_no_torch(site: Path) -> None:
    program = (
        "import sys, medaudit.cli.app as a\n"
        "assert a.run(['ledger', 'list', '--ledger', sys.argv[1]]) == 0\n"
        "print('LOADED', *sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(site)],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert not {"torch", "monai", "diffusers", "matplotlib"} & set(done.stdout.rsplit("LOADED", 1)[1].split())
