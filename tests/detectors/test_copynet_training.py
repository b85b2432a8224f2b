"""Training the copy network: who may be a wrong answer, the same bytes after a kill, and that it learns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medaudit.config import CopyNetSettings
from medaudit.detectors.copynet.batches import batch_rows, nearest_others
from medaudit.detectors.copynet.detector import CopyNet
from medaudit.detectors.copynet.edits import Edited
from medaudit.detectors.copynet.network import build_encoder, describe_encoder
from medaudit.detectors.copynet.objective import candidates, contrastive_loss, targets
from medaudit.detectors.copynet.training import TrainedCopyNet, train_copynet
from medaudit.errors import TrainingDiverged
from medaudit.images import transforms
from medaudit.images.phantom import phantom

CPU = torch.device("cpu")
FILMS = np.stack([phantom(500 + i // 2, i % 2, (44, 36)) for i in range(12)])
PATIENT = np.arange(12) // 2


def settings(**changes: object) -> CopyNetSettings:
    body = {"size": 32, "fold": 2, "channels": (8, 12), "values": 16, "steps": 7, "batch": 5, "views": 2,
            "neighbours": 2, "warmup_steps": 2, "checkpoint_minutes": 0.0, **changes}  # fmt: skip
    return CopyNetSettings.model_validate(body)


def read(rows: np.ndarray) -> np.ndarray:
    return FILMS[rows]


class Stop(BaseException):
    """Stands for a kill."""


class StopAfter:
    """Progress that kills the run after some steps, and counts them."""

    def __init__(self, steps: int) -> None:
        self.left, self.moved = steps, list[int]()

    def start(self, name: str, total: int | None) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        self.moved.append(steps)
        if len(self.moved) == self.left + 2:  # the checkpoint follows the step that is shown
            raise Stop


def same(one: TrainedCopyNet, two: TrainedCopyNet) -> bool:
    left, right = one.network.state_dict(), two.network.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left) and one.losses == two.losses


def test_killed_and_resumed_ends_in_the_same_bytes(tmp_path: Path) -> None:
    whole = train_copynet(read, PATIENT, settings(), 3, CPU, tmp_path / "a")
    for kill in (1, 3):
        with pytest.raises(Stop):
            train_copynet(read, PATIENT, settings(), 3, CPU, tmp_path / "b", StopAfter(kill))
    watched = StopAfter(99)
    resumed = train_copynet(read, PATIENT, settings(), 3, CPU, tmp_path / "b", watched)
    assert 0 < watched.moved[0] < 7 and sum(watched.moved) == 7
    assert same(whole, resumed)
    assert not same(whole, train_copynet(read, PATIENT, settings(), 4, CPU, tmp_path / "b"))
    torn = tmp_path / "c"
    torn.write_bytes((tmp_path / "a").read_bytes()[:1000])
    assert same(whole, train_copynet(read, PATIENT, settings(), 3, CPU, torn))


def test_films_of_one_patient_are_never_wrong_answers() -> None:
    patient = torch.tensor([0, 1, 0, 2, 1])
    share = torch.tensor([1.0, 0.6, 1.0, 0.5, 1.0])
    edited = Edited(torch.zeros(5, 1, 4, 4), share, torch.tensor([1, 3, 1, 4, 0]))
    allowed = candidates(edited, patient)
    expected = torch.tensor(
        [
            [1, 1, 0, 1, 1],  # patient 0, its own film and nobody of patient 0
            [1, 1, 1, 1, 0],  # patient 1 mixed with film 3 of patient 2
            [0, 1, 1, 1, 1],
            [1, 0, 1, 1, 1],  # patient 2 mixed with film 4 of patient 1
            [1, 0, 1, 1, 1],
        ]
    ).bool()
    assert torch.equal(allowed, expected)
    right = targets(edited, 5)
    assert torch.allclose(right.sum(1), torch.ones(5)) and bool((right[~allowed] == 0).all())
    assert right[1, 1] == pytest.approx(0.6) and right[1, 3] == pytest.approx(0.4)


def test_the_loss_is_its_definition() -> None:
    random = torch.Generator().manual_seed(4)
    rows = torch.nn.functional.normalize(torch.randn(9, 6, generator=random), dim=1)
    views, films = rows[:6], rows[6:9]
    patient = torch.tensor([0, 1, 2])
    edited = Edited(
        torch.zeros(6, 1, 1, 1),
        torch.tensor([1.0, 0.7, 1.0, 0.5, 1.0, 1.0]),
        torch.tensor([1, 2, 0, 1, 0, 1]),
    )
    found = contrastive_loss(views, films, patient, edited, 0.2)
    allowed, right = candidates(edited, patient), targets(edited, 3)
    total = 0.0
    for v in range(6):
        score = {j: float(views[v] @ films[j]) / 0.2 for j in range(3) if allowed[v, j]}
        norm = np.log(sum(np.exp(value) for value in score.values()))
        total -= sum(float(right[v, j]) * (value - norm) for j, value in score.items())
    assert float(found) == pytest.approx(total / 6, rel=1e-5)


def test_look_alikes_of_other_patients_share_a_batch() -> None:
    memory = torch.nn.functional.normalize(
        torch.tensor([[1, 0.0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0, 0]]), dim=1
    )
    patient = torch.tensor([0, 0, 1, 2, 3, 4])
    near = nearest_others(memory, patient, [0, 3, 5], 2)
    assert [found.tolist() for found in near] == [[2, 4], [4, 2], []]
    rows = batch_rows(torch.zeros(9, 3), torch.arange(9), 4, 2, seed=1, step=0)
    assert len(set(rows.tolist())) == 4
    assert len(batch_rows(memory, patient, 99, 3, 1, 5)) == 6
    turns = [batch_rows(torch.zeros(6, 3), patient, 2, 2, 1, step)[0] for step in range(6)]
    assert sorted(turns) == list(range(6))  # every film is an anchor once a pass


def test_it_learns_to_find_edited_films() -> None:
    films = np.stack([phantom(900 + i, 0, (40, 40)) for i in range(40)])
    s = settings(steps=200, batch=16, channels=(16, 24), values=32, learning_rate=3e-3, warmup_steps=10)
    trained = train_copynet(lambda rows: films[rows], np.arange(40), s, 0, CPU)
    random = np.random.Generator(np.random.Philox(1))
    planted = np.stack(
        [
            transforms.add_noise(transforms.crop_zoom(transforms.rotate(film, 8), 0.85), 0.04, random)
            for film in films
        ]
    )

    def first(network: torch.nn.Module) -> float:
        detector = CopyNet(network, 32)
        likeness = detector.poses(planted)[:, :, 0] @ detector.describe(films)[:, 0].T
        return float((likeness.max(axis=1).argmax(axis=1) == np.arange(40)).mean())

    untrained, learnt = first(build_encoder(describe_encoder(s), 0).eval()), first(trained.network)
    assert learnt >= untrained + 0.3, (untrained, learnt)
    assert learnt >= 0.6


def test_what_cannot_be_trained_is_said() -> None:
    with pytest.raises(ValueError, match="two patients"):
        train_copynet(read, np.zeros(12, dtype=np.int64), settings(), 0, CPU)
    with pytest.raises(TrainingDiverged, match="lower learning_rate"):
        train_copynet(read, PATIENT, settings(steps=40, learning_rate=1e30, warmup_steps=0), 0, CPU)
    with pytest.raises(ValueError, match="multiple"):
        build_encoder(describe_encoder(settings(size=30, fold=4)))


def test_nobody_s_code_and_no_global_randomness() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    alone = train_copynet(read, np.full(12, -1), settings(), 3, CPU)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert alone.facts["patients"] == 12
    assert same(alone, train_copynet(read, np.arange(12), settings(), 3, CPU))
    assert not same(alone, train_copynet(read, PATIENT, settings(), 3, CPU))
