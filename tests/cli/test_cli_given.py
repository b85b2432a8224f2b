"""Arguments are checked before anything heavy is imported; a path that cannot be used is named in one line."""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from medaudit.cli.app import run
from medaudit.cli.given import refuse_unwritable
from medaudit.cli.refused import refused
from medaudit.errors import UsageProblem

HEAVY = ("torch", "monai", "diffusers", "skimage", "scipy.stats", "numba", "matplotlib", "pyarrow")

# The command line as typed, and the error it ends in. `T` is an empty folder, `file` a file, `bad.yaml` a wrong key.
SIDES = ["--train", "T", "--holdout", "T", "--synthetic", "T"]
WRONG = {
    "audit, config": (["audit", *SIDES, "--out", "A", "--config", "bad.yaml"], "ConfigProblem"),
    "audit, no YAML": (["audit", *SIDES, "--out", "A", "--config", "deep.yaml"], "ConfigProblem"),
    "audit, cohort": (["audit", *SIDES, "--out", "A"], "ArtifactKindMismatch"),
    "audit, device": (["audit", *SIDES, "--out", "A", "--device", "abacus"], "DeviceUnavailable"),
    "audit, memory": (["audit", *SIDES, "--out", "A", "--memory", "much"], "UsageProblem"),
    "extract, cohort": (["extract", "--model", "T", *SIDES, "--out", "A"], "ArtifactKindMismatch"),
    "train, config": (["train", "--cohort", "T", "--config", "bad.yaml", "--out", "M"], "ConfigProblem"),
    "train, cohort": (["train", "--cohort", "T", "--config", "good.yaml", "--out", "M"], "ArtifactKindMismatch"),
    "generate, model": (["generate", "--model", "T", "--count", "3", "--out", "S"], "ModelUnreadable"),
    "generate, no model": (["generate", "--model", "none", "--count", "3", "--out", "S"], "SourceMissing"),
    "generate, pickle": (["generate", "--model", "pickled", "--count", "3", "--out", "S"], "ModelUnsafe"),
    "report, findings": (["report", "T", "--out", "R"], "ArtifactKindMismatch"),
    "release, cohort": (["release", "--synthetic", "T", "--audit", "T", "--out", "D"], "ArtifactKindMismatch"),
    "review, page": (["review", "T", "--train", "T", "--synthetic", "T"], "ArtifactKindMismatch"),
    "review, verdicts": (["review", "T", "--apply", "none.json"], "ArtifactKindMismatch"),
    "dedup": (["dedup", "T", "--out", "C"], "ArtifactKindMismatch"),
    "index": (["index", "T"], "ArtifactKindMismatch"),
    "split": (["split", "T", "--train", "a", "--holdout", "b"], "ArtifactKindMismatch"),
    "demo": (["demo", "--real", "none"], "SourceMissing"),
    "ingest, out": (["ingest", "T", "--out", "file"], "OutputExists"),
    "ingest, out below a file": (["ingest", "T", "--out", "file/C"], "UsageProblem"),
}  # fmt: skip

PROGRAM = """
import contextlib, io, json, sys
from medaudit.cli.app import run
answers = {}
for name, arguments in json.load(sys.stdin).items():
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = run(arguments)
    answers[name] = [code, said.getvalue(), sorted(set(sys.argv[1].split(",")) & set(sys.modules))]
print(json.dumps(answers))
"""


def test_wrong_arguments_are_told_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "T").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (tmp_path / "file").write_text("x")
    (tmp_path / "bad.yaml").write_text("stepz: 3\n")
    (tmp_path / "good.yaml").write_text("steps: 3\n")
    (tmp_path / "deep.yaml").write_text("steps: " + "[" * 100_000)
    before = sorted(path.name for path in tmp_path.iterdir())
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(HEAVY)],
        input=json.dumps({name: arguments for name, (arguments, _) in WRONG.items()}),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        timeout=60,
    )
    answers = json.loads(done.stdout)
    assert set(answers) == set(WRONG)
    wrong = {}
    for name, (code, said, loaded) in answers.items():
        error = WRONG[name][1]
        expected = 1 if error.startswith("Model") else 2
        if code != expected or not said.startswith(f"{error}: ") or said.count("\n") != 1 or loaded:
            wrong[name] = (code, said, loaded)
    assert wrong == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == before


PLAIN_USER = [
    "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search",
]  # fmt: skip

