"""Training: the same bytes from the same seed, killed or not; errors that say what to do."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from medaudit.config import TrainSettings
from medaudit.errors import TrainingDiverged, UsageProblem
from medaudit.generators.processes import Team, join
from medaudit.generators.training import (
    TrainingImages,
    average_decay,
    batch_picks,
    learning_rate,
    train,
)

CPU = Team(torch.device("cpu"))


def settings(**changes) -> TrainSettings:
    network = {"unshuffle": 2, "channels": (8,), "norm_groups": 4, **changes.pop("network", {})}
    body = {"steps": 9, "batch": 4, "warmup_steps": 2, "checkpoint_minutes": 0, "network": network, **changes}
    return TrainSettings.model_validate(body)


def films(dtype=np.uint8) -> TrainingImages:
    pixels = (
        np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (11, 6, 10), endpoint=True).astype(dtype)
    )
    return TrainingImages(pixels, np.array([0, 2, 3, 5, 7, 8, 10]), np.array([0, 1, 0, 1, 2, 2, 0]))


class Stop(BaseException):
    """Stands for a kill."""


class StopAfter:
    """Progress that kills the run after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.losses: list[float] = []
        self.moved: list[int] = []

    def start(self, name, total):
        pass

    def say(self, line):
        pass

    def advance(self, steps=1, **facts):
        self.moved.append(steps)
        if "loss" in facts:
            self.losses.append(facts["loss"])
            self.left -= 1
            if self.left == 0:
                raise Stop


def same(one, two) -> bool:
    return all(torch.equal(one.weights[k], two.weights[k]) for k in one.weights) and one.losses == two.losses


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_killed_and_resumed_ends_in_the_same_bytes(tmp_path: Path, dropout: float):
    s = settings(network={"dropout": dropout})
    whole = train(films(), s, 3, 5, CPU, tmp_path / "a")
    for kill in (1, 4, 3):
        with pytest.raises(Stop):
            train(films(), s, 3, 5, CPU, tmp_path / "b", StopAfter(kill))
    watched = StopAfter(99)
    resumed = train(films(), s, 3, 5, CPU, tmp_path / "b", watched)
    assert 0 < watched.moved[0] < 9  # it went on, and did not start again
    assert sum(watched.moved) == 9
    assert same(whole, resumed)
    assert not same(whole, train(films(), s, 3, 6, CPU, tmp_path / "c"))


def test_a_torn_checkpoint_is_a_fresh_start(tmp_path: Path):
    s = settings()
    whole = train(films(), s, 3, 5, CPU, tmp_path / "a")
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes()[:1000])
    assert same(whole, train(films(), s, 3, 5, CPU, tmp_path / "b"))


def test_no_global_random_number_is_used(tmp_path: Path):
    s = settings(network={"dropout": 0.2})
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = train(films(), s, 3, 5, CPU, tmp_path / "a")
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(one, train(films(), s, 3, 5, CPU, tmp_path / "b"))


def test_it_learns(tmp_path: Path):
    """One film, shown again and again: the loss falls well below the 1 of an untrained denoiser."""
    image = np.tile(np.linspace(0, 255, 8).astype(np.uint8), (1, 6, 1))
    s = settings(steps=60, batch=8, learning_rate=0.01, network={"channels": (16,)}, noise={"p_mean": 0.0})
    trained = train(TrainingImages(image, np.array([0])), s, 0, 0, CPU, tmp_path / "a")
    first, last = trained.losses[0][1], np.mean([loss for _, loss in trained.losses[-10:]])
    assert first > 0.5
    assert last < 0.3 * first


def test_only_the_rows_in_use_are_read(tmp_path: Path):
    a, b = films(), films()
    for row in set(range(11)) - set(a.rows.tolist()):
        b.pixels[row] = 0
    assert same(
        train(a, settings(), 3, 5, CPU, tmp_path / "a"), train(b, settings(), 3, 5, CPU, tmp_path / "b")
    )
    b.pixels[b.rows[0]] = 0
    assert not same(
        train(a, settings(), 3, 5, CPU, tmp_path / "c"), train(b, settings(), 3, 5, CPU, tmp_path / "d")
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_span_minus_one_to_one(dtype):
    images = films(dtype)
    images.pixels[0, 0, 0], images.pixels[0, 0, 1] = 0, np.iinfo(dtype).max
    batch, classes = images.batch(np.array([0, 4]))
    assert batch.shape == (2, 1, 6, 10)
    assert (float(batch[0, 0, 0, 0]), float(batch[0, 0, 0, 1])) == (-1.0, 1.0)
    assert classes.tolist() == [0, 2]
    assert float(batch[1, 0, 3, 2]) == pytest.approx(images.pixels[7, 3, 2] / np.iinfo(dtype).max * 2 - 1)


def test_divergence_is_an_error_with_advice(tmp_path: Path):
    s = settings(steps=40, learning_rate=1e30, warmup_steps=0)
    with pytest.raises(TrainingDiverged, match="lower learning_rate"):
        train(films(), s, 3, 5, CPU, tmp_path / "a")


def test_the_clock_stops_it_and_is_named(tmp_path: Path):
    trained = train(films(), settings(steps=10**6, max_minutes=0.01), 3, 5, CPU, tmp_path / "a")
    assert trained.facts["stopped_by"] == "clock"
    assert trained.facts["reproducible"] is False
    assert 0 < trained.facts["steps_done"] < 10**6
    assert train(films(), settings(), 3, 5, CPU, tmp_path / "b").facts["stopped_by"] == "steps"


def test_every_pass_shows_every_image_once():
    picks = np.concatenate([batch_picks(7, 4, 3, step) for step in range(7)])  # 28 = 4 passes of 7
    passes = picks.reshape(4, 7)
    assert all(sorted(one.tolist()) == list(range(7)) for one in passes)
    assert len({tuple(one.tolist()) for one in passes}) > 1
    assert picks.tolist() != np.concatenate([batch_picks(7, 4, 4, step) for step in range(7)]).tolist()


def test_learning_rate_warms_up_and_falls():
    s = settings(steps=100, learning_rate=0.01, warmup_steps=10)
    assert learning_rate(s, 0, 0.0) == pytest.approx(0.001)
    assert learning_rate(s, 9, 0.0) == pytest.approx(0.01)
    assert learning_rate(s, 50, 0.5) == pytest.approx(0.005)
    assert learning_rate(s, 99, 1.0) == pytest.approx(0.0, abs=1e-12)
    flat = settings(steps=100, learning_rate=0.01, schedule="constant", warmup_steps=0)
    assert {learning_rate(flat, step, step / 100) for step in range(100)} == {0.01}


def test_average_follows_at_first_and_slows_to_its_half_life():
    assert average_decay(50, 0) == pytest.approx(0.0, abs=1e-9)
    assert average_decay(50, 100) == pytest.approx(0.5 ** (1 / 10))
    assert average_decay(50, 10_000) ** 50 == pytest.approx(0.5)
    assert math.isclose(average_decay(0.5, 10_000), 0.25)


def test_batch_that_cannot_be_shared():
    with pytest.raises(UsageProblem, match="3 processes"):
        train(films(), settings(), 3, 5, Team(torch.device("cpu"), 0, 3), Path("unused"))


def test_alone_a_team_is_this_process():
    team = join("cpu")
    assert (team.rank, team.size, team.main) == (0, 1, True)
    value = np.arange(3)
    assert np.array_equal(team.gather(value), value)
    assert team.from_main(4) == 4
