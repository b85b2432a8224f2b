"""Is S of any use? Its images beside films of unseen people, which never decides a verdict.

At most PEOPLE films and IMAGES images are drawn, whatever the cohorts hold: the record says how many of how many.
Memory: their descriptions (about 6 KB each) and PEOPLE x PEOPLE distances, under 150 MB beside the mapped pixel files.

Axes: P unseen people (one film each), G images of S, L labels.
"""

from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from medaudit import seeds
from medaudit.artifacts.utility import TwinRecord, UtilityRecord
from medaudit.detectors.contrast import LocalContrast
from medaudit.images.spectrum import fine_rings, grey_shares, radial_log_power
from medaudit.progress import SILENT, Progress
from medaudit.protocol.sides import Side
from medaudit.stats.usefulness import findings, sentences
from medaudit.stats.utility import FEWEST, NEIGHBOURS, Described, Twin, figures

IMAGES = 1000
PEOPLE = 2000  # two halves of as many films as images
HALVINGS = 200
_AT_ONCE = 32  # images in memory
_FIELDS = ("density", "coverage", "grey", "spectrum", "detail", "labels")


def judge_utility(
    synthetic: Side, holdout: Side, seed: int, progress: Progress = SILENT
) -> UtilityRecord | None:
    """S beside H in density and coverage, grey values, spectrum and labels; None with too few images or people."""
    rng = seeds.generator(seed, "utility")
    films = _one_film_each(holdout, rng)[:PEOPLE]  # (P,)
    images = np.sort(rng.permutation(len(synthetic))[:IMAGES])  # (G,)
    if min(len(films) // 2, len(images)) < FEWEST:
        return None
    progress.start("utility", len(films) + len(images))
    known = _known_labels(synthetic, holdout)
    own, real = (
        _described(side, places, known, progress.advance)
        for side, places in ((synthetic, images), (holdout, films))
    )
    found = figures(own, real, fine_rings(), halvings=HALVINGS, rng=rng)
    if found is None:
        return None
    return UtilityRecord(
        images=len(images),
        of=len(synthetic),
        people=len(films),
        of_people=holdout.people,
        each=found.each,
        halvings=HALVINGS,
        neighbours=NEIGHBOURS,
        **{name: _record(getattr(found, name)) for name in _FIELDS},
        faults=list(findings(found)),
        wording=list(sentences(found)),
    )


def utility_line(record: UtilityRecord | None) -> list[str]:
    """The line of an audit on the screen."""
    if record is None:
        return [f"utility: not judged, as it needs {FEWEST} images and {2 * FEWEST} unseen people"]
    density, coverage = record.density, record.coverage
    return [
        f"utility (no part of the verdict): {' '.join(record.wording)} Film density {density.value:.2f} (real films "
        f"{density.real:.2f}), film coverage {coverage.value:.2f} (real films {coverage.real:.2f})"
    ]


def _one_film_each(side: Side, rng: np.random.Generator) -> np.ndarray:
    """Places of one film of each person, drawn at random, people in random order."""
    order = rng.permutation(len(side))
    _, first = np.unique(side.groups[order], return_index=True)
    return order[np.sort(first)]


def _described(side: Side, places: np.ndarray, known: list[str], advance: Callable[[int], None]) -> Described:
    parts = []
    local = LocalContrast()
    for start in range(0, len(places), _AT_ONCE):
        images = side.images(places[start : start + _AT_ONCE])
        parts.append((local.describe(images)[:, 0], grey_shares(images), radial_log_power(images)))
        advance(len(images))
    vectors, grey, power = (np.concatenate(column) for column in zip(*parts, strict=True))
    labels = [side.cohort.labels[row] for row in side.rows[places]]
    has = np.array([[name in own for name in known] for own in labels], dtype=bool)
    return Described(vectors, grey, power, has.reshape(len(places), len(known)))


def _known_labels(*sides: Side) -> list[str]:
    return sorted({name for side in sides for row in side.rows for name in side.cohort.labels[row]})


def _record(twin: Twin | None) -> TwinRecord | None:
    return None if twin is None else TwinRecord(**asdict(twin))
