"""The pairs of pictures of a confidential report, fetched from the cohorts that the findings are about."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medaudit.artifacts.cohort import Cohort, open_cohort
from medaudit.artifacts.store import Artifact
from medaudit.errors import CohortMismatch, UsageProblem
from medaudit.images.intensity import resize_unit
from medaudit.stages.evidence import Evidence

if TYPE_CHECKING:
    from medaudit.render.confidential import Pictures


def open_pictures(evidence: Evidence, train: Path | None, synthetic: Path | None) -> "Pictures | None":
    """A way to fetch pairs from T and S; None when neither is given. Raises CohortMismatch for other cohorts."""
    if train is None and synthetic is None:
        return None
    if train is None or synthetic is None:
        raise UsageProblem("pairs of pictures come from two cohorts; give both --train and --synthetic")
    from medaudit.protocol.overlay import OVERLAY_FILMS, overlay

    theirs, ours = cohorts_of(evidence.leading, train, synthetic)
    some = [resize_unit(film, ours.image_shape) for film in theirs.unit(slice(0, OVERLAY_FILMS))]
    over = overlay(np.stack(some))

    def pictures(synthetic_row: int, train_row: int) -> tuple[np.ndarray, np.ndarray, str]:
        image, film = ours.unit([synthetic_row])[0], theirs.unit([train_row])[0]
        return image, *over(image, resize_unit(film, ours.image_shape))

    return pictures


def cohorts_of(findings: Artifact, train: Path, synthetic: Path) -> tuple[Cohort, Cohort]:
    """T and S, opened. Raises CohortMismatch unless they are those that the findings are about."""
    theirs, ours = open_cohort(train), open_cohort(synthetic)
    for cohort, path, role in ((theirs, train, "train"), (ours, synthetic, "synthetic")):
        if findings.lineage.get(role) != cohort.id:
            raise CohortMismatch(f"{path} is not the cohort that the findings call {role}; give that one")
    return theirs, ours
