"""How the loops of this room are compiled.

Sums are in the compiler's order (`reassoc`), which is the same for one processor; nothing depends on it but the last
digit of a distance, and an exact copy is at 0 in any order.
"""

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter's lock; kept for the next process where there is a place to keep it."""
    options: Any = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # a read-only installation and no home
        return numba.njit(**options)(function)
