"""The over-trained model: it gives its films back, by seed, at any shape. Axes: k films, (Y, X) pixels unequal."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from medaudit.generators.overtrained import HeartLearner, Scale, overtrained

SHAPE = (19, 14)


def films(count: int = 5) -> np.ndarray:
    """(k, Y, X) float32 in [0, 1]."""
    rough = np.random.default_rng(6).standard_normal((count, *SHAPE))
    smooth = ndimage.gaussian_filter(rough, (0, 2, 2))
    return np.clip(0.5 + smooth / smooth.std() / 6, 0, 1).astype(np.float32)


def test_it_learns_its_films_by_heart() -> None:
    shown = films()
    before = overtrained(shown, 1, 3, "cpu").sample(20, 9)
    made = overtrained(shown, 500, 3, "cpu").sample(20, 9)
    nearest = [np.sqrt(np.square(part[:, None] - shown).mean((2, 3))) for part in (before, made)]
    assert made.shape == (20, *SHAPE) and made.dtype == np.float32
    assert np.median(nearest[1].min(1)) < 0.03 < np.median(nearest[0].min(1))
    assert len(set(nearest[1].argmin(1))) >= 4  # not one film over and over


def test_the_seed_says_everything() -> None:
    shown = films()
    first, again, other = (overtrained(shown, 4, seed, "cpu").sample(3, 1) for seed in (2, 2, 5))
    assert first.tobytes() == again.tobytes() != other.tobytes()


def test_films_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(ValueError, match="all the same"):
        overtrained(np.repeat(films(1), 5, axis=0), 4, 0, "cpu")


@pytest.mark.parametrize("shape", [(16, 16), (33, 7), (5, 40), (1, 3)])
def test_any_shape(shape: tuple[int, int]) -> None:
    network = HeartLearner(shape)
    assert network(torch.zeros(2, 1, *shape), torch.zeros(2)).shape == (2, 1, *shape)


def test_the_scale_is_undone() -> None:
    clean = torch.from_numpy(films() * 2 - 1)[:, None]
    scale = Scale.of(clean)
    inward = scale.inward(clean)
    assert float(inward.square().mean().sqrt()) == pytest.approx(0.5, rel=1e-4)
    seen: list[torch.Tensor] = []

    def keep(x: torch.Tensor, sigma: torch.Tensor, classes: torch.Tensor | None) -> torch.Tensor:
        seen.append(sigma)
        return x

    back = scale.wrapped(keep)(clean, torch.full((5,), 3.0), None)
    assert torch.allclose(back, clean, atol=1e-5) and torch.allclose(
        seen[0], torch.tensor(3.0 / scale.spread)
    )
