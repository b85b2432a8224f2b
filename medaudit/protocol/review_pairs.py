"""The pairs of a review: flagged images beside the films they are flagged for, and controls whose truth is known.

A control is a film of T, changed as planted copies are, beside itself (a copy) or beside a film of another patient (no
copy). Axes: M films of T in use, n controls, (Y, X) pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medaudit import seeds
from medaudit.artifacts.cohort import Cohort
from medaudit.artifacts.findings import Audit
from medaudit.artifacts.review import Item
from medaudit.images.intensity import full_range_unit, resize_unit, to_depth
from medaudit.images.plants import BY_KIND, plant
from medaudit.images.similarity import rmse
from medaudit.protocol.overlay import OVERLAY_FILMS, overlay
from medaudit.protocol.sides import Side
from medaudit.stats.matching import donor_rows, plant_rows

_CANDIDATES = 20  # films of other patients, of which the most alike is put beside a control
_SMALL = 32  # px a side at which they are compared
_SHOWN_PX = 512  # longer side of a picture on the page


def flagged_pairs(tables: Sequence[pa.Table]) -> list[tuple[int, int]]:
    """Every (synthetic row, training row) that a detector flags, once; images with the most alike pair first."""
    best: dict[tuple[int, int], float] = {}
    for table in tables:
        flagged = table.filter(pc.fill_null(table.column("flagged"), False))
        columns = (flagged.column(name).to_pylist() for name in ("synthetic_id", "train_id", "score"))
        for image, film, score in zip(*columns, strict=True):
            best[image, film] = max(score, best.get((image, film), -np.inf))
    of_image: dict[int, float] = {}
    for (image, _), score in best.items():
        of_image[image] = max(score, of_image.get(image, -np.inf))
    return sorted(best, key=lambda pair: (-of_image[pair[0]], pair[0], -best[pair], pair[1]))


def first_images(pairs: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """The pairs of as many whole images as give at most `most` pairs."""
    kept = list(pairs[:most])
    if len(pairs) > most and kept and kept[-1][0] == pairs[most][0]:
        kept = [pair for pair in kept if pair[0] != pairs[most][0]]
    return kept


def unclearable(tables: Sequence[pa.Table]) -> dict[int, str]:
    """Flagged images whose flag no reviewer may clear, and why."""
    kept: dict[int, str] = {}
    for table in tables:
        flagged = table.filter(pc.fill_null(table.column("flagged"), False))
        columns = (flagged.column(name).to_pylist() for name in ("synthetic_id", "distance", "relation"))
        for image, distance, relation in zip(*columns, strict=True):
            if distance == 0:
                kept[image] = "it is an exact copy"
            elif relation == "same-person":
                kept.setdefault(image, "the audit calls it the same person, which no control here measures")
    return kept


def controls(train: Side, audit: Audit, kinds: Sequence[str], count: int, seed: int) -> list[Item]:
    """At most `count` planted copies and as many pairs of different people; items without an id yet.

    Kinds take turns; those that need another film's help are left out. Patients with a listed near-duplicate of
    another patient give none, because who is who is in doubt there.
    """
    usable = [kind for kind in kinds if not BY_KIND[kind].needs] or ["identity"]
    doubled = [
        row for where, a, b in audit.duplicates.pairs for row in ((a, b) if where == "train" else (a,))
    ]
    avoid = np.unique(train.groups[np.isin(train.rows, doubled)])
    made: list[Item] = []
    for control in ("planted", "different"):
        rng = seeds.generator(seed, "review", control)
        places = rng.permutation(plant_rows(train.groups, avoid, count, rng))
        if control == "different" and train.people < 2:
            break
        for turn, place in enumerate(places):
            beside = place if control == "planted" else _most_alike_other(train, int(place), avoid, rng)
            made.append(
                Item(
                    item="0" * 16,
                    control=control,  # type: ignore[arg-type]
                    synthetic_id=None,
                    train_id=int(train.rows[beside]),
                    made_of=int(train.rows[place]),
                    plant=usable[turn % len(usable)],
                )
            )
    return made


def _most_alike_other(train: Side, place: int, avoid: np.ndarray, rng: np.random.Generator) -> int:
    """Of some films of other patients, the place of the one most like this one: a pair that is not told at a glance."""
    others = donor_rows(train.groups, np.full(_CANDIDATES, place), rng)
    sure = others[~np.isin(train.groups[others], avoid)]
    others = np.unique(sure if sure.size else others)
    small = (_SMALL, _SMALL)
    own = resize_unit(train.images(np.array([place]))[0], small)
    apart = [rmse(own, resize_unit(film, small)) for film in train.images(others)]
    return int(others[int(np.argmin(apart))])


def shuffled(items: Sequence[Item], page: str, seed: int) -> list[Item]:
    """The items in a blinded order, each with an id that says nothing."""
    order = seeds.generator(seed, "review", "order", page).permutation(len(items))
    numbers = seeds.generator(seed, "review", "items", page).bytes(8 * len(items)).hex()
    return [
        items[place].model_copy(update={"item": numbers[16 * turn : 16 * turn + 16]})
        for turn, place in enumerate(order)
    ]


@dataclass(frozen=True)
class Drawn:
    """What the page shows of an item: three (Y, X) uint8 pictures and what was done to the film."""

    image: np.ndarray
    film: np.ndarray  # laid over the image where that helps
    untouched: np.ndarray | None  # the film as it is, where it was laid over
    done: str


def draw(items: Sequence[Item], train: Cohort, synthetic: Cohort, seed: int) -> Iterator[Drawn]:
    """The pictures of the items in order; a control passes through the depth and the size of S."""
    shape = synthetic.image_shape
    bits = 8 * synthetic.pixels.dtype.itemsize
    over = overlay(np.stack([resize_unit(film, shape) for film in train.unit(slice(0, OVERLAY_FILMS))]))
    shown = _shown(shape)
    for item in items:
        if item.control:
            own = train.unit([item.made_of])[0]  # type: ignore[list-item]
            rng = seeds.generator(seed, "review", "plant", str(item.plant), int(item.made_of or 0))
            image = resize_unit(plant(str(item.plant), own, rng), shape)
            image = full_range_unit(to_depth(image, synthetic.pixels.dtype), bits)
        else:
            image = synthetic.unit([item.synthetic_id])[0]  # type: ignore[list-item]
        film = resize_unit(train.unit([item.train_id])[0], shape)
        laid, done = over(image, film)
        pictures = [to_depth(resize_unit(one, shown), np.uint8) for one in (image, laid, film)]
        yield Drawn(pictures[0], pictures[1], pictures[2] if done else None, done)


def _shown(shape: tuple[int, int]) -> tuple[int, int]:
    """The size of a picture on the page."""
    share = min(1.0, _SHOWN_PX / max(shape))
    return max(1, round(share * shape[0])), max(1, round(share * shape[1]))
