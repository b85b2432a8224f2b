"""Do the detectors agree? Which images several of them flag, and which only one. Axes: N images, E detectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Counts of images: what any two detectors flag, what one alone does, and whether they name one patient."""

    detectors: np.ndarray  # (N,) how many detectors flag each image
    both: np.ndarray  # (E, E) flagged by both; on the diagonal by that detector, alone or not
    alone: np.ndarray  # (E,) flagged by this detector and no other
    by_number: np.ndarray  # (E,) flagged by exactly 1, 2, ... E detectors
    several: int  # flagged by two or more
    one_patient: int  # of these: all detectors that flag it name the same patient


def agreement(flagged: Sequence[np.ndarray], patient: Sequence[np.ndarray]) -> Agreement:
    """E arrays (N,) bool of flags and E arrays (N,) of the patient codes that each detector names."""
    flags, named = np.stack(flagged), np.stack(patient)  # (E, N)
    if flags.shape != named.shape or flags.dtype != np.bool_:
        raise ValueError("each detector needs a flag and a patient for each image")
    detectors = flags.sum(axis=0)  # (N,)
    counted = flags.astype(np.int64)
    # Of the flagging detectors the smallest and the largest code are one code only where they all agree.
    lowest = np.where(flags, named, np.iinfo(np.int64).max).min(axis=0)
    highest = np.where(flags, named, np.iinfo(np.int64).min).max(axis=0)
    several = detectors >= 2
    return Agreement(
        detectors,
        counted @ counted.T,
        (flags & (detectors == 1)).sum(axis=1),
        np.bincount(detectors, minlength=len(flags) + 1)[1:],
        int(several.sum()),
        int((several & (lowest == highest)).sum()),
    )


def agreement_sentence(found: Agreement, names: Sequence[str]) -> str:
    """How far the flagged images rest on more than one detector, in words; "" where nothing was flagged."""
    total, of = int(found.by_number.sum()), len(names)
    if not total:
        return ""
    if total == 1:
        parts = [f"The flagged image was flagged by {int(found.detectors.max())} of {of} detectors"]
        if found.several:
            parts.append(f"they {'' if found.one_patient else 'do not '}name the same patient")
    else:
        parts = [
            f"Of {total:,} flagged images {found.several:,} were flagged by two or more of {of} detectors"
        ]
        if found.several:
            parts.append(f"in {found.one_patient:,} of these they name the same patient")
    lone = [f"{name} {count:,}" for name, count in zip(names, found.alone.tolist(), strict=True) if count]
    if lone:
        parts.append(f"by one alone: {', '.join(lone)}")
    return "; ".join(parts) + "."
