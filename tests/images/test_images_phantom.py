"""Phantoms: the same numbers give the same film, a film shows a chest, patients differ as people do."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medaudit.images import similarity
from medaudit.images.anatomy import draw_exposure, draw_patient, exposures_of
from medaudit.images.intensity import resize_unit
from medaudit.images.phantom import phantom

SHAPE = (96, 80)
PATIENTS = 120


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    return np.stack([phantom(patient, 0, SHAPE) for patient in range(PATIENTS)])


@pytest.fixture(scope="module")
def second_films() -> np.ndarray:
    return np.stack([phantom(patient, 1, SHAPE) for patient in range(40)])


def test_same_numbers_same_film_and_any_other_number_another() -> None:
    film = phantom(7, 1, SHAPE)
    assert film.shape == SHAPE and film.dtype == np.float32
    assert film.min() >= 0 and film.max() <= 1
    assert film.tobytes() == phantom(7, 1, SHAPE).tobytes()
    assert film.tobytes() != phantom(7, 0, SHAPE).tobytes() != phantom(8, 1, SHAPE).tobytes()


def test_anatomy_belongs_to_the_patient_and_pose_to_the_film() -> None:
    one, other = draw_patient(3), draw_patient(4)
    assert one.value == draw_patient(3).value and np.array_equal(one.waves, draw_patient(3).waves)
    same = [name for name in one.value if one.value[name] == other.value[name]]
    assert len(one.value) > 50 and not same
    first, second = draw_exposure(3, 0), draw_exposure(3, 1)
    assert not [name for name in first.value if first.value[name] == second.value[name]]


def part(image: np.ndarray, y: tuple[float, float], x: tuple[float, float]) -> float:
    """Mean over a rectangle given in shares of the sides."""
    rows = slice(*(int(v * image.shape[0]) for v in y))
    return float(image[rows, slice(*(int(v * image.shape[1]) for v in x))].mean())


def test_lungs_are_dark_bone_is_bright_and_the_heart_is_on_the_left(films: np.ndarray) -> None:
    mean = films.mean(axis=0)  # the average patient: no single one must look so
    lungs = [part(mean, (0.3, 0.45), (0.2, 0.32)), part(mean, (0.3, 0.45), (0.68, 0.8))]
    dense = [part(mean, (0.5, 0.6), (0.47, 0.53)), part(mean, (0.92, 1.0), (0.3, 0.4))]  # spine, liver
    air = part(mean, (0.0, 0.06), (0.28, 0.34))
    assert air < 0.1 < min(lungs) and max(lungs) < 0.35 and min(dense) > 0.75
    # the heart reaches far to the right of the image and little to its left
    assert part(mean, (0.62, 0.7), (0.62, 0.68)) > part(mean, (0.62, 0.7), (0.32, 0.38)) + 0.15


def test_the_diaphragm_stands_higher_on_the_patients_right(films: np.ndarray) -> None:
    # the steepest step from lung to belly, outside heart and stomach gas: rows 12.6 and 14.5 of these on average
    right = [np.argmax(np.diff(film[62:88, 18:20].mean(axis=1))) for film in films]
    left = [np.argmax(np.diff(film[62:88, 60:62].mean(axis=1))) for film in films]
    assert np.mean(right) + 1 < np.mean(left)


def test_the_marker_is_on_the_side_it_names() -> None:
    seen = set()
    for patient in range(10):
        film, letter = phantom(patient, 0, (288, 240)), draw_exposure(patient, 0).marker
        corners = {"R": film[:42, :60].max(), "L": film[:42, -60:].max()}
        other = "L" if letter == "R" else "R"
        assert corners[letter] > 0.9 > corners[other], f"patient {patient}, marker {letter}"
        seen.add(letter)
    assert seen == {"L", "R"}


def nearest_other(films: np.ndarray) -> np.ndarray:
    flat = films.reshape(len(films), -1).astype(np.float64)
    square = (flat * flat).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * flat @ flat.T, 0) / flat.shape[1])
    np.fill_diagonal(distance, np.inf)
    return distance.min(axis=1)


def test_patients_differ_as_people_do(films: np.ndarray) -> None:
    # Measured over 300 patients at 64 px (2026-11): nearest other 0.071 to 0.121, median 0.087; real strangers
    # have about 0.10.
    nearest = nearest_other(films)
    assert 0.07 < np.median(nearest) < 0.13
    assert nearest.min() > 0.7 * np.median(nearest)  # no near twins
    assert nearest.max() < 1.7 * np.median(nearest)  # nobody out of the world
    assert abs(stats.skew(nearest)) < 1.2
    # one hump: the middle half is dense, and no gap cuts the sample in two
    low, high = np.percentile(nearest, [25, 75])
    assert high - low < 0.5 * (nearest.max() - nearest.min())
    inner = np.sort(nearest)[5:-5]
    assert np.diff(inner).max() < 0.2 * (inner[-1] - inner[0])


def test_a_second_film_is_closer_but_not_the_same(films: np.ndarray, second_films: np.ndarray) -> None:
    same = [similarity.rmse(films[i], second_films[i]) for i in range(40)]
    others = [min(similarity.rmse(second_films[i], films[j]) for j in range(60) if j != i) for i in range(40)]
    assert min(same) > 0.02
    assert np.mean(np.array(same) < np.array(others)) > 0.6
    alike = [similarity.local_contrast_correlation(films[i], second_films[i], 11) for i in range(40)]
    strange = [similarity.local_contrast_correlation(films[i], second_films[i - 1], 11) for i in range(40)]
    assert np.median(alike) > np.median(strange) + 0.2 and max(alike) < 0.99


def test_about_a_fifth_of_the_patients_have_more_films() -> None:
    counts = np.array([exposures_of(patient) for patient in range(2000)])
    assert set(counts) == {1, 2, 3}
    assert 0.20 < np.mean(counts > 1) < 0.26


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**62), rows=st.integers(16, 150), columns=st.integers(16, 150))
def test_any_seed_and_shape_gives_a_film(seed: int, rows: int, columns: int) -> None:
    film = phantom(seed, 0, (rows, columns))
    assert film.shape == (rows, columns)
    assert np.isfinite(film).all() and film.min() >= 0 and film.max() <= 1 and film.std() > 0.1


def test_long_strips_are_finite_and_tiny_films_are_refused() -> None:
    for shape in ((400, 16), (16, 400)):
        assert np.isfinite(phantom(1, 0, shape)).all()
    with pytest.raises(ValueError, match="16 pixels"):
        phantom(1, 0, (15, 40))


def test_the_anatomy_is_the_same_at_another_size() -> None:
    small, large = phantom(9, 0, (96, 80)), resize_unit(phantom(9, 0, (288, 240)), (96, 80))
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.98


def test_drawing_is_quick() -> None:
    """20 to 25 ms at 128 px on one core; the bound leaves room for a busy machine."""
    phantom(1, 0, (128, 128))
    times = []
    for patient in range(5):
        start = time.process_time()
        phantom(patient, 0, (128, 128))
        times.append(time.process_time() - start)
    assert min(times) < 0.2
