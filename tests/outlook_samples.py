"""What follows from the audits of report_samples: the second look, the source check, the next steps."""

from typing import Any


def source(holdout: int) -> dict[str, Any]:
    """T and H of one source."""
    return {
        "p_value": 0.31,
        "level": 0.001,
        "differs": False,
        "feature": "sharpness",
        "difference": -0.12,
        "train_people": 50,
        "holdout_people": holdout,
        "permutations": 10_000,
    }


def remainder(synthetic: int, flagged: int) -> dict[str, Any]:
    """Withholding is not enough."""
    return {
        "verdict": "do-not-release",
        "reasons": ["The set as a whole is too close to the training patients."],
        "withheld": flagged,
        "synthetic": synthetic - flagged,
        "distinct": synthetic - flagged,
        "flagged": 0,
        "suspects": 5,
        "cohort_rejects": True,
        "excess_p": 0.0001,
        "run_p": 0.2,
        "minimum_power": 0.93,
        "hidden_copies": 1,
        "alpha": 0.025,
        "enough": False,
        "wording": _not_enough(synthetic, flagged),
    }


def next_steps(case: str, synthetic: int, flagged: int) -> list[str]:
    """Of a refused, a supported or an inconclusive audit."""
    return {
        "refused": [
            _not_enough(synthetic, flagged),
            "Train again so that the model remembers less: on more patients, or with fewer passes over them; then "
            "generate and audit a new set.",
            "Run dedup on the real cohort before the next training: 2 pairs of training films stand under two "
            "patients, and repeated films are remembered first.",
        ],
        "supported": [],
        "inconclusive": [
            "Keep more patients away from the model: with at least 2 more held-out patients the audit could have "
            "come to a verdict; half and half is best.",
            "Make the audit see more: it missed too many blurred copies. More held-out patients lower the line, "
            "larger images (--size) tell people better apart, and fewer synthetic images need a less strict line.",
        ],
    }[case]


def _not_enough(synthetic: int, flagged: int) -> str:
    return (
        f"Withholding the {flagged:,} flagged images would not be enough: among the remaining "
        f"{synthetic - flagged:,} images, the cohort test still rejects."
    )
