"""Intensity: known values, brute-force twins on unequal axes, and what must be refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medaudit.images import intensity

SMALL = settings(max_examples=40, deadline=None)


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


# --- scales -----------------------------------------------------------------------------------------------


def test_percentiles_become_the_ends() -> None:
    values = np.arange(1001, dtype=float).reshape(7, 143)
    unit = intensity.percentile_unit(values)
    assert unit.dtype == np.float32
    assert unit.ravel()[5] == 0.0 and unit.ravel()[995] == 1.0
    assert unit.ravel()[500] == pytest.approx(0.5)


def test_pixels_that_are_not_counted_become_0_and_move_no_percentile() -> None:
    values = np.arange(1200, dtype=float).reshape(8, 150)
    counted = np.ones(values.shape, bool)
    counted[:2] = False
    low, high = np.percentile(values[2:], [0.5, 99.5])
    unit = intensity.percentile_unit(values, counted=counted)
    assert (unit[:2] == 0).all()
    np.testing.assert_allclose(unit[2:], np.clip((values[2:] - low) / (high - low), 0, 1), atol=1e-6)


@SMALL
@given(scale=st.floats(1e-3, 1e4), offset=st.floats(-1e4, 1e4))
def test_percentiles_do_not_see_the_detectors_unit(scale: float, offset: float) -> None:
    values = picture((9, 13)).astype(np.float64)
    moved = intensity.percentile_unit(scale * values + offset)
    assert np.allclose(moved, intensity.percentile_unit(values), atol=1e-5)


def test_a_film_that_is_nearly_all_background_keeps_what_it_shows() -> None:
    values = np.zeros((40, 50))
    values[20, 30], values[21, 30] = 10.0, 5.0
    unit = intensity.percentile_unit(values)
    assert unit[20, 30] == 1.0 and unit[21, 30] == 0.5 and unit[0, 0] == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_percentiles_refuse_values_that_are_not_finite(bad: float) -> None:
    values = np.ones((3, 4))
    values[1, 2] = bad
    with pytest.raises(ValueError, match="not finite"):
        intensity.percentile_unit(values)


def test_percentiles_refuse_a_constant_image_and_swapped_percentiles() -> None:
    with pytest.raises(ValueError, match="constant"):
        intensity.percentile_unit(np.full((3, 4), 7))
    with pytest.raises(ValueError, match="low < high"):
        intensity.percentile_unit(picture((3, 4)), 90, 10)
    with pytest.raises(ValueError, match="missing"):
        intensity.percentile_unit(np.zeros((0, 4)))
    with pytest.raises(ValueError, match="too far apart"):
        intensity.percentile_unit(np.array([[-1.7e308, 1.7e308]]))


def test_full_range_maps_the_ends_exactly_and_refuses_a_wider_value() -> None:
    unit = intensity.full_range_unit(np.array([[0, 1023, 512]], dtype=np.uint16), 10)
    assert unit.dtype == np.float32
    assert unit[0, 0] == 0 and unit[0, 1] == 1 and unit[0, 2] == pytest.approx(512 / 1023)
    with pytest.raises(ValueError, match="10 unsigned bits"):
        intensity.full_range_unit(np.array([[1024]], dtype=np.uint16), 10)
    with pytest.raises(ValueError, match="integers"):
        intensity.full_range_unit(np.array([[0.5]]), 10)
    with pytest.raises(ValueError, match="bits"):
        intensity.full_range_unit(np.array([[1]], dtype=np.uint16), 0)


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 16)])
def test_every_level_survives_the_way_to_unit_and_back(dtype: type, bits: int) -> None:
    levels = np.arange(2**bits, dtype=dtype).reshape(2, -1)
    assert np.array_equal(intensity.to_depth(intensity.full_range_unit(levels, bits), dtype), levels)


def test_depth_rounds_clips_and_refuses() -> None:
    unit = np.array([[-0.2, 0.5 / 255, 0.51 / 255, 1.7]])
    assert intensity.to_depth(unit, np.uint8).tolist() == [[0, 0, 1, 255]]
    with pytest.raises(ValueError, match="uint8 or uint16"):
        intensity.to_depth(unit, np.float32)
    with pytest.raises(ValueError, match="not finite"):
        intensity.to_depth(np.array([[np.nan]]), np.uint8)


# --- sizes ------------------------------------------------------------------------------------------------


def resize_by_loops(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The triangle filter pixel by pixel, along one axis and then the other."""

    def line(values: np.ndarray, target: int) -> np.ndarray:
        scale = len(values) / target
        reach = max(scale, 1.0)
        out = []
        for place in range(target):
            centre = (place + 0.5) * scale
            weights = [max(0.0, 1 - abs(at + 0.5 - centre) / reach) for at in range(len(values))]
            out.append(np.dot(weights, values) / sum(weights))
        return np.array(out)

    tall = np.stack([line(column, shape[0]) for column in image.T.astype(np.float64)], axis=1)
    return np.stack([line(row, shape[1]) for row in tall])


