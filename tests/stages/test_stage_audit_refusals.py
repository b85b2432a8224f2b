"""audit refuses cohorts that do not belong together and options that cannot work, in one line and with nothing left."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit_parts as parts
import pytest

from medaudit.artifacts.cohort import open_cohort
from medaudit.errors import (
    ArtifactKindMismatch,
    CohortMismatch,
    EmptyCohort,
    MedauditError,
    PatientInBothSplits,
    ReferenceTooSmall,
    UsageProblem,
)
from medaudit.stages import audit


def run(folder: Path, **options: Any) -> None:
    options = {"settings": parts.settings(), "device": "cpu", **options}
    audit.run(folder / "T", folder / "H", folder / "S", folder / "A", **options)


def _same(folder: Path) -> None:
    (folder / "S").rename(folder / "gone")
    (folder / "S").symlink_to(folder / "T")


def _swapped(folder: Path) -> None:
    (folder / "x").symlink_to(folder / "T")
    (folder / "T").rename(folder / "t")
    (folder / "H").rename(folder / "T")
    (folder / "t").rename(folder / "H")


SIX = parts.films(range(500, 506))
MISMATCHES: list[tuple[Callable[[Path], None], type[MedauditError], str]] = [
    (_same, CohortMismatch, "synthetic and the training cohort are the same"),
    (_swapped, CohortMismatch, "swapped"),
    (
        lambda f: parts.rewrite(
            f, "S", SIX, [None] * 6, role="synthetic", parents={"train": open_cohort(f / "H").id}
        ),
        CohortMismatch,
        "swapped",
    ),
    (
        lambda f: parts.rewrite(f, "S", SIX, [None] * 6, role="synthetic", parents={"train": "0" * 64}),
        CohortMismatch,
        "trained on another cohort",
    ),
    (
        lambda f: parts.rewrite(f, "H", SIX, parts.names(range(500, 506)), role="all", origin="synthetic"),
        CohortMismatch,
        "--holdout",
    ),
    (
        lambda f: parts.rewrite(f, "S", SIX[:, :-1], [None] * 6, role="synthetic"),
        CohortMismatch,
        "36 x 30 .* 35 x 30; ingest both with the same --size",
    ),
    (
        lambda f: parts.rewrite(f, "H", SIX, parts.names([500, 3, 501, 4, 4, 502]), role="holdout"),
        PatientInBothSplits,
        "^2 patients appear in both",
    ),
    (lambda f: (f / "H").rename(f / "gone"), ArtifactKindMismatch, "is not a folder"),
    (
        lambda f: parts.rewrite(
            f, "T", SIX, parts.names(range(6)), role="train", marks=dict.fromkeys(range(1, 6), "x")
        ),
        ReferenceTooSmall,
        "one image",
    ),
    (
        lambda f: parts.rewrite(
            f, "H", SIX, parts.names(range(500, 506)), role="holdout", marks=dict.fromkeys(range(6), "x")
        ),
        EmptyCohort,
        "no image in use",
    ),
]


@pytest.mark.parametrize(("spoil", "error", "words"), MISMATCHES)
def test_cohorts_that_do_not_belong_together(
    tmp_path: Path, spoil: Callable[[Path], None], error: type[MedauditError], words: str
) -> None:
    parts.usual(tmp_path, SIX, train=6, holdout=6)
    spoil(tmp_path)
    with pytest.raises(error, match=words) as caught:
        run(tmp_path)
    assert "\n" not in str(caught.value) and "p-0" not in str(caught.value)
    assert not (tmp_path / "A").exists() and not (tmp_path / ".A.partial").exists()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"withheld": range(6)}, EmptyCohort, "every image is withheld"),
        ({"withheld": [6]}, UsageProblem, "not rows in use"),
        ({"alpha_spent": 0.05}, UsageProblem, "alpha"),
        ({"device": "abacus"}, UsageProblem, "abacus"),
    ],
)
def test_options_that_cannot_work(
    tmp_path: Path, options: dict[str, Any], error: type[MedauditError], words: str
) -> None:
    parts.usual(tmp_path, SIX, train=6, holdout=6)
    with pytest.raises(error, match=words):
        run(tmp_path, **options)
