"""train and generate as stages: lineage, marked rows left out, killed runs that end in the same bytes."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from medaudit.artifacts.cohort import CohortWriter, open_cohort
from medaudit.artifacts.store import Draft, Request, open_artifact
from medaudit.errors import (
    ArtifactKindMismatch,
    CohortMismatch,
    ConfigProblem,
    ModelUnreadable,
    OutputExists,
    UsageProblem,
)
from medaudit.stages import generate, train

CONFIG = """
steps: 6
batch: 4
warmup_steps: 2
checkpoint_minutes: 0
network: {unshuffle: 2, channels: [8], norm_groups: 4}
sampling: {steps: 3, batch: 4}
"""


def cohort(path: Path, labels=("a", "b", None), dtype=np.uint8, seed=0, marked=True) -> Path:
    """Eleven films of 6 x 10 pixels; rows 1 and 4 are set aside."""
    pixels = (
        np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, (11, 6, 10), endpoint=True).astype(dtype)
    )
    rows = [
        {
            "file": f"f{i}.png",
            "patient": f"p{i // 2}",
            "labels": [labels[i % len(labels)]] if labels[i % len(labels)] else [],
            "mark": "duplicate" if marked and i in (1, 4) else None,
        }
        for i in range(11)
    ]
    with Draft(path, Request("cohort", {"name": path.name}, seed)) as draft:
        writer = CohortWriter(draft, (6, 10), dtype)
        writer.append(pixels, rows)
        writer.finish(note={"origin": "real", "role": "train"})
    return path


def config(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


class Stop(BaseException):
    """Stands for a kill."""


class KillAt:
    """Progress that ends the process, as a kill would, when a task has moved so far."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.left, self.now = name, steps, ""

    def start(self, name, total):
        self.now = name

    def say(self, line):
        pass

    def advance(self, steps=1, **facts):
        if self.now == self.name:
            self.left -= steps
            if self.left <= 0:
                raise Stop