# Every command that writes somewhere, with the place still to be given.
WRITING = {
    "ingest": ["ingest", "films", "--out"],
    "split": ["split", "C", "--holdout", "H", "--train"],
    "split holdout": ["split", "C", "--train", "T", "--holdout"],
    "dedup": ["dedup", "C", "--out"],
    "train": ["train", "--cohort", "C", "--config", "c.yaml", "--out"],
    "generate": ["generate", "--model", "M", "--count", "3", "--out"],
    "audit": ["audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--out"],
    "audit encoder": [
        "audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A", "--copy-network", "train",
        "--keep-encoder",
    ],
    "extract": ["extract", "--model", "M", "--train", "T", "--holdout", "H", "--out"],
    "report": ["report", "A", "--out"],
    "release": ["release", "--synthetic", "S", "--audit", "A", "--out"],
    "review": ["review", "A", "--train", "T", "--synthetic", "S", "--out"],
    "keygen": ["keygen", "--out"],
    "ledger export": ["ledger", "export", "--ledger", "L", "--out"],
    "demo": ["demo", "--out"],
}  # fmt: skip


@pytest.mark.parametrize("command", sorted(WRITING))
def test_a_place_that_cannot_be_written_is_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("a file")
    arguments = WRITING[command]
    for place, said in (("notes/X", "notes is a file"), ("y" * 300, "the name is too long")):
        assert run([*arguments, place]) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"UsageProblem: {arguments[-1]} {place[:40]}") and said in err
        assert err.count("\n") == 1 and len(err) < 300
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("command", ["ingest", "report", "keygen", "split holdout"])
def test_a_folder_that_may_not_be_written_to_is_named(command: str, tmp_path: Path) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("setpriv is absent: root writes everywhere")
    folder = tmp_path / "archive"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    call = [sys.executable, "-m", "medaudit.cli.app", *WRITING[command], "archive/new/X"]
    before = PLAIN_USER if os.geteuid() == 0 else []
    done = subprocess.run([*before, *call], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    option = WRITING[command][-1]
    said = f"UsageProblem: {option} archive/new/X cannot be written: archive may not be written to"
    assert done.stderr.startswith(said)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_what_stands_and_what_can_be_made_pass(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "new", tmp_path / "a" / "b" / "c"):
        refuse_unwritable("audit", {"out": out, "train": Path("x" * 300)})
    with pytest.raises(UsageProblem):
        refuse_unwritable("split", {"out": None, "train": tmp_path / ("x" * 300)})


READING = {
    "verify --key": (["verify", "D", "--key", "x/site.pub"], "medaudit keygen"),
    "release --sign": (["release", "--synthetic", "S", "--audit", "A", "--out", "D", "--sign"], "medaudit keygen"),
    "keygen --passphrase-file": (["keygen", "--out", "k", "--passphrase-file"], "first line is the key's passphrase"),
    "ledger list": (["ledger", "list", "--ledger"], "medaudit audit --ledger"),
    "ledger pseudonym --key": (["ledger", "pseudonym", "--key"], "`ingest`"),
    "train --config": (["train", "--cohort", "C", "--out", "M", "--config"], "configs/"),
    "audit --config": (
        ["audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--out", "A", "--config"], "configs/",
    ),
    "audit --train": (
        ["audit", "--holdout", "H", "--synthetic", "S", "--out", "A", "--train"], "medaudit ingest, split",
    ),
    "report": (["report", "--out", "R"], "medaudit audit or extract"),
    "generate --model": (["generate", "--count", "2", "--out", "S", "--model"], "x/missing"),
    "review --apply": (["review", "A", "--apply"], "medaudit audit"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(READING))
def test_a_file_that_is_missing_is_named_and_what_makes_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, maker = READING[name]
    given = arguments if arguments[-1] == "x/site.pub" else [*arguments, "x/missing"]
    assert run(given) in (1, 2)
    err = capsys.readouterr().err
    assert maker in err and err.count("\n") == 1
    assert given[-1] in err or name == "review --apply"  # there the audit is missed first
    assert list(tmp_path.iterdir()) == []


def test_a_secret_key_pasted_for_a_public_one_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", "D", "--key", "RWQAAEIy" + "A" * 204]) == 2
    err = capsys.readouterr().err
    assert "AAAA" not in err and "--key is no file" in err


def test_an_error_of_the_system_names_the_argument_and_nothing_below_it() -> None:
    error = PermissionError(errno.EACCES, "denied", "/films/ward/DOE^JANE.dcm")
    said = str(refused(error, ["ingest", "/films", "--out", "C"]))
    assert said.startswith("/films cannot be read or written") and "DOE" not in said and "ward" not in said
    assert str(refused(error, ["ingest", "/films", "--manifest=/films/ward"])).startswith(
        "/films/ward cannot"
    )
    draft = OSError(errno.ENAMETOOLONG, "long", str(Path("work/.C.partial").absolute()))
    assert str(refused(draft, ["ingest", "/films", "--out", "work/C"])).startswith("work/C cannot")
    assert str(refused(error, ["ingest", "/other"])).startswith("a file or folder given")
    full = OSError(errno.ENOSPC, "full", "/films/x")
    assert "a file at /films cannot be written" in str(refused(full, ["ingest", "/films"]))
