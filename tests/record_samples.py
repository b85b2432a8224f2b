"""Parts of an audit record by hand: a rate, usefulness, re-identification; as fields, for the samples of a report."""

from typing import Any

from medaudit.stats.intervals import clopper_pearson


def rate(count: int, of: int) -> dict[str, float | int]:
    """A RateRecord's fields."""
    found = clopper_pearson(count, of)
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "count": count,
        "of": of,
        "confidence": found.confidence,
    }


def utility(synthetic: int, **changes: Any) -> dict[str, Any]:
    """A UtilityRecord's fields: as useful as real films, but for the changes."""
    twins = {
        "density": (1.08, 0.91, 1.22, 1.0, 0.86, 1.15),
        "coverage": (0.953, 0.911, 0.978, 0.962, 0.921, 0.991),
        "grey": (0.0113, 0.0071, 0.0164, 0.0062, 0.0021, 0.0131),
        "spectrum": (1.14, 1.09, 1.2, 1.06, 1.03, 1.11),
        "detail": (0.91, 0.87, 0.96, 1.0, 0.94, 1.07),
    }
    names = ("value", "low", "high", "real", "real_low", "real_high")
    return {
        "images": min(synthetic, 1000), "of": synthetic, "people": 90, "of_people": 90, "each": 45, "halvings": 200,
        "neighbours": 5, "labels": None, "faults": [], "wording": ["As useful as real films."],
        **{name: dict(zip(names, values, strict=True)) for name, values in {**twins, **changes}.items()},
    }  # fmt: skip


def reidentification(flagged: int, same_person: int = 0) -> dict[str, Any]:
    """A Reidentification's fields: 14 patients with follow-ups, 9 of them in T."""
    return {
        "copies": flagged - same_person,
        "same_person": same_person,
        "copy_line": 0.0,
        "line_source": "fixed",
        "follow_up_pairs": 14,
        "most_alike_follow_up": -1.25,
        "known_again": {
            "follow_ups": 9,
            "unseen": 140,
            "auc": 0.871,
            "auc_low": 0.74,
            "auc_high": 0.95,
            "named": rate(7, 9),
            "flagged": rate(2, 9),
            "detector": "structure",
            "wording": "Another picture of the same person: of 9 real follow-up films 7 named the right patient.",
        },
    }
