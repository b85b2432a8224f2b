"""The copy network through the front door: every wrong encoder is one line and the right exit code, with nothing left
behind; a trained one is kept only where asked; controls that cannot be planted are told.

`pytest tests/cli/test_cli_copy_network.py -rP` prints every refusal with its message.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from film_folders import films
from safetensors.torch import save_file

from medaudit.artifacts.cohort import open_cohort
from medaudit.artifacts.findings import open_audit
from medaudit.cli.app import run
from medaudit.detectors.copynet.dinov2 import Dinov2
from medaudit.detectors.copynet.embeddings import write_embeddings
from medaudit.detectors.copynet.opening import open_encoder

CONFIG = """
plants: 10
bootstrap: 200
permutations: 1000
controls: quick
required_kinds: [identity, blend-0.7]
copynet: {size: 16, fold: 2, channels: [8], values: 8, steps: 6, batch: 4, neighbours: 2, warmup_steps: 1}
"""
AUDIT = ["audit", "--train", "T", "--holdout", "H", "--synthetic", "S", "--config", "audit.yaml", "-q"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cohorts T, H, S, `one` (of a single patient), an audit A whose encoder was kept in E, and files that are none."""
    base = tmp_path_factory.mktemp("site")
    key = ["--key", str(base / "site.key"), "-q"]
    for name, count, start, patients in (
        ("T", 14, 0, None),
        ("H", 14, 20, None),
        ("S", 4, 60, None),
        ("one", 6, 0, 1),
    ):
        films(base / f"films-{name}", count, (22, 18), start, patients)
        origin = "synthetic" if name == "S" else "real"
        ingest = ["ingest", str(base / f"films-{name}"), "--origin", origin, "--out", str(base / name), *key]
        assert run(ingest) == 0
    (base / "audit.yaml").write_text(CONFIG)
    (base / "typo.yaml").write_text("copynet: {stepz: 3}\n")
    here = [str(base / part) if part in ("T", "H", "S", "audit.yaml") else part for part in AUDIT]
    keep = ["--copy-network", "train", "--keep-encoder", str(base / "E"), "--out", str(base / "A")]
    assert run([*here, *keep]) == 20
    torch.save({"a": torch.zeros(2)}, base / "pickle.pt")
    (base / "text.safetensors").write_text("no encoder here")
    save_file({"a": torch.zeros(2)}, base / "unknown.safetensors")
    shapes = {**Dinov2(64, 1, 2).state_dict(), "encoder.layer.0.mlp.fc1.weight": torch.zeros(7, 64)}
    save_file(shapes, base / "shapes.safetensors")
    (base / "nothing").mkdir()
    for name in ("other", "cut", "misfit"):
        shutil.copytree(base / "E", base / name)
    identity = open_encoder(base / "E", open_cohort(base / "T").id).id
    values = [np.zeros((14, 8), np.float32)]
    write_embeddings(
        base / "other" / "embeddings.safetensors", identity, open_cohort(base / "H").id, 14, 8, values
    )
    weights = base / "cut" / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    record = json.loads((base / "misfit" / "encoder.json").read_text())
    record["architecture"]["channels"] = [12]
    (base / "misfit" / "encoder.json").write_text(json.dumps(record))
    return base


CASES: dict[str, tuple[list[str], int, str]] = {
    "missing path": (["--copy-network", "nowhere"], 2, "SourceMissing: nowhere does not exist"),
    "pickle": (["--copy-network", "pickle.pt"], 1, "EncoderProblem: pickle.pt is not a safetensors file"),
    "text": (["--copy-network", "text.safetensors"], 1, "EncoderProblem: text.safetensors is not a safetensors"),
    "unknown architecture": (["--copy-network", "unknown.safetensors"], 1, "no known architecture"),
    "wrong shape": (["--copy-network", "shapes.safetensors"], 1, "EncoderProblem: shapes.safetensors: shapes are not"),
    "wrong shape, copy network": (["--copy-network", "misfit"], 1, "EncoderProblem: misfit: encoder.json and"),
    "changed weights": (["--copy-network", "cut"], 1, "EncoderProblem: cut: encoder.safetensors is not the one"),
    "folder of something else": (["--copy-network", "nothing"], 1, "EncoderProblem: nothing holds no safetensors"),
    "encoder of another cohort": (
        ["--copy-network", "E", "--train", "H", "--holdout", "T"], 1, "E was trained on another cohort",
    ),
    "embeddings of another cohort": (["--copy-network", "other"], 1, "EmbeddingsMismatch: the saved embeddings hold"),
    "nothing to keep": (["--keep-encoder", "new-E"], 2, "UsageProblem: --keep-encoder keeps what is trained"),
    "kept elsewhere": (["--copy-network", "train", "--keep-encoder", "T"], 2, "OutputExists: T was made"),
    "one patient to learn from": (["--copy-network", "train", "--train", "one"], 1, "ReferenceTooSmall: the copy"),
    "misspelled setting": (["--config", "typo.yaml"], 2, "ConfigProblem: typo.yaml: unknown key 'copynet.stepz'"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_one_line_the_right_code_and_nothing_written(
    name: str, site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, expected_code, words = CASES[name]
    monkeypatch.chdir(site)
    before = {path.name for path in site.iterdir()}
    code = run([*AUDIT, *arguments, "--out", "new"])
    err = capsys.readouterr().err
    print(f"{name}: exit {code}: {err.strip()}")
    assert code == expected_code
    assert words in err and err.count("\n") == 1
    assert {path.name for path in site.iterdir()} == before


def test_all_detectors_and_the_network_in_one_audit(site: Path) -> None:
    artifact, record = open_audit(site / "A")
    assert [one.name for one in record.detectors][-2:] == ["structure", "copynet"]
    assert not list((site / "A").glob("*.safetensors")) and (site / "E" / "encoder.safetensors").is_file()
    assert artifact.settings["copy_network"] == record.detectors[-1].encoder
    # Fourteen held-out people are too few for a line under the network, and the result says whose.
    assert any("copynet" in reason and "add held-out patients" in reason for reason in record.reasons)


def test_controls_that_cannot_be_planted_are_told(
    site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blend needs a film of another patient: with one patient in T there is none."""
    monkeypatch.chdir(site)
    assert run([*AUDIT, "--train", "one", "--out", "A-one"]) == 20
    record = open_audit(site / "A-one")[1]
    assert record.verdict == "inconclusive" and record.controls.not_planted == ["blend-0.7"]
    assert "could not be planted in this training cohort" in capsys.readouterr().out
    assert any("could not be planted" in reason and "blended" in reason for reason in record.reasons)


def test_constant_films_are_no_training_cohort(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(
        tmp_path / "flat.npz", images=np.full((5, 20, 16), 90, np.uint8), patient_id=np.arange(5).astype(str)
    )
    assert run(["ingest", str(tmp_path / "flat.npz"), "--out", str(tmp_path / "T"), "-q"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("NothingReadable: ") and "constant" in err and err.count("\n") == 1
    assert not (tmp_path / "T").exists()
