"""What float32 may lose, and how the search keeps it from mattering.

The inner product of two float32 vectors, summed in any order, with or without fused steps, errs by at most
gamma_D |a| |b| with gamma_D = D u / (1 - D u) and u = 2^-24 (Higham 2002, eq. 3.5, and Cauchy-Schwarz).
|a|^2 + |b|^2 - 2 a.b is one inner product of vectors with D + 2 entries; because 2 |a| |b| <= |a|^2 + |b|^2, its error
is at most `slack(D)` times |a|^2 + |b|^2, and scaling the norms by 1 - slack turns the estimate into a lower bound
at no cost. So nothing that is computed this way is an answer: it only says which pairs need not be measured.

Axes: D values of a vector.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_UNIT = 2.0**-24  # unit roundoff of float32
_LARGEST = 2.0**50  # of a value: squares of many still add up in float32
TINY = 2.0**-120  # covers gradual underflow of one product, with room


def slack(values: int) -> float:
    """Relative error of |a|^2 + |b|^2 - 2 a.b in float32 for vectors of `values` entries.

    gamma_(D + 2) times |a|^2 + |b|^2 + 2 |a| |b|, which is at most twice |a|^2 + |b|^2; 32 u for rounding both vectors
    and the norms (6 u), with room to spare.
    """
    product = (values + 2) * _UNIT / (1.0 - (values + 2) * _UNIT)
    return 2.0 * product + 32.0 * _UNIT


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep matrix products in true float32 (no TF32, no bfloat16), whatever the process asked for elsewhere."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def checked(vectors: np.ndarray, what: str) -> np.ndarray:
    """The vectors as float32, one after the other in memory: loops over another layout are compiled otherwise, and
    differ in the last digit of a distance. Raises ValueError for a value that is not finite, or whose square is not.
    """
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.size and not max(-float(vectors.min()), float(vectors.max())) < _LARGEST:
        raise ValueError(f"{what} hold a value that is not finite")
    return vectors
