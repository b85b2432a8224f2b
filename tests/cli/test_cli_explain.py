"""explain and the tab key: one glossary for both and for the reports, quick, and without the heavy libraries."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from medaudit.cli.app import run
from medaudit.images.plants import BY_KIND
from medaudit.render.glossary import close_to, look_up, terms

HEAVY = ("torch", "monai", "numpy", "pyarrow", "matplotlib", "jinja2")
ROOT = Path(__file__).resolve().parents[2]


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["explain", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_every_term_and_spelling_is_explained_by_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(terms()) >= 60
    for term in terms():
        for word in term.spellings:
            code, out, err = said(capsys, *word.split())
            assert (code, err) == (0, "")
            assert out.startswith(f"{term.term}: {term.line}\n"), word


def test_no_two_terms_share_a_spelling() -> None:
    words = [word for term in terms() for word in {one.lower().replace("-", " ") for one in term.spellings}]
    assert sorted(words) == sorted(set(words))


def test_without_a_term_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys)
    assert code == 0
    assert all(term.term in out for term in terms())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("EIDETIC-K", "eidetic k"),
        ("planted  copies", "planted copy"),
        ("p value", "p-value"),
    ],
)
def test_case_hyphens_and_number_do_not_matter(typed: str, meant: str) -> None:
    found = look_up(typed)
    assert found is not None and found.term == meant


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("eidetik", "eidetic k"),
        ("verdikt", "verdict"),
        ("density", "film density"),
        ("pseudonymm", "pseudonym"),
    ],
)
def test_a_typo_is_answered_with_the_closest_terms(
    typed: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert near in close_to(typed)
    code, out, err = said(capsys, typed)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith(f"TermUnknown: {typed!r} is not a term") and repr(near) in err


def test_every_kind_of_copy_that_an_audit_prints_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BY_KIND) >= 30
    for kind, plant in BY_KIND.items():
        code, out, err = said(capsys, kind)
        assert (code, err) == (0, "") and out.startswith(
            f"{kind}: A kind of planted copy: copies {plant.words}."
        )


# What verdicts, releases, reviews and ledgers print and a first reader would ask for.
PRINTED = (
    "release-supported", "do-not-release", "inconclusive", "false alarms", "planted copies", "over-trained model",
    "leading run", "suspect", "AUC", "unseen people", "film density", "film coverage", "utility", "power", "alpha",
    "withheld", "pseudonym", "false discovery rate", "Merkle root", "fingerprint", "certificate", "signature",
    "lineage", "text pass", "sensitivity", "specificity", "Cohen's kappa", "ledger", "withdrawal", "leak curve",
    "exposure", "q-value",
)  # fmt: skip


@pytest.mark.parametrize("word", PRINTED)
def test_what_is_printed_is_explained(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, *word.split())
    assert (code, err) == (0, "") and len(out) > 40


def test_a_word_like_no_term(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, "xyzzy")
    assert code == 2 and "medaudit explain lists the terms" in err


def completed(shell: str, *words: str, loaded: bool = False) -> list[str]:
    """What the program prints when a shell asks for what may follow `words`."""
    program = "import sys\nfrom medaudit.cli.app import main\ntry:\n    main()\nfinally:\n"
    program += "    print('LOADED', *sys.modules)" if loaded else "    pass"
    line = " ".join(word if word else "''" for word in ("medaudit", *words))
    environment = {
        **os.environ,
        "_MEDAUDIT_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line if shell == "bash" else "",
        "COMP_CWORD": str(len(words)),
        "_TYPER_COMPLETE_ARGS": " ".join(("medaudit", *words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        cwd=ROOT,
    )
    return done.stdout.splitlines()


def test_bash_completes_commands_options_choices_terms_and_configs() -> None:
    assert completed("bash", "ver") == ["verify"]
    assert "--controls" in completed("bash", "audit", "--con")
    assert completed("bash", "ingest", "--origin", "syn") == ["synthetic"]
    assert completed("bash", "explain", "eid") == ["eidetic k"]
    assert completed("bash", "explain", "eidetic", "k") == ["k"]
    assert completed("bash", "train", "--config", "")[0] == "configs/demo-real.yaml"
    assert completed("bash", "train", "--config", "configs/xray") == [
        "configs/xray256.yaml",
        "configs/xray64.yaml",
    ]


def test_zsh_completes_with_the_line_of_the_term() -> None:
    shown = "\n".join(completed("zsh", "explain", "eid"))
    found = look_up("eidetic k")
    assert found is not None and "eidetic k" in shown and found.line[:40] in shown


def test_a_completion_loads_nothing_heavy() -> None:
    loaded = completed("bash", "explain", "eid", loaded=True)[-1].split()
    assert loaded[0] == "LOADED" and "yaml" in loaded and "typer" in loaded
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_the_script_for_bash_works_in_bash(tmp_path: Path) -> None:
    program = tmp_path / "medaudit"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m medaudit.cli.app "$@"\n')
    program.chmod(0o755)
    script = (
        'eval "$(_MEDAUDIT_COMPLETE=source_bash medaudit)"\n'
        "COMP_WORDS=(medaudit rel); COMP_CWORD=1; _medaudit_completion medaudit\n"
        'printf "<%s>\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert done.stdout == "<release>\n"
