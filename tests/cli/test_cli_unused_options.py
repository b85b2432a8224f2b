"""An option that would be left unused is refused in one line, with exit code 2; one of the environment is not."""

from pathlib import Path

import pytest

from medaudit.cli.app import run

PAGE = ["review", "A", "--train", "T", "--synthetic", "S"]
APPLY = ["review", "A", "--apply", "verdicts.json"]
RELEASE = ["release", "--synthetic", "S", "--audit", "A", "--out", "R"]
AUDIT = ["audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A"]
EXTRACT = ["extract", "--model", "M", "--train", "T", "--holdout", "H", "--out", "X"]
LEDGER = ["--ledger", "site.ledger"]

UNUSED = [
    ([*PAGE, *LEDGER], "--ledger"),
    ([*PAGE, "--by", "board"], "--by"),
    ([*PAGE, "--date", "20261124"], "--date"),
    ([*PAGE, "--reviewers", "1"], "--reviewers"),
    ([*PAGE, "--reviewers", "2"], "--reviewers"),  # as it would be without: said is said
    ([*PAGE, "--sensitivity", "0.9"], "--sensitivity"),
    ([*PAGE, "--page", "P"], "--page"),
    ([*APPLY, "--pairs", "3"], "--pairs"),
    ([*APPLY, "--controls", "3"], "--controls"),
    ([*APPLY, "--seed", "3"], "--seed"),
    ([*APPLY, "--by", "board"], "--by"),
    ([*APPLY, "--date", "20261124"], "--date"),
    ([*RELEASE, "--passphrase-file", "phrase"], "--passphrase-file"),
    ([*RELEASE, *LEDGER, "--with-release", "S0"], "--with-release"),
    ([*RELEASE, "--copy-network", "train"], "--copy-network"),
    ([*RELEASE, "--by", "board"], "--by"),
    ([*AUDIT, "--by", "board"], "--by"),
    ([*AUDIT, "--date", "20261124"], "--date"),
    ([*EXTRACT, "--by", "board"], "--by"),
    ([*EXTRACT, "--date", "20261124"], "--date"),
]


@pytest.mark.parametrize("number", range(len(UNUSED)))
def test_it_is_said_and_nothing_is_done(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, option = UNUSED[number]
    monkeypatch.chdir(tmp_path)
    code = run(arguments)
    err = capsys.readouterr().err
    assert code == 2 and err.startswith(f"UsageProblem: {option} ") and err.count("\n") == 1, err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [PAGE, AUDIT, EXTRACT, RELEASE])
def test_what_the_environment_says_for_all_commands_is_no_error(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDAUDIT_BY", "data office")
    if arguments is PAGE:
        monkeypatch.setenv("MEDAUDIT_LEDGER", "site.ledger")
    assert run(arguments) in (1, 2)
    err = capsys.readouterr().err
    assert "--by" not in err and "--ledger" not in err and "Defect" not in err, err


def test_with_a_second_look_they_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for way in ("--withhold-flagged", "--withhold-text"):
        run([*RELEASE, *LEDGER, "--with-release", "S0", way])
        assert "--with-release is for" not in capsys.readouterr().err