@SMALL
@given(
    source=st.tuples(st.integers(1, 23), st.integers(1, 19)),
    target=st.tuples(st.integers(1, 17), st.integers(1, 29)),
)
def test_resize_equals_the_loops(source: tuple[int, int], target: tuple[int, int]) -> None:
    image = picture(source)
    result = intensity.resize_unit(image, target)
    assert result.shape == target and result.dtype == np.float32 and result.flags.c_contiguous
    assert np.allclose(result, resize_by_loops(image, target), atol=1e-6)


@pytest.mark.parametrize("target", [(31, 20), (64, 64), (97, 40), (180, 150)])
def test_resize_agrees_with_pillow(target: tuple[int, int]) -> None:
    image = picture((97, 83))
    pillow = np.asarray(Image.fromarray(image).resize(target[::-1], Image.Resampling.BILINEAR))
    assert np.abs(intensity.resize_unit(image, target) - pillow).max() < 1e-6


def test_shrinking_does_not_alias() -> None:
    stripes = np.tile(np.array([0.0, 1.0], dtype=np.float32), (60, 45))  # (60, 90), finest stripes there are
    small = intensity.resize_unit(stripes, (20, 29))
    assert np.abs(small[:, 1:-1] - 0.5).max() < 0.05  # nearest-pixel sampling would leave 0.5


def test_resize_to_the_same_shape_is_a_copy_and_nonsense_is_refused() -> None:
    image = picture((5, 8))
    same = intensity.resize_unit(image, (5, 8))
    assert np.array_equal(same, image) and same is not image
    with pytest.raises(ValueError, match="at least 1"):
        intensity.resize_unit(image, (0, 8))
    with pytest.raises(ValueError, match=r"\(Y, X\)"):
        intensity.resize_unit(picture((5, 8))[None], (4, 4))


def test_pad_keeps_the_aspect_and_fills_with_black() -> None:
    image = np.full((40, 20), 0.5, dtype=np.float32)
    square = intensity.fit_square(image, 16, "pad")
    assert square.shape == (16, 16)
    assert np.all(square[:, 4:12] == 0.5) and np.all(square[:, :4] == 0) and np.all(square[:, 12:] == 0)
    lying = intensity.fit_square(image.T, 16, "pad")
    assert np.array_equal(lying, square.T)


def test_crop_keeps_the_centre_and_squash_keeps_everything() -> None:
    image = np.zeros((40, 20), dtype=np.float32)
    image[10:30] = 1.0
    assert np.all(intensity.fit_square(image, 10, "crop") == 1.0)
    squashed = intensity.fit_square(image, 20, "squash")
    assert np.all(squashed[:4] == 0) and np.all(squashed[6:14] == 1) and np.all(squashed[-4:] == 0)
    with pytest.raises(ValueError, match="pad, crop or squash"):
        intensity.fit_square(image, 10, "stretch")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 1000)])
@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
def test_odd_shapes_still_become_squares(shape: tuple[int, int], fit: intensity.Fit) -> None:
    square = intensity.fit_square(np.ones(shape, dtype=np.float32), 16, fit)
    assert square.shape == (16, 16) and square.max() == 1.0


# --- local contrast ---------------------------------------------------------------------------------------


def normalise_by_loops(image: np.ndarray, window: int, floor: float) -> np.ndarray:
    """Mean and deviation of the window round each pixel, the border mirrored (d c b a | a b c d | d c b a)."""
    before, after = window // 2, window - window // 2 - 1
    padded = np.pad(image.astype(np.float64), ((before, after), (before, after)), mode="symmetric")
    out = np.empty(image.shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            part = padded[y : y + window, x : x + window]
            out[y, x] = (image[y, x] - part.mean()) / max(part.std(), floor * image.std())
    return out


@pytest.mark.parametrize("window", [3, 4, 9])
def test_local_contrast_equals_the_loops(window: int) -> None:
    images = np.stack([picture((17, 13), seed) for seed in range(3)])
    images[1, :8] *= 0.001  # a nearly flat half, where the floor rules
    result = intensity.local_contrast_normalise(images, window)
    assert result.dtype == np.float32
    for image, normalised in zip(images, result, strict=True):
        twin = normalise_by_loops(image.astype(np.float64), window, 0.1)
        assert np.allclose(normalised, twin, atol=1e-5)


def test_local_contrast_drops_brightness_and_contrast_and_keeps_the_order() -> None:
    images = np.stack([picture((17, 13), seed) for seed in range(4)]).astype(np.float64)
    plain = intensity.local_contrast_normalise(images, 5)
    assert np.allclose(intensity.local_contrast_normalise(0.2 + 0.3 * images, 5), plain, atol=1e-5)
    order = np.array([2, 0, 3, 1])
    assert np.array_equal(intensity.local_contrast_normalise(images[order], 5), plain[order])


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, 1.0])
def test_a_flat_image_becomes_zero(level: float) -> None:
    flat = np.full((1, 12, 9), level, dtype=np.float32)
    assert np.all(intensity.local_contrast_normalise(flat, 5) == 0)


def test_local_contrast_refuses_a_single_image_and_a_window_of_one() -> None:
    with pytest.raises(ValueError, match=r"\(N, Y, X\)"):
        intensity.local_contrast_normalise(picture((5, 6)), 3)
    with pytest.raises(ValueError, match="window"):
        intensity.local_contrast_normalise(picture((5, 6))[None], 1)
