"""Which pairs a page shows, in which order, and whose flags no reviewer may clear. Rows of S 1 to 4, of T 11 to 19."""

import pyarrow as pa

from medaudit.artifacts.findings import MATCH_SCHEMA
from medaudit.artifacts.review import Item
from medaudit.protocol.review_pairs import first_images, flagged_pairs, shuffled, unclearable


def row(image: int, film: int, score: float, flagged: bool = True, **facts: object) -> dict[str, object]:
    blank = {
        "synthetic_id": image,
        "train_id": film,
        "detector": "rmse",
        "score": score,
        "distance": 0.1,
        "p_value": 1.0,
    }
    more = {"q_value": 1.0, "eidetic_k": 1, "eidetic_patients": 1, "flagged": flagged, "suspect": False}
    return {**blank, **more, **facts}


def table(*rows: dict[str, object]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=MATCH_SCHEMA)


FIRST = table(row(1, 11, 2.0), row(2, 12, 5.0), row(3, 13, 9.0, flagged=False))
SECOND = table(row(1, 11, 3.0), row(1, 14, 4.0), row(4, 15, float("inf"), distance=0.0), row(2, 12, 1.0))


def test_every_flag_of_every_detector_is_shown_once() -> None:
    """Images by their most alike pair, an exact copy first; the pairs of one image stay together."""
    assert flagged_pairs([FIRST, SECOND]) == [(4, 15), (2, 12), (1, 14), (1, 11)]
    assert flagged_pairs([FIRST.slice(2)]) == []


def test_an_image_is_shown_with_all_its_pairs_or_not_at_all() -> None:
    pairs = flagged_pairs([FIRST, SECOND])
    assert first_images(pairs, 4) == pairs and first_images(pairs, 99) == pairs
    assert first_images(pairs, 3) == pairs[:2] and first_images(pairs, 1) == pairs[:1]
    assert first_images([(1, 11), (1, 12)], 1) == []


def test_exact_copies_and_other_pictures_of_a_person_are_not_cleared_by_looking() -> None:
    person = table(row(2, 12, 1.0, relation="same-person"), row(1, 11, 1.0, relation="copy"))
    found = unclearable([person, SECOND])
    assert set(found) == {2, 4} and "exact" in found[4] and "same person" in found[2]
    assert unclearable([table(row(3, 13, 9.0, flagged=False, distance=0.0))]) == {}


def test_the_order_and_the_names_of_items_say_nothing() -> None:
    items = [
        Item(item="0" * 16, control="planted" if n < 40 else "", synthetic_id=None, train_id=n)
        for n in range(80)
    ]
    found, again, other = (shuffled(items, "page", seed) for seed in (1, 1, 2))
    assert found == again != other
    assert sorted(one.train_id for one in found) == list(range(80))
    assert len({one.item for one in found}) == 80
    by_name = [one.control for one in sorted(found, key=lambda one: one.item)]
    half = sum(one == "planted" for one in by_name[:40])
    assert 8 < half < 32  # names sort apart from what items are
    assert not {one.item for one in found} & {one.item for one in other}
