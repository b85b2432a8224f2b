"""Planted edits: what each does to known pixels, and that all keep shape, range and determinism."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medaudit.config import PLANTED_KINDS
from medaudit.images import intensity, similarity, transforms
from medaudit.images.phantom import phantom


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    return phantom(5, 0, (97, 83))  # sides that no block of 8 divides


@pytest.mark.parametrize("kind", PLANTED_KINDS)
def test_plants_keep_shape_range_and_source(kind: str, film: np.ndarray) -> None:
    before = film.copy()
    planted = transforms.plant(kind, film, np.random.default_rng(3))
    again = transforms.plant(kind, film, np.random.default_rng(3))
    assert planted.shape == film.shape and planted.dtype == np.float32
    assert planted.min() >= 0 and planted.max() <= 1
    assert planted.tobytes() == again.tobytes()
    assert np.array_equal(film, before) and not np.shares_memory(planted, film)
    assert (similarity.rmse(film, planted) == 0) == (kind == "identity")


def test_every_kind_of_the_settings_is_planted_and_described() -> None:
    assert set(transforms.STRENGTHS) == set(PLANTED_KINDS) and len(PLANTED_KINDS) >= 7
    with pytest.raises(ValueError, match="known: identity"):
        transforms.plant("elastic", np.zeros((8, 8), dtype=np.float32), np.random.default_rng(0))


def test_the_words_carry_the_numbers_that_are_used() -> None:
    assert f"sigma {transforms.NOISE_SIGMA}" in transforms.STRENGTHS["noise"]
    assert f"{100 * transforms.BLUR_OF_SIDE:g} %" in transforms.STRENGTHS["blur"]
    assert f"{transforms.BLUR_LEAST_PX} px" in transforms.STRENGTHS["blur"]
    for number in (*transforms.GAMMA_RANGE, *transforms.WINDOW_LOW, *transforms.WINDOW_HIGH):
        assert str(number) in transforms.STRENGTHS["contrast"]
    assert str(transforms.JPEG_QUALITY) in transforms.STRENGTHS["jpeg"]
    assert f"{100 * transforms.SHIFT_OF_SIDE:g} %" in transforms.STRENGTHS["shift"]


def test_noise_has_the_deviation_it_names() -> None:
    grey = np.full((200, 150), 0.5, dtype=np.float32)
    noisy = transforms.plant("noise", grey, np.random.default_rng(1))
    assert (noisy - grey).std() == pytest.approx(0.05, rel=0.03)
    assert abs((noisy - grey).mean()) < 0.001


def test_blur_of_a_point_is_the_gaussian() -> None:
    point = np.zeros((31, 41), dtype=np.float32)
    point[15, 20] = 1.0
    y, x = np.mgrid[-15:16, -20:21]
    bell = np.exp(-(y**2 + x**2) / (2 * 2.0**2))
    assert np.allclose(transforms.blur(point, 2.0), bell / bell.sum(), atol=2e-5)


def test_planted_blur_grows_with_the_film() -> None:
    point = np.zeros((300, 201), dtype=np.float32)
    point[150, 100] = 1.0
    planted = transforms.plant("blur", point, np.random.default_rng(0)).astype(np.float64)
    spread = np.sqrt((planted.sum(axis=1) * (np.arange(300) - 150.0) ** 2).sum() / planted.sum())
    assert spread == pytest.approx(0.015 * 300, rel=0.02)
    small = transforms.plant("blur", point[130:171, 80:121], np.random.default_rng(0)).astype(np.float64)
    narrow = np.sqrt((small.sum(axis=1) * (np.arange(41) - 20.0) ** 2).sum() / small.sum())
    assert narrow == pytest.approx(0.7, rel=0.05)


def test_tone_edits_at_known_values() -> None:
    values = np.array([[0.0, 0.25, 0.5, 1.0]], dtype=np.float32)
    assert np.allclose(transforms.gamma(values, 2.0), [[0, 0.0625, 0.25, 1]])
    assert np.allclose(transforms.window(values, 0.25, 0.75), [[0, 0, 0.5, 1]])
    assert np.allclose(transforms.invert(values), [[1, 0.75, 0.5, 0]])
    with pytest.raises(ValueError, match="hi > lo"):
        transforms.window(values, 0.5, 0.5)


def test_contrast_draws_stay_within_what_is_printed(film: np.ndarray) -> None:
    ramp = np.linspace(0, 1, 4001, dtype=np.float32).reshape(1, -1)
    rng = np.random.default_rng(0)
    for _ in range(50):
        planted = transforms.plant("contrast", ramp, rng)
        assert np.all(np.diff(planted[0]) >= 0)
        assert 0.099 <= ramp[planted == 0].max() <= 0.201
        assert 0.799 <= ramp[planted == 1].min() <= 0.901


def test_equalised_film_has_a_flat_histogram(film: np.ndarray) -> None:
    smooth = transforms.add_noise(film, 0.01, np.random.default_rng(0))
    inside = smooth[(smooth > 0) & (smooth < 1)]
    counts, _ = np.histogram(transforms.equalise(inside.reshape(1, -1)), bins=10, range=(0, 1))
    assert counts.max() < 1.25 * counts.min()


# --- JPEG -------------------------------------------------------------------------------------------------


def pillow_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(intensity.to_depth(image, np.uint8)).save(buffer, "jpeg", quality=quality)
    buffer.seek(0)
    return np.asarray(Image.open(buffer), dtype=np.float64) / 255.0


@pytest.mark.parametrize("quality", [1, 10, 40, 50, 75, 95])
def test_jpeg_is_what_pillow_leaves(quality: int, film: np.ndarray) -> None:
    ours, pillow = transforms.jpeg(film, quality), pillow_jpeg(film, quality)
    # libjpeg computes in integers, so that a tie may fall to the other step; measured mean 0.01 to 0.31 levels
    assert np.abs(ours - pillow).mean() < 0.4 / 255
    assert np.mean(np.abs(ours - pillow) > 2.5 / 255) < 0.03
    assert similarity.rmse(ours, pillow) < 0.4 * similarity.rmse(film, pillow)


def test_jpeg_of_lower_quality_loses_more_and_flat_stays_flat(film: np.ndarray) -> None:
    losses = [similarity.rmse(film, transforms.jpeg(film, quality)) for quality in (95, 75, 40, 10)]
    assert losses == sorted(losses) and losses[0] < 0.01 < losses[-1]
    grey = np.full((9, 17), 128 / 255, dtype=np.float32)
    assert np.array_equal(transforms.jpeg(grey, 40), grey)
    for quality in (0, 101):
        with pytest.raises(ValueError, match="1 to 100"):
            transforms.jpeg(grey, quality)


@pytest.mark.real
def test_jpeg_is_what_pillow_leaves_of_a_real_film(real_data: Path) -> None:
    names = sorted((real_data / "hannover").rglob("*.png"))[:3]
    assert len(names) == 3
    for name in names:
        image = intensity.percentile_unit(np.asarray(Image.open(name).convert("F")))
        assert np.abs(transforms.jpeg(image, 40) - pillow_jpeg(image, 40)).mean() < 0.4 / 255


# --- geometry ---------------------------------------------------------------------------------------------


def test_mirror_and_shift_move_known_pixels() -> None:
    image = np.arange(12, dtype=np.float32).reshape(3, 4) / 11
    assert np.array_equal(transforms.mirror(image)[0], image[0, ::-1])
    assert np.array_equal(transforms.mirror(transforms.mirror(image)), image)
    moved = transforms.shift(image, 1, -2)
    for y in range(3):
        for x in range(4):
            assert moved[y, x] == image[max(y - 1, 0), min(x + 2, 3)]


def test_planted_shifts_reach_all_directions_and_no_further(film: np.ndarray) -> None:
    point = np.zeros((100, 60), dtype=np.float32)
    point[50, 30] = 1.0
    rng = np.random.default_rng(0)
    moves = set()
    for _ in range(600):
        (y,), (x,) = np.nonzero(transforms.plant("shift", point, rng))
        moves.add((int(y) - 50, int(x) - 30))
    assert (0, 0) not in moves
    assert {dy for dy, _ in moves} == set(range(-4, 5)) and {dx for _, dx in moves} == {-2, -1, 0, 1, 2}
    tiny = transforms.plant("shift", np.eye(8, 6, dtype=np.float32), np.random.default_rng(0))
    assert not np.array_equal(tiny, np.eye(8, 6))


def test_rotation_crop_resolution_and_label() -> None:
    image = np.zeros((40, 40), dtype=np.float32)
    image[5:10, 18:22] = 1.0  # a mark at the top
    left = transforms.rotate(image, 90)
    assert left[18:22, 6:9].mean() > 0.9  # anticlockwise: the top goes to the left
    grown = transforms.crop_zoom(np.pad(np.ones((20, 10), dtype=np.float32), ((10, 10), (5, 5))), 0.5)
    assert grown.shape == (40, 20) and grown.min() == 1.0
    coarse = transforms.resolution(np.indices((40, 30)).sum(0).astype(np.float32) % 2, 10)
    assert coarse.shape == (40, 30) and coarse.std() < 0.05
    labelled = transforms.occlude(image, 30, -5, 20, 10)
    assert np.all(labelled[30:, :5] == 1) and labelled.sum() == image.sum() + 50 and image[35, 2] == 0
    for share in (0.0, 1.1):
        with pytest.raises(ValueError, match="share"):
            transforms.crop_zoom(image, share)
