"""What the calibration plot and the chart of exposed patients are drawn from: quantiles and counts, nobody's own value.

Axes: N synthetic images, R reference patients.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from medaudit.render.allowed import Aggregate
from medaudit.render.histogram import suppress
from medaudit.stats.placement import placement

# Images that name one patient, from (with) to (without), and how the class is printed.
EXPOSURE_CLASSES = {(1, 2): "1", (2, 4): "2 to 3", (4, 10): "4 to 9", (10, 1 << 62): "10 or more"}


class CalibrationFacts(Aggregate):
    """Where unseen people stand among the training people of the reference; ten people or more between two levels."""

    expected: tuple[float, ...]
    unseen: tuple[float, ...]
    synthetic: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    outside: int


class ExposureFacts(Aggregate):
    """How many training patients are named by how many flagged images; None is a cell not shown."""

    images: tuple[str, ...]
    patients: tuple[int | None, ...]


def calibration_facts(ours: pa.Table, theirs: pa.Table) -> CalibrationFacts | None:
    """Unseen people and synthetic images among training people; None for a detector whose reference has none."""
    scores = column(theirs, "score")  # (R,)
    sources = np.array(theirs.column("source").to_pylist())
    found = placement(scores[sources == "holdout"], column(ours, "score"), scores[sources == "train"])
    if found is None:
        return None
    names = [name for name in CalibrationFacts.model_fields if name != "outside"]
    values = {name: tuple(float(f"{value:.3g}") for value in getattr(found, name)) for name in names}
    return CalibrationFacts(**values, outside=found.outside)


def exposure_facts(matches: pa.Table | None, hide: bool) -> ExposureFacts | None:
    """Training patients by how many flagged images name them; `matches` has a row per image and detector."""
    if matches is None:
        return None
    flagged = matches.filter(pc.and_(matches.column("flagged"), pc.is_valid(matches.column("patient"))))
    if len(flagged) == 0:
        return None
    pairs = flagged.group_by(["patient", "synthetic_id"]).aggregate([])
    images = (
        pairs.group_by("patient")
        .aggregate([("synthetic_id", "count")])
        .column("synthetic_id_count")
        .to_numpy()
    )
    counts = np.array([((images >= low) & (images < high)).sum() for low, high in EXPOSURE_CLASSES])
    shown = suppress(counts) if hide else [int(count) for count in counts]
    return ExposureFacts(images=tuple(EXPOSURE_CLASSES.values()), patients=tuple(shown))


def column(table: pa.Table, name: str) -> np.ndarray:
    """A column as float64, (N,)."""
    return table.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
