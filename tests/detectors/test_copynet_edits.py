"""The teacher's edits: shapes, range, one generator, and what each of them does alone."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor

from medaudit.detectors.copynet.edits import EditChances, Edited, edit
from medaudit.images import transforms
from medaudit.images.phantom import phantom

NAMES = [field.name for field in fields(EditChances)]
NOTHING = EditChances(**dict.fromkeys(NAMES, 0.0))


def films(count: int = 5, shape: tuple[int, int] = (48, 40)) -> Tensor:
    return torch.from_numpy(np.stack([phantom(40 + i, 0, shape) for i in range(count)]))[:, None]


def run(chances: EditChances | None, seed: int = 1, count: int = 5) -> Edited:
    return edit(films(count), torch.arange(count).roll(1), torch.Generator().manual_seed(seed), chances)


def only(**chances: float) -> EditChances:
    return EditChances(**{**dict.fromkeys(NAMES, 0.0), **chances})


def test_nothing_drawn_is_the_film_itself() -> None:
    edited = run(NOTHING)
    assert torch.allclose(edited.films, films(), atol=2e-6)
    assert edited.share.tolist() == [1.0] * 5


@pytest.mark.parametrize("name", NAMES)
def test_each_edit_changes_every_film_and_stays_in_range(name: str) -> None:
    edited = run(only(**{name: 1.0}), seed=3)
    assert edited.films.shape == (5, 1, 48, 40) and edited.films.dtype == torch.float32
    assert float(edited.films.min()) >= 0 and float(edited.films.max()) <= 1
    changed = (edited.films - films()).abs().amax(dim=(1, 2, 3))
    assert (changed > 1e-3).sum() >= 4, changed


def test_one_generator_decides_all() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, two, three = run(None, 7), run(None, 7), run(None, 8)
    assert torch.equal(one.films, two.films) and torch.equal(one.share, two.share)
    assert not torch.equal(one.films, three.films)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_mirror_polarity_and_equalise_are_the_plain_ones() -> None:
    image = films()[2, 0].numpy()
    for name, twin in (("mirror", transforms.mirror), ("polarity", transforms.invert)):
        found = run(only(**{name: 1.0})).films[2, 0].numpy()
        assert np.allclose(found, twin(image), atol=1e-5), name
    equalised = run(only(equalise=1.0)).films[2, 0].numpy()
    assert abs(equalised - transforms.equalise(image)).mean() < 0.02


def test_a_blend_is_the_share_it_says_it_is() -> None:
    edited = run(only(blend=1.0), seed=9)
    share = edited.share[:, None, None, None]
    assert bool(((edited.share >= 0.5) & (edited.share < 0.85)).all())
    assert torch.allclose(edited.films, share * films() + (1 - share) * films()[edited.partner], atol=1e-5)
    alone = edit(films(), torch.arange(5), torch.Generator().manual_seed(9), only(blend=1.0))
    assert alone.share.tolist() == [1.0] * 5 and torch.allclose(alone.films, films(), atol=2e-6)


def test_half_a_film_keeps_the_other_half() -> None:
    edited = edit(films(), torch.arange(5), torch.Generator().manual_seed(2), only(half=1.0))
    same = ((edited.films - films()).abs() < 1e-5).float().mean((1, 2, 3))
    assert bool(((same > 0.45) & (same < 0.8)).all()), same
