"""The evidence of a pair: the film is laid over its copy, the words say how, and a stranger is left as it is."""

import numpy as np
import pytest
from scipy import ndimage

from medaudit.images import transforms as edit
from medaudit.images.similarity import rmse
from medaudit.protocol.overlay import Overlay, overlay

SHAPE = (96, 84)
MIDDLE = slice(15, -15)


def film(seed: int) -> np.ndarray:
    draw = np.random.Generator(np.random.Philox(seed))
    noise = sum(ndimage.gaussian_filter(draw.standard_normal(SHAPE), s) * s for s in (1.5, 3, 6))
    return np.clip(0.5 + noise / (4 * noise.std()), 0.02, 0.98).astype(np.float32)


FILMS = np.stack([film(seed) for seed in range(12)])


@pytest.fixture(scope="module")
def over() -> Overlay:
    return overlay(FILMS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit.mirror, "mirrored"),
        (lambda image: edit.rotate(image, 8), "turned by 8 degrees"),
        (lambda image: edit.shift(image, 0, 6), "moved by 7%"),
        (lambda image: edit.crop_zoom(image, 0.8), "at 125% of its size"),
        (lambda image: edit.invert(edit.mirror(image)), "mirrored, black for white"),
    ],
)
def test_a_copy_is_met_by_its_film(over: Overlay, change, words: str) -> None:
    copy = change(FILMS[4])
    laid, said = over(copy, FILMS[4])
    assert laid.shape == copy.shape
    before, after = (rmse(one[MIDDLE, MIDDLE], copy[MIDDLE, MIDDLE]) for one in (FILMS[4], laid))
    assert after < 0.25 * before
    assert said == words


def test_a_copy_as_it_is_and_a_stranger_are_shown_as_they_are(over: Overlay) -> None:
    laid, said = over(FILMS[2], FILMS[2])
    assert said == "" and np.array_equal(laid, FILMS[2])
    constant = np.full(SHAPE, 0.5, dtype=np.float32)
    laid, said = over(constant, FILMS[2])
    assert said == "" and np.array_equal(laid, FILMS[2])
