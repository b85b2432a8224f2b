"""Dividing people into two groups: pure, by a generator handed in.

Axes: N rows, P distinct patients.
"""

import numpy as np


def partition_patients(
    patients: np.ndarray,
    rng: np.random.Generator,
    fraction: float = 0.5,
    first: int | None = None,
    second: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N,) of patients → (rows of the first group, rows of the second), each ascending int64.

    `first` and `second` are numbers of patients; without them the first group gets `fraction` of the patients,
    rounded, and the second the rest. Where both are given, patients beyond them are in neither. Patients are
    drawn in the order of their first row, so the outcome does not depend on how they are spelled.
    Raises ValueError when a group would be empty or the patients do not suffice.
    """
    codes: dict[object, int] = {}
    of_row = np.array([codes.setdefault(patient, len(codes)) for patient in patients], dtype=np.int64)  # (N,)
    count = len(codes)
    if not 0 < fraction < 1:
        raise ValueError("the fraction must lie between 0 and 1")
    if first is None:
        first = round(fraction * count) if second is None else count - second
    if second is None:
        second = count - first
    if first < 1 or second < 1:
        raise ValueError(f"each part needs a patient; there are {count}")
    if first + second > count:
        raise ValueError(f"{first} and {second} patients were asked for and there are {count}")
    order = rng.permutation(count)  # (P,)
    group = np.zeros(count, dtype=np.int8)  # (P,) 1: first, 2: second, 0: neither
    group[order[:first]] = 1
    group[order[first : first + second]] = 2
    return np.flatnonzero(group[of_row] == 1), np.flatnonzero(group[of_row] == 2)
