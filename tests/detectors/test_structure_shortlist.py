"""Rounded numbers set films aside and never one of the best: bounds against float64, choices against everything.

Axes: P=23 poses, M=301 films, D=37 values; unequal.
"""

import pytest
import torch
import torch.nn.functional as F

from medaudit.detectors.structure.films import read_films
from medaudit.detectors.structure.shortlist import BLOCK, Shortlist, blocks, largest, rounding_for
from medaudit.detectors.structure.sweep import PoseSweep
from medaudit.devices import multiplies_int8
from medaudit.images.phantom import phantom

KINDS = [
    pytest.param(
        torch.int8, marks=pytest.mark.skipif(not multiplies_int8(), reason="this CPU has no units for int8")
    ),
    torch.bfloat16,
]


def vectors(count: int, seed: int, width: int = 37) -> torch.Tensor:
    """(count, width) of length 1, a few values much larger than the rest, as whitened films have."""
    drawn = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return F.normalize(drawn * torch.linspace(3, 0.3, width))


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_and_are_tight(kind: torch.dtype) -> None:
    films, posed = vectors(1301, 0), vectors(23, 1)
    low, high = Shortlist(films, kind).bounds(posed)
    true = (posed.double() @ films.double().T).abs().amax(dim=0)
    assert len(list(blocks(len(films), films.device))) > 1
    assert torch.all(low <= true) and torch.all(true <= high)
    assert float((high - low).max()) < 0.08


@pytest.mark.parametrize("kind", KINDS)
def test_the_most_alike_are_never_set_aside(kind: torch.dtype) -> None:
    for seed in range(20):
        films, posed = vectors(301, seed), vectors(23, 100 + seed)
        films[7:60] = F.normalize(
            films[7:8] + 0.02 * vectors(53, 200 + seed)
        )  # a crowd that rounding mixes up
        posed[3] = films[7]
        true = (posed.double() @ films.double().T).abs().amax(dim=0)
        left = Shortlist(films, kind).places(posed, 5)
        assert set(true.topk(5).indices.tolist()) <= set(left.tolist())
        assert torch.equal(left, left.sort().values) and len(left) < 150


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_barred_comes_last_and_may_still_fill_up(kind: torch.dtype) -> None:
    films, posed = vectors(301, 0), vectors(23, 1)
    shortlist = Shortlist(films, kind)
    barred = torch.zeros(301, dtype=torch.bool)
    barred[shortlist.places(posed, 1)] = True
    assert not barred[shortlist.places(posed, 5, barred)].any()
    barred[3:] = True
    assert len(shortlist.places(posed, 5, barred)) == 301


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_without_content_keeps_everyone(kind: torch.dtype) -> None:
    assert len(Shortlist(vectors(301, 0), kind).places(torch.zeros(23, 37), 5)) == 301


@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_answers_as_without_a_shortlist(kind: torch.dtype) -> None:
    films = read_films(torch.stack([torch.from_numpy(phantom(i, 0, (33, 40))) for i in range(60)]).numpy())
    coarse = films.contrast["middle"]
    sweep = PoseSweep(coarse)
    barred = torch.zeros(7, 60, dtype=torch.bool)
    barred[2, 2:9] = True
    sweep.shortlist = None
    plain = sweep.ask(coarse[:7], 4, barred)
    sweep.shortlist = Shortlist(sweep.films, kind)
    short = sweep.ask(coarse[:7], 4, barred)
    assert torch.equal(plain.row, short.row) and torch.equal(plain.sign, short.sign)
    assert torch.equal(plain.pose, short.pose)
    assert torch.allclose(plain.likeness, short.likeness, atol=1e-6)


def test_films_read_in_parts_are_the_films_read_at_once() -> None:
    films = read_films(torch.stack([torch.from_numpy(phantom(i, 0, (33, 40))) for i in range(23)]).numpy())
    coarse = films.contrast["middle"]
    whole, parts = PoseSweep(coarse), PoseSweep(iter([coarse[:9], coarse[9:10], coarse[10:]]), 23)
    assert whole.films.shape == parts.films.shape
    assert torch.equal(whole.ask(coarse[:5], 3).row, parts.ask(coarse[:5], 3).row)
    with pytest.raises(ValueError, match="24 films"):
        PoseSweep(iter([coarse]), 24)


def test_it_is_taken_where_it_pays() -> None:
    cpu = torch.device("cpu")
    assert rounding_for(cpu) == (torch.int8 if multiplies_int8() else None)
    assert rounding_for(torch.device("meta")) is None
    assert Shortlist.of(vectors(20, 0)) is None
    assert (Shortlist.of(vectors(BLOCK, 0)) is None) == (rounding_for(cpu) is None)


def test_the_largest_is_of_either_sign() -> None:
    found = largest(torch.tensor([[0.1, -0.9, 0.3], [-0.5, 0.2, 0.4]]))
    assert found.tolist() == pytest.approx([0.5, 0.9, 0.4])
