"""From the hospital's number to the pseudonym: the one that ingest made, and the number nowhere."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.ledger import Ledger
from medaudit.artifacts.pseudonyms import load_or_make_key
from medaudit.cli.app import run
from medaudit.protocol.history import record_people

NUMBERS = ["0012345", "MRN 77-é", "12345"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of three patients ingested under site.key, and a ledger that knows it."""
    folder = tmp_path_factory.mktemp("site")
    films = np.random.Generator(np.random.Philox(3)).integers(0, 256, (3, 20, 16)).astype(np.uint8)
    np.savez(folder / "films.npz", images=films, patient_id=np.array(NUMBERS))
    source = [str(folder / "films.npz"), "--out", str(folder / "C"), "--key", str(folder / "site.key")]
    assert run(["ingest", *source, "--origin", "real", "--size", "16"]) == 0
    with Ledger(folder / "site.ledger", write=True) as ledger:
        record_people(ledger, open_cohort(folder / "C"))
    return folder


def asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    capsys.readouterr()
    code = run(["ledger", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("shape", ["{}", "{}\n", "  {} \r\n", "\ufeff{}\n\n"])
def test_it_is_the_one_that_ingest_made(
    site: Path, place: int, shape: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = ["--key", str(site / "site.key")]
    code, out, err = asked(monkeypatch, capsys, shape.format(NUMBERS[place]), "pseudonym", *key)
    assert (code, err) == (0, "") and out.strip() == open_cohort(site / "C").patients[place]
    code, out, _ = asked(monkeypatch, capsys, NUMBERS[place], "pseudonym", *key, "--json")
    assert json.loads(out)["data"]["pseudonym"] == open_cohort(site / "C").patients[place]
    assert NUMBERS[place] not in out


@pytest.mark.parametrize("written", ["12345.0", " 12345.00\n", "12345\0"])
def test_another_spelling_of_the_number_gives_the_same(
    site: Path, written: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a table with gaps makes of a number; `ingest` reads both as one."""
    code, out, _ = asked(monkeypatch, capsys, written, "pseudonym", "--key", str(site / "site.key"))
    assert code == 0 and out.strip() == open_cohort(site / "C").patients[2]


@pytest.mark.parametrize("written", ["ANONYMOUS", "nan", "N/A"])
def test_a_word_for_no_patient_has_no_pseudonym(
    site: Path, written: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = asked(monkeypatch, capsys, written, "pseudonym", "--key", str(site / "site.key"))
    assert code == 2 and out == "" and "stands for no patient" in err


def test_a_file_may_hold_it(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "number").write_text(f"{NUMBERS[1]}\n", encoding="utf-8")
    chosen = ["pseudonym", "--key", str(site / "site.key"), "--number-file", str(tmp_path / "number")]
    assert asked(monkeypatch, capsys, "ignored", *chosen)[1].strip() == open_cohort(site / "C").patients[1]


def test_a_withdrawal_by_the_hospital_s_number(
    site: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = ["--ledger", str(site / "site.ledger")]
    chosen = ["withdraw", *ledger, "--key", str(site / "site.key"), "--reason", "consent withdrawn"]
    code, out, err = asked(monkeypatch, capsys, NUMBERS[0], *chosen)
    name = open_cohort(site / "C").patients[0]
    assert code == 0 and f"patient {name} is withdrawn, row 3" in out and NUMBERS[0] not in out + err
    assert "- held-out cohort" in out and "look at the number again" not in out
    code, out, _ = asked(monkeypatch, capsys, "0012346", *chosen)
    assert code == 0 and "- look at the number again" in out and "0012346" not in out
    for file in site.glob("site.ledger*"):
        assert NUMBERS[0].encode() not in file.read_bytes() and b"0012346" not in file.read_bytes()


WRONG = {
    "none": ("", "no number given"),
    "blank": (" \n\n", "no number given"),
    "several": ("0012345\n12345\n", "2 lines given"),
    "control": ("00\x1b[2J12", "no patient's number"),
    "long": ("4" * 2000, "no patient's number"),
}


@pytest.mark.parametrize("given", WRONG)
@pytest.mark.parametrize("part", ["pseudonym", "withdraw"])
def test_what_is_no_number_is_refused_without_being_repeated(
    site: Path, part: str, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [part, "--key", str(site / "site.key")]
    if part == "withdraw":
        chosen += ["--ledger", str(site / "site.ledger"), "--reason", "asked"]
    text, words = WRONG[given]
    with Ledger(site / "site.ledger", write=False) as ledger:
        size = len(ledger.events())
    code, out, err = asked(monkeypatch, capsys, text, *chosen)
    assert code == 2 and words in err and err.count("\n") == 1 and out == ""
    assert "0012345" not in err and "\x1b" not in err and "4444" not in err
    with Ledger(site / "site.ledger", write=False) as ledger:
        assert len(ledger.events()) == size


def test_the_wrong_key_is_told_and_none_is_made(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = ["--ledger", str(site / "site.ledger"), "--reason", "asked"]
    absent = tmp_path / "absent.key"
    for chosen in (["pseudonym", "--key", str(absent)], ["withdraw", *ledger, "--key", str(absent)]):
        code, _, err = asked(monkeypatch, capsys, NUMBERS[0], *chosen)
        assert code == 2 and "is no file" in err and not absent.exists()
    load_or_make_key(tmp_path / "other.key")
    code, _, err = asked(
        monkeypatch, capsys, NUMBERS[0], "withdraw", *ledger, "--key", str(tmp_path / "other.key")
    )
    assert code == 2 and "another key than that of the cohorts" in err
    given = ["--key", str(site / "site.key"), "--patient", "p-" + "0" * 16]
    code, _, err = asked(monkeypatch, capsys, NUMBERS[0], "withdraw", *ledger, *given)
    assert code == 2 and "leave --patient and --release out" in err
    code, _, err = asked(
        monkeypatch, capsys, "", "withdraw", *ledger, "--number-file", "x", "--release", "1" * 8
    )
    assert code == 2 and err.startswith("UsageProblem: --number-file goes with --key")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    wrong = ["pseudonym", "--key", str(site / "site.key"), "--number-file", str(tmp_path / "bytes")]
    code, _, err = asked(monkeypatch, capsys, "", *wrong)
    assert code == 2 and "cannot be read" in err
