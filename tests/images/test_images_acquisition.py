"""How a film was taken: each feature moves with what it is named after, whatever the batch. (Y, X) = (40, 33)."""

import numpy as np
import pytest

from medaudit import seeds
from medaudit.images.acquisition import FEATURES, acquisition
from medaudit.images.transforms import add_noise, blur, gamma

PLACE = {name: place for place, name in enumerate(FEATURES)}


@pytest.fixture(scope="module")
def films() -> np.ndarray:
    rng = seeds.generator(5, "films")
    coarse = rng.random((7, 10, 11))
    return np.stack([blur(np.kron(film, np.ones((4, 3))).astype(np.float32), 1.0) for film in coarse])


def test_one_row_a_film_and_the_same_in_any_batch(films: np.ndarray) -> None:
    found = acquisition(films)
    assert found.shape == (7, len(FEATURES)) and np.isfinite(found).all()
    for row in range(7):
        assert np.allclose(acquisition(films[row : row + 1])[0], found[row], atol=1e-12)


def test_known_values() -> None:
    ramp = np.tile(np.linspace(0, 1, 33, dtype=np.float32), (40, 1))[None]
    found = acquisition(ramp)[0]
    assert found[PLACE["middle tones"]] == pytest.approx(0.5)
    assert found[PLACE["the share of fully black or white pixels"]] == pytest.approx(2 / 33)
    flat = acquisition(np.full((2, 40, 33), 0.25, dtype=np.float32))
    assert np.isfinite(flat).all()
    assert (flat[:, PLACE["the brightness of the border"]] == 0.25).all()
    assert (flat[:, PLACE["the evenness of the border"]] == 0).all()


def test_noise_is_measured_in_its_own_unit() -> None:
    """Immerkaer's estimate returns the sigma that was added."""
    noisy = add_noise(np.full((200, 210), 0.5, dtype=np.float32), 0.04, seeds.generator(6))
    assert np.exp(acquisition(noisy[None])[0, PLACE["noise"]]) == pytest.approx(0.04, rel=0.03)


@pytest.mark.parametrize(
    ("change", "feature", "up"),
    [
        (lambda film: blur(film, 1.0), "noise", False),
        (lambda film: blur(film, 1.0), "sharpness", False),
        (lambda film: blur(film, 1.0), "the finest detail", False),
        (lambda film: add_noise(film, 0.05, seeds.generator(7)), "noise", True),
        (lambda film: gamma(film, 0.7), "middle tones", True),
        (lambda film: np.ascontiguousarray(film.T), "the balance of upright and level edges", None),
    ],
)
def test_each_change_moves_its_feature(films: np.ndarray, change, feature: str, up: bool | None) -> None:
    before = acquisition(films)[:, PLACE[feature]]
    after = acquisition(np.stack([change(film) for film in films]))[:, PLACE[feature]]
    if up is None:
        assert np.allclose(after, -before)
    else:
        assert ((after > before) == up).all()


def test_images_that_are_too_small() -> None:
    for bad in (np.zeros((1, 7, 9), np.float32), np.zeros((9, 9), np.float32)):
        with pytest.raises(ValueError):
            acquisition(bad)
