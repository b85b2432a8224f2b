"""Who searches: this process, or the workers of a Ray cluster. Either gives the same bytes.

Axes: G queries, M references.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from medaudit.errors import UsageProblem

if TYPE_CHECKING:
    from medaudit.search.nearest import Neighbours

LOCAL, RAY = "local", "ray"


class Engine(Protocol):
    """Searches over what was published, and spreads other work; `workers` parts at once, `apart` from here or not."""

    workers: int
    apart: bool

    def publish(self, value: Any) -> Any:
        """Make a value known to whoever works."""
        ...

    def spread(self, task: Callable, about: Any, parts: Sequence[tuple]) -> list:
        """`task(value, *part)` for each part, the answers in order; `about` is a value that was published."""
        ...

    def nearest(
        self, queries: np.ndarray, references: Any, k: int, *, reference_group: np.ndarray,
        leave_out: np.ndarray | None, device: str, memory_bytes: int,
    ) -> "Neighbours":  # fmt: skip
        """As search.nearest.nearest."""
        ...

    def count_within(
        self, queries: np.ndarray, references: Any, radius: float | np.ndarray, reference_group: np.ndarray, *,
        device: str, memory_bytes: int,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """As search.nearest.count_within."""
        ...


class Here:
    """This process."""

    workers = 1
    apart = False

    def publish(self, value: Any) -> Any:
        """The value itself."""
        return value

    def spread(self, task: Callable, about: Any, parts: Sequence[tuple]) -> list:
        """One part after the other."""
        return [task(about, *part) for part in parts]

    def nearest(self, queries: np.ndarray, references: Any, k: int, **how: Any) -> "Neighbours":
        """search.nearest.nearest over an Index."""
        from medaudit.search.nearest import nearest

        return nearest(queries, references, k, **how)

    def count_within(self, *asked: Any, **how: Any) -> tuple[np.ndarray, np.ndarray]:
        """search.nearest.count_within."""
        from medaudit.search.nearest import count_within

        return count_within(*asked, **how)


HERE = Here()


@contextmanager
def open_engine(name: str, address: str | None, device: str, memory_bytes: int) -> Iterator[Engine]:
    """The engine by name, as long as it is needed; `address` is that of a Ray cluster.

    `memory_bytes`: of the whole audit here; on a cluster by address, of each worker.

    Raises UsageProblem for an address without Ray or an unknown name, EngineUnavailable where no cluster answers.
    """
    if name not in (LOCAL, RAY):
        raise UsageProblem(f"engine {name!r} is not known; use {LOCAL} or {RAY}")
    if name == LOCAL:
        if address is not None:
            raise UsageProblem("--ray-address is for --engine ray; give both or neither")
        yield HERE
        return
    from medaudit.search.distributed import open_cluster

    with open_cluster(address, device, memory_bytes) as cluster:
        yield cluster
