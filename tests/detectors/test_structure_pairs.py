"""Aligned pairs held against each other in parts: copies agree everywhere, whatever the pose; others do not.

Axes: B pairs, (Y, X) unequal.
"""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medaudit.detectors.structure import StructureIndex, compared_pixels, weaker_likeness
from medaudit.detectors.structure.films import read_films
from medaudit.detectors.structure.pairs import LEAST_PARTS, NOTHING, PARTS, WEAKER, _blurred, _weaker_parts
from medaudit.detectors.structure.sweep import PoseSweep
from medaudit.images import transforms as edit

SHAPE = (88, 72)


def film(seed: int) -> np.ndarray:
    draw = np.random.Generator(np.random.Philox(seed))
    noise = sum(ndimage.gaussian_filter(draw.standard_normal(SHAPE), s) * s for s in (1.5, 3, 6))
    return np.clip(0.5 + noise / (4 * noise.std()), 0.02, 0.98).astype(np.float32)


FILMS = np.stack([film(seed) for seed in range(11)])


@pytest.fixture(scope="module")
def sweep() -> PoseSweep:
    return StructureIndex(lambda places: FILMS[places], np.arange(len(FILMS))).sweep


def test_the_same_film_agrees_in_both_bands(sweep: PoseSweep) -> None:
    assert weaker_likeness(FILMS[:3], FILMS[:3], sweep) == pytest.approx(np.ones((3, 2)), abs=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        edit.mirror,
        edit.invert,
        lambda image: edit.rotate(image, 6),
        lambda image: edit.crop_zoom(image, 0.9),
        lambda image: edit.gamma(image, 0.6),
        lambda image: edit.left_half(image),
        lambda image: edit.mirror(edit.invert(image)),
    ],
)
def test_copies_agree_more_than_other_films_in_any_pose(sweep: PoseSweep, change) -> None:  # type: ignore[no-untyped-def]
    copies = np.stack([change(image) for image in FILMS[:5]])
    own, other = (
        weaker_likeness(copies, FILMS[:5], sweep),
        weaker_likeness(copies, np.roll(FILMS[:5], 1, axis=0), sweep),
    )
    assert own.max(axis=1).min() > 0.9
    assert (own.min(axis=0) > other.max(axis=0) + 0.2).all()


def test_what_differs_in_half_of_the_frame_is_no_likeness(sweep: PoseSweep) -> None:
    half = FILMS[:4].copy()
    half[:, :, SHAPE[1] // 2 :] = FILMS[4:8, :, SHAPE[1] // 2 :]
    found = weaker_likeness(half, FILMS[:4], sweep)
    assert (found < 0.6).all()
    assert (weaker_likeness(FILMS[:4], FILMS[:4], sweep) > 0.99).all()


def test_noise_costs_detail_and_leaves_the_smooth_band(sweep: PoseSweep) -> None:
    draw = np.random.Generator(np.random.Philox(2))
    noisy = np.stack([edit.add_noise(image, 0.1, draw) for image in FILMS[:4]])
    smooth, detail = weaker_likeness(noisy, FILMS[:4], sweep).T
    assert (smooth > 0.9).all() and (detail < 0.85).all()


def test_pairs_come_out_the_same_in_any_batch(sweep: PoseSweep) -> None:
    turned = np.roll(FILMS, 3, axis=0)
    together = weaker_likeness(FILMS, turned, sweep)
    assert together.shape == (11, 2)
    alone = np.concatenate([weaker_likeness(FILMS[i : i + 1], turned[i : i + 1], sweep) for i in range(11)])
    assert together == pytest.approx(alone, abs=1e-3)
    assert weaker_likeness(FILMS[:0], FILMS[:0], sweep).shape == (0, 2)


def test_films_without_common_parts_say_nothing(sweep: PoseSweep) -> None:
    flat = np.full((2, *SHAPE), 0.5, dtype=np.float32)
    assert weaker_likeness(flat, FILMS[:2], sweep) == pytest.approx(np.full((2, 2), NOTHING))


def test_the_point_of_the_parts_has_a_twin() -> None:
    first, second = read_films(FILMS[:2]), read_films(FILMS[2:4])
    upright = torch.eye(2, 3).repeat(2, 1, 1)
    found = _weaker_parts(first, second, upright, "middle")
    for pair in range(2):
        known = (first.known * second.known)[pair].numpy()
        a, b = (films.contrast["middle"][pair].numpy() * known for films in (first, second))
        cut = a.shape[0] // PARTS
        values = []
        for y in range(PARTS):
            for x in range(PARTS):
                part = np.s_[y * cut : (y + 1) * cut, x * cut : (x + 1) * cut]
                if known[part].mean() > 0.5:
                    values.append(
                        (a[part] * b[part]).sum() / np.sqrt((a[part] ** 2).sum() * (b[part] ** 2).sum())
                    )
        assert len(values) >= LEAST_PARTS
        assert found[pair] == pytest.approx(np.quantile(values, WEAKER), abs=1e-4)


def test_the_blur_is_a_gaussian() -> None:
    small = torch.from_numpy(FILMS[:2, :40, :40])
    twin = np.stack([ndimage.gaussian_filter(one.numpy(), 1.7, mode="nearest", truncate=3) for one in small])
    assert _blurred(small, 1.7).numpy() == pytest.approx(twin, abs=1e-4)


def test_detail_is_compared_at_most_at_the_fine_size() -> None:
    assert [compared_pixels(shape) for shape in ((28, 30), (64, 64), (100, 88), (512, 420))] == [
        28,
        64,
        88,
        128,
    ]


def test_a_barred_film_is_not_found() -> None:
    index = StructureIndex(lambda places: FILMS[places], np.arange(len(FILMS)) // 2)
    assert index.ask(FILMS[:3]).row.tolist() == [0, 1, 2]
    barred = np.zeros((3, len(FILMS)), dtype=bool)
    barred[[0, 1, 2], [0, 1, 2]] = True
    seen = index.ask(FILMS[:3], barred=barred)
    assert (seen.row != [0, 1, 2]).all() and not (seen.candidates[np.isfinite(seen.distances)] == -1).any()
    both = index.ask(FILMS[:3], leave_out=np.array([0, 0, 1]), barred=barred)
    assert not np.isin(both.row[:2], [0, 1]).any() and both.row[2] not in (2, 3)
