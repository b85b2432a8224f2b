"""Planted edits: what each does to known pixels, and that all keep shape, range and determinism."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medaudit.images import intensity, similarity, transforms
from medaudit.images.phantom import phantom


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    return phantom(5, 0, (97, 83))  # sides that no block of 8 divides


def test_noise_has_the_deviation_it_names() -> None:
    grey = np.full((200, 150), 0.5, dtype=np.float32)
    noisy = transforms.add_noise(grey, 0.05, np.random.default_rng(1))
    assert (noisy - grey).std() == pytest.approx(0.05, rel=0.03)
    assert abs((noisy - grey).mean()) < 0.001


def test_blur_of_a_point_is_the_gaussian() -> None:
    point = np.zeros((31, 41), dtype=np.float32)
    point[15, 20] = 1.0
    y, x = np.mgrid[-15:16, -20:21]
    bell = np.exp(-(y**2 + x**2) / (2 * 2.0**2))
    assert np.allclose(transforms.blur(point, 2.0), bell / bell.sum(), atol=2e-5)


def test_tone_edits_at_known_values() -> None:
    values = np.array([[0.0, 0.25, 0.5, 1.0]], dtype=np.float32)
    assert np.allclose(transforms.gamma(values, 2.0), [[0, 0.0625, 0.25, 1]])
    assert np.allclose(transforms.window(values, 0.25, 0.75), [[0, 0, 0.5, 1]])
    assert np.allclose(transforms.invert(values), [[1, 0.75, 0.5, 0]])
    with pytest.raises(ValueError, match="hi > lo"):
        transforms.window(values, 0.5, 0.5)


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


def test_zoom_out_leaves_black_around_a_smaller_film() -> None:
    small = transforms.zoom_out(np.ones((40, 20), dtype=np.float32), 0.5)
    assert small.shape == (40, 20)
    assert np.all(small[10:30, 5:15] == 1) and small.sum() == 200
    with pytest.raises(ValueError, match="share"):
        transforms.zoom_out(small, 0.0)


def test_elastic_moves_by_the_amount_it_names_and_smoothly() -> None:
    rows, columns = np.mgrid[:120, :90].astype(np.float32)
    ramp_down, ramp_right = rows / 119, columns / 89
    moved_down = (transforms.elastic(ramp_down, 0.01, 0.03, np.random.default_rng(4)) - ramp_down) * 119
    moved_right = (transforms.elastic(ramp_right, 0.01, 0.03, np.random.default_rng(4)) - ramp_right) * 89
    inside = (slice(8, -8), slice(8, -8))
    assert np.sqrt(np.mean(moved_down[inside] ** 2)) == pytest.approx(1.2, rel=0.15)
    assert np.sqrt(np.mean(moved_right[inside] ** 2)) == pytest.approx(0.9, rel=0.15)
    assert np.abs(np.diff(moved_down[inside], axis=0)).max() < 1.5


def test_blend_and_half_at_known_pixels() -> None:
    dark, light = np.zeros((4, 6), dtype=np.float32), np.ones((4, 6), dtype=np.float32)
    assert np.allclose(transforms.blend(light, dark, 0.7), 0.7)
    with pytest.raises(ValueError, match="one shape"):
        transforms.blend(light, dark[:2], 0.7)
    half = transforms.left_half(light)
    assert half[:, :3].min() == 1 and half[:, 3:].max() == 0 and light.min() == 1
