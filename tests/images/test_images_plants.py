"""The planted copies: every kind makes a copy of the promised strength, and says so."""

import numpy as np
import pytest

from medaudit.config import PLANTED_KINDS, REQUIRED_KINDS
from medaudit.images import similarity, transforms
from medaudit.images.phantom import phantom
from medaudit.images.plants import BY_KIND, PLANTS, Donor, plant
from medaudit.images.principal import PrincipalAxes


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    return phantom(5, 0, (97, 83))  # sides that no block of 8 divides


@pytest.fixture(scope="module")
def donor() -> Donor:
    others = np.stack([phantom(person, 0, (97, 83)) for person in range(10, 19)])
    return Donor(others[0], PrincipalAxes.of(others, 3).round_trip)


@pytest.mark.parametrize("kind", PLANTED_KINDS)
def test_plants_keep_shape_range_and_source(kind: str, film: np.ndarray, donor: Donor) -> None:
    before = film.copy()
    planted = plant(kind, film, np.random.default_rng(3), donor)
    again = plant(kind, film, np.random.default_rng(3), donor)
    assert planted.shape == film.shape and planted.dtype == np.float32
    assert planted.min() >= 0 and planted.max() <= 1
    assert planted.tobytes() == again.tobytes()
    assert np.array_equal(film, before) and not np.shares_memory(planted, film)
    assert (similarity.rmse(film, planted) == 0) == (kind == "identity")


def test_every_kind_of_the_settings_is_planted_and_described() -> None:
    assert [made.kind for made in PLANTS] == list(PLANTED_KINDS) and len(PLANTS) == 30
    assert set(REQUIRED_KINDS) < set(PLANTED_KINDS)
    assert all(made.words and made.strength for made in PLANTS)
    with pytest.raises(ValueError, match="known: identity"):
        plant("smear", np.zeros((8, 8), dtype=np.float32), np.random.default_rng(0))


@pytest.mark.parametrize("kind", [made.kind for made in PLANTS if made.needs])
def test_a_kind_that_needs_a_donor_says_so(kind: str, film: np.ndarray) -> None:
    with pytest.raises(ValueError, match=BY_KIND[kind].needs):
        plant(kind, film, np.random.default_rng(0))


def test_the_weaker_edit_of_a_family_comes_first(film: np.ndarray, donor: Donor) -> None:
    families: dict[str, list[str]] = {}
    for made in PLANTS:
        families.setdefault(made.family, []).append(made.kind)
    pairs = [kinds for kinds in families.values() if len(kinds) > 1]
    assert len(pairs) == 8
    for kinds in pairs:
        changes = [
            similarity.rmse(film, plant(kind, film, np.random.default_rng(1), donor)) for kind in kinds
        ]
        assert changes == sorted(changes), kinds


def test_the_words_carry_the_numbers_that_are_used() -> None:
    for made in PLANTS:
        number = made.kind.rsplit("-", 1)[-1]
        if number.replace(".", "").isdigit():
            assert number in made.strength, made.kind


def test_planted_blur_grows_with_the_film() -> None:
    point = np.zeros((300, 201), dtype=np.float32)
    point[150, 100] = 1.0
    planted = plant("blur-3", point, np.random.default_rng(0)).astype(np.float64)
    spread = np.sqrt((planted.sum(axis=1) * (np.arange(300) - 150.0) ** 2).sum() / planted.sum())
    assert spread == pytest.approx(3 / 224 * 300, rel=0.02)


def test_planted_shifts_go_every_way_by_the_share_they_name() -> None:
    point = np.zeros((100, 60), dtype=np.float32)
    point[50, 30] = 1.0
    rng = np.random.default_rng(0)
    moves = set()
    for _ in range(60):
        (y,), (x,) = np.nonzero(plant("shift-8", point, rng))
        moves.add((int(y) - 50, int(x) - 30))
    assert moves == {(8, 5), (-8, 5), (8, -5), (-8, -5)}


def test_the_text_box_covers_its_share_and_lies_inside(film: np.ndarray) -> None:
    for seed in range(5):
        painted = plant("text-box", np.zeros_like(film), np.random.default_rng(seed))
        assert painted.sum() == round(97 * 40 / 224) * round(83 * 120 / 224)


def test_three_edits_touch_geometry_tone_and_detail(film: np.ndarray) -> None:
    planted = [plant("three", film, np.random.default_rng(seed)) for seed in range(12)]
    assert len({image.tobytes() for image in planted}) >= 10
    assert all(similarity.rmse(film, image) > 0.01 for image in planted)


def test_round_trip_keeps_what_the_axes_hold() -> None:
    films = np.stack([phantom(person, 0, (24, 17)) for person in range(7)])
    whole = PrincipalAxes.of(films, 20)
    assert whole.axes.shape == (24 * 17, 6)  # seven films span six axes about their mean
    assert np.allclose(whole.axes.T @ whole.axes, np.eye(6), atol=1e-4)
    assert similarity.rmse(whole.round_trip(films[3]), films[3]) < 1e-3
    few = PrincipalAxes.of(films, 2)
    flat = films.reshape(7, -1).astype(np.float64)
    vectors = np.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][:2]
    twin = flat.mean(0) + (flat[3] - flat.mean(0)) @ vectors.T @ vectors
    assert np.allclose(few.round_trip(films[3]).ravel(), np.clip(twin, 0, 1), atol=1e-4)
    with pytest.raises(ValueError, match="least"):
        PrincipalAxes.of(films[:1], 2)


def test_donor_is_blended_by_its_share(film: np.ndarray, donor: Donor) -> None:
    assert donor.other is not None
    blended = plant("blend-0.7", film, np.random.default_rng(0), donor)
    assert np.allclose(blended, transforms.blend(film, donor.other, 0.7))
    assert BY_KIND["blend-0.5"].either and not BY_KIND["blend-0.7"].either
