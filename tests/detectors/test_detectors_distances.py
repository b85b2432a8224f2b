"""Detectors against their plain definitions, and what each must and must not see."""

import numpy as np
import pytest

from medaudit import seeds
from medaudit.detectors import VECTOR_DETECTORS, VectorDetector
from medaudit.detectors.contrast import LocalContrast
from medaudit.detectors.pixel import Rmse
from medaudit.detectors.shrink import area_matrix, shrink
from medaudit.detectors.smooth import SmoothRmse
from medaudit.detectors.tiles import TileDistance
from medaudit.images.intensity import local_contrast_normalise
from medaudit.images.phantom import phantom
from medaudit.images.similarity import local_contrast_correlation, rmse, tile_distance
from medaudit.images.transforms import add_noise, blur, gamma, mirror, shift, window

SHAPES = [(28, 28), (30, 26), (64, 64), (61, 70)]


def films(count: int, shape: tuple[int, int]) -> np.ndarray:
    return np.stack([phantom(100 + person, 0, shape) for person in range(count)])


def distances(detector: VectorDetector, asking: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(G, M) float64: as the contract defines the distance."""
    queries, references = detector.poses(asking), detector.describe(asked)
    assert queries.dtype == references.dtype == np.float32
    assert queries.shape[2:] == references.shape[1:]
    difference = queries[:, None].astype(np.float64) - references[None, :, None]
    return np.sqrt(np.square(difference).mean(-1).max(-1).min(-1))


@pytest.mark.parametrize("shape", SHAPES)
def test_rmse_and_tile_distance_are_the_definitions(shape: tuple[int, int]) -> None:
    images = films(5, shape)
    plain, tiled = distances(Rmse(), images, images), distances(TileDistance(), images, images)
    for a in range(5):
        for b in range(5):
            assert plain[a, b] == pytest.approx(rmse(images[a], images[b]), rel=1e-6, abs=0)
            assert tiled[a, b] == pytest.approx(tile_distance(images[a], images[b]), rel=1e-6, abs=0)
    assert (np.diag(plain) == 0).all() and (np.diag(tiled) == 0).all()


@pytest.mark.parametrize("detector", VECTOR_DETECTORS, ids=lambda detector: detector.name)
def test_a_copy_is_at_exactly_zero_and_the_names_are_words(detector: VectorDetector) -> None:
    images = films(4, (140, 132))
    apart = distances(detector, images, images)
    assert (np.diag(apart) == 0).all()
    assert apart[~np.eye(4, dtype=bool)].min() > 0
    assert detector.meaning and " " not in detector.name
    assert len({d.name for d in VECTOR_DETECTORS}) == len(VECTOR_DETECTORS) >= 4


def test_the_tile_that_differs_decides() -> None:
    image = films(1, (32, 32))
    other = image.copy()
    other[0, 8:16, 24:32] = np.clip(other[0, 8:16, 24:32] + 0.3, 0, 1)
    whole, tiled = distances(Rmse(), other, image)[0, 0], distances(TileDistance(), other, image)[0, 0]
    assert tiled == pytest.approx(4 * whole, rel=1e-5)
    with pytest.raises(ValueError, match="at least 4 pixels"):
        TileDistance().describe(np.zeros((1, 3, 9), dtype=np.float32))


def test_local_contrast_is_the_correlation_of_the_normalised_images() -> None:
    """At 32 pixels and less nothing is averaged: the distance is that of the twin inside the margin."""
    detector, images = LocalContrast(), films(4, (32, 30))
    unmoved = detector.poses(images)[:, :1]
    references = detector.describe(images)
    squared = np.square(unmoved[:, None].astype(np.float64) - references[None, :, None]).mean(-1)[..., 0, 0]
    margin = 1
    inner = local_contrast_normalise(images, 5)[:, margin:-margin, margin:-margin].reshape(4, -1)
    correlation = np.corrcoef(inner.astype(np.float64))
    assert np.allclose(squared, 2 - 2 * correlation, atol=1e-5)
    twin = local_contrast_correlation(images[0], images[1], 5)  # with the margin: nearly the same
    assert correlation[0, 1] == pytest.approx(twin, abs=0.1)


@pytest.mark.parametrize("shape", [(28, 28), (64, 56), (160, 128)])
def test_local_contrast_looks_through_tone_mirror_and_shift(shape: tuple[int, int]) -> None:
    detector, images = LocalContrast(), films(6, shape)
    most = [max(1, int(0.04 * side)) for side in shape]
    edits = {
        "mirror": mirror(images[0]),
        "shift": shift(images[0], most[0], -most[1]),
        "mirror and shift": mirror(shift(images[0], -most[0], most[1])),
        "gamma": gamma(images[0], 0.7),
        "window": window(images[0], 0.1, 0.9),
        "contrast": 0.2 + 0.5 * images[0],
    }
    apart = distances(detector, np.stack(list(edits.values())), images)
    strangers = distances(detector, images, images)[0, 1:].min()
    for row, name in enumerate(edits):
        assert apart[row].argmin() == 0, name
        assert apart[row, 0] < 0.6 * strangers, name
    linear = apart[list(edits).index("contrast"), 0]
    assert linear < 1e-3
    if max(shape) <= 64:  # whole-pixel moves are undone to the last pixel that both films show
        assert apart[0, 0] < 1e-3
        assert apart[1, 0] < 0.4 * strangers


def test_a_shift_without_poses_would_be_missed() -> None:
    images = films(6, (64, 64))
    moved = shift(images[0], 2, -2)[None]
    still = LocalContrast(shift_share=0.0)
    assert LocalContrast().poses(moved).shape[1] == 2 * 5 * 5
    assert distances(LocalContrast(), moved, images)[0, 0] < 0.5 * distances(still, moved, images)[0].min()


def test_smoothing_finds_what_noise_hides() -> None:
    images = films(6, (28, 28))
    noisy = add_noise(images[0], 0.1, seeds.generator(1, "noise"))[None]
    plain, smooth = distances(Rmse(), noisy, images)[0], distances(SmoothRmse(), noisy, images)[0]
    assert smooth[0] / smooth[1:].min() < 0.7 * plain[0] / plain[1:].min()
    soft = blur(images[0], 0.7)[None]
    assert distances(SmoothRmse(), soft, images)[0, 0] < distances(Rmse(), soft, images)[0, 0]


def test_flat_and_tiny_images_are_described() -> None:
    flat = np.stack([np.full((9, 12), 0.4, dtype=np.float32), shrink(films(1, (27, 36)), 12)[0, :9]])
    for detector in VECTOR_DETECTORS:
        assert np.isfinite(detector.describe(flat)).all() and np.isfinite(detector.poses(flat)).all()
    assert (LocalContrast().describe(flat)[0] == 0).all()


def test_rows_are_described_in_their_order() -> None:
    images = films(5, (64, 56))
    order = np.array([3, 0, 4, 1, 2])
    for detector in VECTOR_DETECTORS:
        assert np.array_equal(detector.describe(images)[order], detector.describe(images[order]))
        assert np.array_equal(detector.poses(images)[order], detector.poses(images[order]))


def test_area_averages() -> None:
    assert np.allclose(area_matrix(6, 3), np.kron(np.eye(3), [0.5, 0.5]))
    assert np.allclose(area_matrix(5, 2), [[0.4, 0.4, 0.2, 0, 0], [0, 0, 0.2, 0.4, 0.4]])
    assert np.allclose(area_matrix(4, 2, -1, 1), [[1, 0, 0, 0], [1, 0, 0, 0]])  # outside: the edge repeated
    assert np.allclose(area_matrix(7, 4, 1.3, 5.9).sum(1), 1)
    images = films(3, (40, 30))
    small = shrink(images, 10)
    assert small.shape == (3, 10, 10)
    assert np.allclose(small, images.reshape(3, 10, 4, 10, 3).mean((2, 4)), atol=1e-6)
    assert shrink(images, 40).tobytes() == images.tobytes()
    assert shrink(np.full((1, 130, 3), 0.7, dtype=np.float32), 128) == pytest.approx(0.7)
