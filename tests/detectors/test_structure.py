"""The structure detector: poses against brute force, registration against known warps, copies against strangers."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medaudit.detectors.structure import StructureIndex, weaker_likeness
from medaudit.detectors.structure.films import _boxed, _widest, read_films
from medaudit.detectors.structure.registration import aligned, overlap_sums, register
from medaudit.detectors.structure.score import _SCALE, BALANCE, stand_out
from medaudit.detectors.structure.sweep import ROTATIONS, SCALES, PoseSweep
from medaudit.images import transforms
from medaudit.images.phantom import phantom
from medaudit.images.plants import plant

SHAPE = (70, 64)


@pytest.fixture(scope="module")
def people() -> np.ndarray:
    return np.stack([phantom(300 + person, 0, SHAPE) for person in range(40)])


@pytest.fixture(scope="module")
def index(people: np.ndarray) -> StructureIndex:
    return StructureIndex(lambda places: people[places], np.arange(40) // 1)


def pose_of(degrees: float, scale: float, right: float, down: float, mirror: bool) -> np.ndarray:
    """(2, 3) by the plain formula: turn, scale and mirror what lies at the shifted place."""
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / scale
    if mirror:
        matrix[0] *= -1
    return np.concatenate([matrix, (matrix @ [right, down])[:, None]], axis=1)


def test_sweep_returns_the_pose_that_was_planted(people: np.ndarray) -> None:
    films = read_films(people).contrast["middle"]
    sweep = PoseSweep(films)
    for mirror in (False, True):
        for degrees in (ROTATIONS[0], ROTATIONS[3]):
            for scale in (SCALES[1], SCALES[3]):
                shift = 2 * 2 / (3 * sweep.cells)  # two thirds of a cell, in [-1, 1] coordinates
                pose = torch.tensor(pose_of(degrees, scale, shift, -2 * shift, mirror), dtype=torch.float32)
                # The film that asks, such that looked at in `pose` it is film 7.
                whole = torch.cat([pose, torch.tensor([[0.0, 0.0, 1.0]])])
                back = torch.linalg.inv(whole)[:2]
                asking = -aligned(films[7:8], back[None], films.shape[-1])  # polarity turned as well
                found = sweep.ask(asking, 3)
                assert found.row[0, 0] == 7 and found.sign[0, 0] == -1
                assert torch.allclose(found.pose[0, 0], pose, atol=1e-5)


def test_sweep_bars_films_and_keeps_order(people: np.ndarray) -> None:
    films = read_films(people).contrast["middle"]
    sweep = PoseSweep(films)
    barred = torch.zeros(5, 40, dtype=torch.bool)
    barred[2, 2] = True
    found = sweep.ask(films[:5], 4, barred)
    assert found.row[:, 0].tolist()[:2] == [0, 1] and found.row[2, 0] != 2
    assert torch.all(found.likeness[:, :-1] >= found.likeness[:, 1:])
    assert torch.allclose(found.likeness[[0, 1, 3, 4], 0], torch.ones(4), atol=1e-4)


def test_registration_finds_a_known_warp(people: np.ndarray) -> None:
    films = read_films(people[:6])
    film, mask = films.contrast["middle"], films.known
    true = torch.tensor(pose_of(3.0, 0.96, 0.05, -0.04, False), dtype=torch.float32).expand(6, 2, 3)
    seen = aligned(film, true, film.shape[-1])
    known = aligned(mask, true, film.shape[-1])
    start = torch.eye(2, 3).expand(6, 2, 3).contiguous()
    found = register(film, seen, mask, known, start, 20)
    assert torch.allclose(found, true, atol=0.01)  # a third of a pixel
    before, after = (overlap_sums(film, seen, mask, known, pose) for pose in (start, true))

    def correlation(sums: torch.Tensor) -> torch.Tensor:
        return sums[:, 0] / (sums[:, 1] * sums[:, 2]).sqrt()

    assert torch.all(correlation(after) > 0.97) and torch.all(correlation(before) < 0.8)


def test_registration_never_ends_below_its_start(people: np.ndarray) -> None:
    films = read_films(people[:8])
    film, mask = films.contrast["middle"], films.known
    others = torch.roll(film, 1, 0), torch.roll(mask, 1, 0)
    start = torch.eye(2, 3).expand(8, 2, 3).contiguous()
    found = register(film, others[0], mask, others[1], start, 8)

    def quality(pose: torch.Tensor) -> torch.Tensor:
        sums = overlap_sums(film, others[0], mask, others[1], pose)
        pixels = film[0].numel()
        return sums[:, 0] / (sums[:, 1] * sums[:, 2]).sqrt() * (sums[:, 3] / pixels).sqrt()

    assert torch.all(quality(found) >= quality(start) - 1e-4)


@pytest.mark.parametrize("kind", ["mirror", "polarity", "rotate-10", "crop-75", "zoom-out-90", "shift-8", "gamma-0.6",
                                  "left-half", "text-box", "equalise"])  # fmt: skip
def test_copies_stand_out_whatever_was_done(kind: str, people: np.ndarray, index: StructureIndex) -> None:
    rng = np.random.default_rng(0)
    copies = np.stack([plant(kind, film, rng) for film in people[:10]])
    found = index.ask(copies)
    strangers = index.ask(people, np.arange(40))
    assert np.array_equal(found.row, np.arange(10))
    assert found.score.min() > strangers.score.max()
    assert np.all(found.distance < 0.8)


def test_exact_copies_are_nearest_and_leaving_out_works(people: np.ndarray, index: StructureIndex) -> None:
    found = index.ask(people[:5])
    assert np.array_equal(found.row, np.arange(5)) and found.distance.max() < 0.01
    assert np.all(found.runner_up >= 0) and np.all(found.runner_up != found.row)
    assert np.all(found.runner_up_score < found.score)
    out = index.ask(people[:5], np.arange(5))
    assert np.all(out.row != np.arange(5)) and np.all(out.distance > 0.3)
    assert not np.any(out.candidates == np.arange(5)[:, None])


def test_any_portion_gives_the_same_answer_and_bands_made_again_too(people: np.ndarray) -> None:
    held = StructureIndex(lambda places: people[places], np.arange(40))
    made = StructureIndex(lambda places: people[places], np.arange(40), hold_bytes=0)
    assert held.held is not None and made.held is None
    whole, parts = held.ask(people[:11]), [made.ask(people[:8]), made.ask(people[8:11])]
    assert np.array_equal(whole.row, np.concatenate([part.row for part in parts]))
    assert np.array_equal(whole.score, np.concatenate([part.score for part in parts]))


def test_strangers_under_one_panel_are_no_copies(people: np.ndarray) -> None:
    """Every film, asked and asking, has the same burned-in panel: only the anatomy may count."""
    panel = np.random.default_rng(1).random((22, 40)).round().repeat(1, axis=0).astype(np.float32)
    framed = people.copy()
    framed[:, 4:26, 12:52] = 1.0
    framed[:, 8:22, 18:46] = panel[:14, :28]
    plain = StructureIndex(lambda places: people[places], np.arange(40)).ask(people[:20], np.arange(20))
    under = StructureIndex(lambda places: framed[places], np.arange(40)).ask(framed[:20], np.arange(20))
    copies = StructureIndex(lambda places: framed[places], np.arange(40)).ask(framed[:20])
    assert np.array_equal(copies.row, np.arange(20))
    assert under.score.max() < copies.score.min() / 3
    assert np.median(under.score) < np.median(plain.score) + 0.6


@pytest.mark.parametrize("shape", [(28, 28), (33, 61), (128, 128), (150, 140)])
def test_films_of_any_size_are_read(shape: tuple[int, int]) -> None:
    images = np.stack([phantom(person, 0, shape) for person in range(6)])
    films = read_films(images)
    assert ("fine" in films.contrast) == (min(shape) > 64)
    for band, contrast in films.contrast.items():
        assert contrast.shape[1] == contrast.shape[2] and films.mask(band).shape == contrast.shape
        assert torch.isfinite(contrast).all()
    index = StructureIndex(lambda places: images[places], np.arange(6))
    assert np.array_equal(index.ask(images).row, np.arange(6))


def test_cuts_leave_no_seam() -> None:
    film = phantom(4, 0, (64, 64))
    half = read_films(transforms.left_half(film)[None])
    whole = read_films(film[None])
    assert half.known[0, :, 32:].sum() == 0
    speaks = half.known[0] > 0
    assert speaks[:, :26].float().mean() > 0.6
    assert torch.allclose(half.contrast["sharp"][0][speaks], whole.contrast["sharp"][0][speaks], atol=0.6)


def test_films_without_content_are_no_one(people: np.ndarray, index: StructureIndex) -> None:
    flat = np.full((2, *SHAPE), 0.3, dtype=np.float32)
    found = index.ask(flat)
    assert np.all(np.isfinite(found.score)) and np.all(
        found.score < index.ask(people, np.arange(40)).score.max()
    )


# --- score ---------------------------------------------------------------------------------------------------


def sums_for(correlation: np.ndarray, share: np.ndarray, pixels: int) -> np.ndarray:
    """(...) → (..., 4)."""
    return np.stack(
        [correlation * 5, np.full_like(correlation, 5), np.full_like(correlation, 5), share * pixels], -1
    )


def test_score_is_the_plain_formula() -> None:
    rng = np.random.default_rng(0)
    pixels = {"coarse": 100, "middle": 400}
    correlation, share = rng.uniform(0.1, 0.9, (5, 4, 2)), rng.uniform(0.3, 1.0, (5, 4, 2))
    person = np.array([[0, 1, 2, 3], [0, 0, 1, 2], [4, 1, 4, 4], [2, 2, 2, 2], [0, 1, 2, -1]])
    sums = np.stack(
        [sums_for(correlation[..., b], share[..., b], n) for b, n in enumerate(pixels.values())], axis=2
    )
    seen = stand_out(sums, pixels, person)
    for n in range(5):
        scores = []
        for k in range(4):
            if person[n, k] < 0:
                scores.append(-np.inf)
                continue
            others = [j for j in range(4) if person[n, j] not in (-1, person[n, k])]
            each = []
            for b, band in enumerate(pixels):
                strength = np.arctanh(correlation[n, :, b]) * np.sqrt(share[n, :, b])
                base = strength[others].mean() if others else 0.0
                each.append((strength[k] - base - BALANCE[band][0]) / BALANCE[band][1] / _SCALE)
            scores.append(max(each))
        assert seen.score[n] == pytest.approx(max(scores)) and seen.candidate[n] == int(np.argmax(scores))
        rest = [scores[k] for k in range(4) if person[n, k] not in (-1, person[n, seen.candidate[n]])]
        assert seen.runner_up_score[n] == (pytest.approx(max(rest)) if rest else -np.inf)
        assert (seen.runner_up[n] == -1) == (not rest)


def test_what_is_opposite_or_empty_scores_nothing() -> None:
    sums = np.zeros((1, 2, 1, 4))
    sums[0, 1, 0] = [-5, 5, 5, 300]
    seen = stand_out(sums, {"middle": 400}, np.array([[0, 1]]))
    assert np.all(seen.correlation == 0) and np.isfinite(seen.score[0])


def test_few_films_leave_nothing_to_rounding() -> None:
    """Axes without variance are any basis of what is left: were a part of them used, rounding would choose it."""
    draw = np.random.Generator(np.random.Philox(17))
    coarse = torch.from_numpy(
        ndimage.gaussian_filter(draw.standard_normal((23, 64, 64)), (0, 2, 2)).astype(np.float32)
    )
    sweep, asking = PoseSweep(coarse[:9]), coarse[9:]
    nudged = PoseSweep(coarse[:9] * (1 + 1e-6 * torch.randn(9, 64, 64, generator=torch.manual_seed(3))))
    found, again = sweep.ask(asking, 4), nudged.ask(asking, 4)
    assert torch.equal(found.row, again.row)
    assert torch.allclose(found.likeness, again.likeness, atol=1e-3)


def test_windows_are_those_of_scipy() -> None:
    films = torch.rand(3, 11, 11, generator=torch.Generator().manual_seed(4)) - 0.5
    for reach in (1, 2, 3):
        size = (1, 2 * reach + 1, 2 * reach + 1)
        widest = ndimage.maximum_filter(films.numpy(), size, mode="constant", cval=-np.inf)
        assert np.array_equal(_widest(films, reach).numpy(), widest)
        mean = ndimage.uniform_filter(films.numpy().astype(np.float64), size, mode="reflect")
        assert np.allclose(_boxed(films, reach).numpy(), mean, atol=1e-6)


def test_registration_knows_no_batch(people: np.ndarray) -> None:
    """More pairs than are taken at once, and the same pairs one by one."""
    films = read_films(people[:21])
    film, mask = films.contrast["middle"], films.known
    others = torch.roll(film, 1, 0), torch.roll(mask, 1, 0)
    start = torch.eye(2, 3).expand(21, 2, 3).contiguous()
    together = register(film, others[0], mask, others[1], start, 6)
    alone = [
        register(film[i : i + 1], others[0][i : i + 1], mask[i : i + 1], others[1][i : i + 1], start[:1], 6)
        for i in range(21)
    ]
    assert torch.equal(together, torch.cat(alone))
    assert register(film[:0], others[0][:0], mask[:0], others[1][:0], start[:0], 6).shape == (0, 2, 3)


def test_any_number_of_threads_gives_the_same_bytes(people: np.ndarray) -> None:
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            index = StructureIndex(lambda places: people[places], np.arange(40) // 2)
            asked = index.ask(people[:20] ** 1.3, leave_out=np.arange(20) // 2)
            found.append((asked, weaker_likeness(people[:20], people[20:], index.sweep)))
    finally:
        torch.set_num_threads(before)
    (one, close), (two, other) = found
    assert all(np.array_equal(left, vars(two)[name]) for name, left in vars(one).items())
    assert np.array_equal(close, other)