def files(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_train_then_generate(tmp_path: Path):
    t = cohort(tmp_path / "T")
    outcome = train.run(t, config(tmp_path), tmp_path / "M", "cpu", seed=1)
    assert outcome.exit_code == 0
    model = open_artifact(tmp_path / "M", "model")
    assert set(model.manifest["files"]) == {"model.safetensors", "model.json", "loss.csv", "loss_curve.svg"}
    assert model.lineage == {"train": open_cohort(t).id}
    assert model.manifest["training"]["images"] == 9
    assert model.manifest["training"]["set_aside"] == 2
    assert model.manifest["training"]["stopped_by"] == "steps"
    lines = (tmp_path / "M" / "loss.csv").read_text().splitlines()
    assert lines[0] == "step,loss"
    assert [int(line.split(",")[0]) for line in lines[1:]] == [1, 2, 3, 4, 5, 6]
    assert "polyline" in (tmp_path / "M" / "loss_curve.svg").read_text()

    made = generate.run(tmp_path / "M", 10, tmp_path / "S", device="cpu", seed=2)
    s = open_cohort(made.path)
    assert len(s) == 10
    assert s.image_shape == (6, 10)
    assert s.pixels.dtype == np.uint8
    assert s.artifact.lineage == {"model": model.id, "train": open_cohort(t).id}
    assert (s.artifact.manifest["origin"], s.artifact.manifest["role"]) == ("synthetic", "synthetic")
    first = s.rows.slice(3, 1).to_pylist()[0]
    assert (first["file"], first["route"], first["patient"]) == ("generated/000003", "generated", None)
    assert isinstance(json.loads(first["facts"])["image_seed"], int)

    fewer = open_cohort(generate.run(tmp_path / "M", 5, tmp_path / "S5", device="cpu", seed=2).path)
    np.testing.assert_array_equal(s.pixels[:5], fewer.pixels)
    other = open_cohort(generate.run(tmp_path / "M", 5, tmp_path / "So", device="cpu", seed=3).path)
    assert not np.array_equal(other.pixels, fewer.pixels)


def test_killed_runs_end_in_the_same_bytes(tmp_path: Path):
    t = cohort(tmp_path / "T")
    c = config(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    train.run(t, c, tmp_path / "one" / "M", "cpu", seed=1)
    generate.run(tmp_path / "one" / "M", 10, tmp_path / "one" / "S", device="cpu")
    for steps in (2, 5, 4):
        with pytest.raises(Stop):
            train.run(t, c, tmp_path / "two" / "M", "cpu", seed=1, progress=KillAt("train", steps))
        assert not (tmp_path / "two" / "M").exists()
    train.run(t, c, tmp_path / "two" / "M", "cpu", seed=1)
    for images in (1, 8, 10):
        with pytest.raises(Stop):
            generate.run(
                tmp_path / "two" / "M",
                10,
                tmp_path / "two" / "S",
                device="cpu",
                progress=KillAt("generate", images),
            )
    generate.run(tmp_path / "two" / "M", 10, tmp_path / "two" / "S", device="cpu")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_called_again_it_stands_and_with_other_arguments_it_refuses(tmp_path: Path):
    t, c = cohort(tmp_path / "T"), config(tmp_path)
    first = train.run(t, c, tmp_path / "M", "cpu", seed=1)
    again = train.run(t, c, tmp_path / "M", "cpu", seed=1)
    assert first.data["model"] == again.data["model"]
    with pytest.raises(OutputExists):
        train.run(t, c, tmp_path / "M", "cpu", seed=2)
    one = generate.run(tmp_path / "M", 3, tmp_path / "S", device="cpu")
    assert generate.run(tmp_path / "M", 3, tmp_path / "S", device="cpu").data == one.data
    with pytest.raises(OutputExists):
        generate.run(tmp_path / "M", 4, tmp_path / "S", device="cpu")


def test_conditional_in_sixteen_bits(tmp_path: Path):
    t = cohort(tmp_path / "T", dtype=np.uint16)
    train.run(t, config(tmp_path, CONFIG + "conditional: true\n"), tmp_path / "M", "cpu")
    record = json.loads((tmp_path / "M" / "model.json").read_text())
    assert record["class_labels"] == [[], ["a"], ["b"]]
    assert record["class_counts"] == [3, 4, 2]  # rows 1 (b) and 4 (b) are set aside
    s = open_cohort(generate.run(tmp_path / "M", 12, tmp_path / "S", device="cpu").path)
    assert s.pixels.dtype == np.uint16
    assert {tuple(row) for row in s.labels} <= {(), ("a",), ("b",)}
    prompts = cohort(tmp_path / "P", labels=("b",))
    p = open_cohort(generate.run(tmp_path / "M", 6, tmp_path / "Sp", prompts, "cpu").path)
    assert p.labels == [["b"]] * 6
    assert "prompts" in p.artifact.lineage
    with pytest.raises(CohortMismatch, match="9 rows"):
        generate.run(tmp_path / "M", 6, tmp_path / "Sx", cohort(tmp_path / "Q", labels=("other",)), "cpu")


def test_what_cannot_work_is_refused_and_leaves_nothing(tmp_path: Path):
    t = cohort(tmp_path / "T")
    with pytest.raises(ConfigProblem, match="stepps"):
        train.run(t, config(tmp_path, "stepps: 3\n"), tmp_path / "M", "cpu")
    with pytest.raises(ConfigProblem, match="norm_groups"):
        train.run(t, config(tmp_path, "steps: 3\nnetwork: {channels: [12]}\n"), tmp_path / "M", "cpu")
    train.run(t, config(tmp_path), tmp_path / "M", "cpu")
    with pytest.raises(UsageProblem, match="prompts"):
        generate.run(tmp_path / "M", 3, tmp_path / "S", t, "cpu")
    with pytest.raises(UsageProblem, match="at least 1"):
        generate.run(tmp_path / "M", 0, tmp_path / "S", device="cpu")
    with pytest.raises(ArtifactKindMismatch):
        generate.run(t, 3, tmp_path / "S", device="cpu")
    assert not (tmp_path / "S").exists()
    assert not list(tmp_path.glob(".S*"))


WORKER = """
import sys
from pathlib import Path
from medaudit.stages import generate, train
folder, cohort, config = (Path(a) for a in sys.argv[1:])
train.run(cohort, config, folder / "M", "cpu", seed=1)
generate.run(folder / "M", 10, folder / "S", device="cpu")
"""


@pytest.mark.slow
def test_two_processes_make_one_model_and_the_same_cohort(tmp_path: Path):
    """accelerate's launcher, two CPU processes: one writes, and the cohort is that of a single process."""
    t, c = cohort(tmp_path / "T"), config(tmp_path)
    (tmp_path / "worker.py").write_text(WORKER)
    (tmp_path / "two").mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"),
            *(str(tmp_path / "worker.py"), str(tmp_path / "two"), str(t), str(c)),
        ],
        check=True,
        timeout=240,
        env=environment,
        capture_output=True,
    )
    model = open_artifact(tmp_path / "two" / "M", "model")
    assert model.manifest["training"]["processes"] == 2
    made = open_cohort(tmp_path / "two" / "S")
    alone = open_cohort(generate.run(tmp_path / "two" / "M", 10, tmp_path / "alone", device="cpu").path)
    assert made.id == alone.id
    train.run(t, c, tmp_path / "M", "cpu", seed=1)
    losses = [
        np.loadtxt(p / "M" / "loss.csv", delimiter=",", skiprows=1) for p in (tmp_path, tmp_path / "two")
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


FOUR = """
import sys
from pathlib import Path
from medaudit.stages import generate
model, folder = (Path(a) for a in sys.argv[1:])
generate.run(model, 11, folder / "S", device="cpu", seed=4)
generate.run(model, 3, folder / "few", device="cpu", seed=4)
"""


@pytest.mark.slow
def test_four_processes_generate_what_one_does(tmp_path: Path):
    """`accelerate launch --cpu --num_processes 4`: 11 images in blocks of 4, and 3, fewer than there are processes."""
    train.run(cohort(tmp_path / "T"), config(tmp_path), tmp_path / "M", "cpu", seed=1)
    (tmp_path / "worker.py").write_text(FOUR)
    subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "4"),
            *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
            *("--main_process_port", "0", "--num_cpu_threads_per_process", "1"),
            *(str(tmp_path / "worker.py"), str(tmp_path / "M"), str(tmp_path / "four")),
        ],
        check=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    generate.run(tmp_path / "M", 11, tmp_path / "one" / "S", device="cpu", seed=4)
    generate.run(tmp_path / "M", 3, tmp_path / "one" / "few", device="cpu", seed=4)
    assert files(tmp_path / "four") == files(tmp_path / "one")
    assert len(files(tmp_path / "one")) == 6


def test_a_model_whose_weights_are_no_numbers_generates_nothing(tmp_path: Path):
    train.run(cohort(tmp_path / "T"), config(tmp_path), tmp_path / "M", device="cpu")
    weights = tmp_path / "M" / "model.safetensors"
    tensors = load_file(weights)
    for values in tensors.values():
        values[...] = np.nan
    save_file(tensors, weights)
    manifest = json.loads((tmp_path / "M" / "manifest.json").read_bytes())
    manifest["files"][weights.name] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (tmp_path / "M" / "manifest.json").write_text(json.dumps(manifest))
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ModelUnreadable, match="no numbers"):
        generate.run(tmp_path / "M", 3, tmp_path / "S", device="cpu")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
