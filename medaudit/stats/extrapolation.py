"""How a leak curve goes on: how many patients more images would give away, from what was seen so far."""

import numpy as np


def patients_after(
    found: int, generated: int, new_rate: float, total: float, more: np.ndarray
) -> np.ndarray | None:
    """Patients expected after `more` (J,) further images; None where the counts allow no forecast.

    `new_rate` is the share of images that show a patient seen once (Good-Turing, f1 / n), `total` Chao1's estimate.
    Colwell et al. 2012, eq. 9: S(n + m) = S + f0 (1 - (1 - f1 / (n f0 + f1)) ** m).
    """
    singles, unseen = new_rate * generated, total - found
    if generated <= 0 or unseen <= 0 or singles <= 0:
        return None
    return found + unseen * -np.expm1(more * np.log1p(-singles / (generated * unseen + singles)))
