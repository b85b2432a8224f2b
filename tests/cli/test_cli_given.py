"""What a command was given is looked at before anything heavy is imported: wrong arguments are told at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
