"""The same search by the workers of a Ray cluster: each takes a shard of the references, the answers are merged.

Ray places the work, carries queries and answers, and repeats what a lost worker leaves undone. References are not
sent: what is published is a description small enough to travel, from which a worker reads its own rows. Nothing that a
task raises reaches Ray, which would log it with its values; a `Failure` comes back instead.

Axes: G queries, M references, B of them in a shard, T tiles, D values per tile.
"""

import os
import secrets
import shutil
import socket
import tempfile
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from medaudit.artifacts.store import versions
from medaudit.errors import ClusterLost, DeviceUnavailable, EngineUnavailable
from medaudit.search.groups import own_codes
from medaudit.search.nearest import ArrayBlocks, Neighbours, count_within, nearest
from medaudit.search.projection import axes_values
from medaudit.search.shards import cut, merge

_RETRIES = 3  # of a part whose worker was lost
_ANSWER_S = 5.0  # for a first word from an address
_TRIES = "1"  # beyond the first, of 40 s each, to reach what listens at an address and may not be Ray
_OBJECTS = 128 << 20  # bytes of shared memory that a cluster started here has at least
_KEPT = 4  # published things a worker keeps open
_LONGEST = 40  # characters of a temporary folder in which Ray's sockets still have a valid name

# A cluster started here tells nobody of itself. Read when ray is imported.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class Readable(Protocol):
    """References that any worker can read for itself; once pickled they are small."""

    shape: tuple[int, ...]  # (T, D)

    def __len__(self) -> int: ...

    def read(self, rows: np.ndarray) -> np.ndarray:
        """(B,) rows → (B, T, D) float32."""
        ...


@dataclass(frozen=True)
class Published:
    """Something that every worker can open: `value` here, `ref` there."""

    value: Any
    ref: Any
    key: str


@dataclass(frozen=True)
class Failure:
    """What went wrong in a task: the type of the error and its place in the code, and no value."""

    kind: str
    place: str


class Cluster:
    """A Ray cluster in use; see `open_cluster`. `workers`: parts that are worked on at once."""

    apart = True  # what is asked lies with the workers

    def __init__(self, ray: ModuleType, device: str, sharers: int) -> None:
        self._ray = ray
        if ":" in device:
            raise DeviceUnavailable(f"{device} is one device; with --engine ray use --device cuda or cpu")
        on_gpu = device == "cuda"
        self.device = "cuda" if on_gpu else "cpu"  # a worker sees one GPU, its own
        self.workers = int(ray.cluster_resources().get("GPU" if on_gpu else "CPU", 0))
        self._sharers = sharers  # workers that share the memory allowed here
        if not self.workers:
            raise EngineUnavailable(
                f"the Ray cluster has no {'GPU' if on_gpu else 'CPU'} to work with; start workers, "
                "or choose another --device"
            )
        self._task = ray.remote(_perform).options(
            num_cpus=1, num_gpus=int(on_gpu), max_retries=_RETRIES, scheduling_strategy="SPREAD"
        )

    def publish(self, value: Any) -> Published:
        """Make a value known to the workers."""
        ref = self._ray.put(value)
        return Published(value, ref, ref.hex())

    def spread(self, task: Callable, about: Published, parts: Sequence[tuple]) -> list:
        """`task(value, *part)` for each part, by whichever worker is free; the answers in the order of the parts.

        `task` is a function of a module. Raises ClusterLost when a part could not be done.
        """
        errors = self._ray.exceptions
        # In a list the reference travels and not the value: a worker that has it open need not unpack it again.
        refs = [self._task.remote(task, about.key, [about.ref], versions(), *part) for part in parts]
        try:
            answers = self._ray.get(refs)
        except errors.RayTaskError:
            raise ClusterLost(
                "a worker could not begin its part: every machine needs medaudit in one and the same version"
            ) from None
        except (errors.RayError, ConnectionError):
            raise ClusterLost(
                "the Ray cluster was lost, or a part failed on every worker that tried it; run the same command again "
                "to go on, here with --engine local or on a cluster"
            ) from None
        for answer in answers:
            if isinstance(answer, Failure):
                raise _error(answer)
        return answers

    def nearest(
        self,
        queries: np.ndarray,
        references: Published,
        k: int,
        *,
        reference_group: np.ndarray,
        leave_out: np.ndarray | None = None,
        device: str = "cpu",
        memory_bytes: int = 1 << 30,
    ) -> Neighbours:
        """As `nearest` does it, over references that were published; `device` gives way to the cluster's."""
        group = own_codes(np.asarray(reference_group, dtype=np.int64), leave_out)
        shards, share = self._shards(references, group, memory_bytes)
        asked, without = self._ray.put(queries), self._ray.put(leave_out)
        parts = [(rows, group[rows], asked, k, without, self.device, share) for rows in shards]
        found = self.spread(_nearest, references, parts)
        return merge(list(zip(shards, found, strict=True)), len(queries), k)

    def count_within(
        self,
        queries: np.ndarray,
        references: Published,
        radius: float | np.ndarray,
        reference_group: np.ndarray,
        *,
        device: str = "cpu",
        memory_bytes: int = 1 << 30,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `count_within` does it, over references that were published."""
        group = own_codes(np.asarray(reference_group, dtype=np.int64))
        shards, share = self._shards(references, group, memory_bytes)
        asked = self._ray.put(queries)
        parts = [(rows, group[rows], asked, radius, self.device, share) for rows in shards]
        counted = self.spread(_count_within, references, parts)
        none = np.zeros(len(queries), dtype=np.int64)
        return sum((images for images, _ in counted), none), sum((people for _, people in counted), none)

    def _shards(
        self, references: Published, group: np.ndarray, memory_bytes: int
    ) -> tuple[list[np.ndarray], int]:
        """Rows of each shard, at least one for each worker and small enough to be held; bytes for each worker."""
        share = max(1, memory_bytes // self._sharers)
        whole = _bytes(len(group), references.value.shape)
        turns = -(-whole // (self.workers * max(1, share // 2)))
        return cut(group, self.workers * max(1, turns)), share


@contextmanager
def open_cluster(address: str | None, device: str, memory_bytes: int = 1 << 30) -> Iterator[Cluster]:
    """The cluster at `address` (auto, HOST:PORT or ray://HOST:PORT), or one of this machine's cores for a while.

    Where the process is connected already, that connection is used. Raises EngineUnavailable without Ray, or when
    nothing answers at the address.
    """
    place = _place(address)
    os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
    if address is not None:
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", _TRIES)
    elif not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ["RAY_AUTH_TOKEN"] = _token()
    try:
        import ray
    except ImportError:
        raise EngineUnavailable(
            "--engine ray needs Ray, which is not installed; pip install 'medaudit[ray]', or use --engine local"
        ) from None
    if ray.is_initialized():
        yield Cluster(ray, device, 1)
        return
    folder = _private_folder() if address is None else None
    _let_speak(ray, False)
    try:
        if folder is not None:
            cores = _cores()
            _start(ray, folder, cores, memory_bytes)
            yield Cluster(ray, device, cores)
        else:
            _join(ray, str(address), place)
            yield Cluster(ray, device, 1)
    finally:
        ray.shutdown()
        _let_speak(ray, True)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _let_speak(ray: ModuleType, aloud: bool) -> None:
    """Whether Ray prints to standard output, which is the command's, when a worker dies; it has no option for that."""
    ray._private.worker._worker_logs_enabled = aloud


def _start(ray: ModuleType, folder: Path, cores: int, memory_bytes: int) -> None:
    """A cluster of this machine alone. Ray opens its own folder to everybody, so it stands inside a closed one."""
    ray.init(
        address="local",
        num_cpus=cores,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=max(_OBJECTS, memory_bytes // 2),  # room for the images that ask, twice
        _temp_dir=str(folder / "ray"),
    )


def _join(ray: ModuleType, address: str, place: tuple[str, int] | None) -> None:
    """Connect to a cluster that runs."""
    nothing = f"no Ray cluster answers at {address}; start one with `ray start --head`, or mend --ray-address"
    if place is not None and not _answers(*place):
        raise EngineUnavailable(nothing)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except ImportError:
        raise EngineUnavailable(
            f"{address} is reached by Ray's client; pip install 'ray[client]', or call medaudit on a machine of the "
            "cluster with --ray-address auto"
        ) from None
    except (ConnectionError, TimeoutError, RuntimeError, ValueError, OSError):
        raise EngineUnavailable(nothing) from None


def _place(address: str | None) -> tuple[str, int] | None:
    """Host and port of an address that has them. Raises EngineUnavailable for what is no address."""
    if address in (None, "auto"):
        return None
    host, colon, port = str(address).removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise EngineUnavailable(f"{address!r} is no address; give auto, HOST:PORT or ray://HOST:PORT")
    return host.strip("[]"), int(port)


def _answers(host: str, port: int) -> bool:
    """Whether something listens there; Ray itself would try for minutes."""
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_S):
            return True
    except OSError:
        return False


def _private_folder() -> Path:
    """A new folder of mode 0700; in /tmp where the usual place has too long a name for Ray's sockets."""
    usual = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="medaudit-", dir=usual if len(usual) <= _LONGEST else "/tmp"))


def _cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _error(failure: Failure) -> Exception:
    """What the user is told of a task that failed."""
    if failure.kind in ("FileNotFoundError", "PermissionError", "NotADirectoryError"):
        return ClusterLost(
            "a worker cannot read the cohort; it must lie under the same path on every machine (a shared file system) "
            "and be readable there"
        )
    if failure.kind == "MemoryError":
        return ClusterLost(
            "a worker has too little memory; give less with --memory, then run the command again"
        )
    if failure.kind == "versions":
        return ClusterLost(
            f"a worker has another version of {failure.place}; every machine needs the same, or the bytes could differ"
        )
    return RuntimeError(f"{failure.kind} at {failure.place} on a worker")


@cache
def _token() -> str:
    """What the processes of a cluster started here show each other; without it Ray leaves one in the home folder."""
    return secrets.token_hex(32)


# What runs on a worker.

_opened: OrderedDict[str, Any] = OrderedDict()
_held: OrderedDict[tuple[int, bytes], ArrayBlocks] = OrderedDict()  # by id of an opened value, and rows


@cache
def _versions() -> dict[str, str]:
    return versions()


def _perform(task: Callable, key: str, ref: list, expected: dict[str, str], *part: Any) -> Any:
    """Open what was published and do one part; a Failure where that raised."""
    try:
        for name, version in expected.items():
            if _versions().get(name) != version:
                return Failure("versions", name)
        if key not in _opened:
            import ray

            _opened[key] = ray.get(ref[0])
            while len(_opened) > _KEPT:
                _, gone = _opened.popitem(last=False)
                for shard in [shard for shard in _held if shard[0] == id(gone)]:
                    del _held[shard]
        _opened.move_to_end(key)
        return task(_opened[key], *part)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return Failure(type(error).__name__, f"{Path(frame.filename).name}:{frame.lineno}")


def _nearest(
    references: Readable, rows: np.ndarray, group: np.ndarray, queries: np.ndarray, k: int,
    leave_out: np.ndarray | None, device: str, memory_bytes: int,
) -> Neighbours:  # fmt: skip
    """One shard of `Cluster.nearest`."""
    return nearest(
        queries.copy(),  # torch wants what it may write to
        _shard(references, rows, memory_bytes),
        k,
        reference_group=group,
        leave_out=leave_out,
        device=device,
        memory_bytes=memory_bytes,
    )


def _count_within(
    references: Readable, rows: np.ndarray, group: np.ndarray, queries: np.ndarray, radius: float | np.ndarray,
    device: str, memory_bytes: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """One shard of `Cluster.count_within`."""
    shard = _shard(references, rows, memory_bytes)
    return count_within(queries.copy(), shard, radius, group, device=device, memory_bytes=memory_bytes)


def _shard(references: Readable, rows: np.ndarray, memory_bytes: int) -> ArrayBlocks:
    """The rows with their index, held for the next question where half of the memory for a search allows."""
    key = (id(references), rows.tobytes())
    if key in _held:
        _held.move_to_end(key)
        return _held[key]
    most = memory_bytes // 2 - _bytes(len(rows), references.shape)
    while _held and sum(_bytes(len(shard), shard.vectors.shape[1:]) for shard in _held.values()) > most:
        _held.popitem(last=False)
    shard = ArrayBlocks(references.read(rows))
    if most >= 0:
        _held[key] = shard
    return shard


def _bytes(count: int, shape: tuple[int, ...]) -> int:
    """Bytes of so many descriptions (T, D) and their index."""
    return 4 * count * (int(np.prod(shape)) + axes_values(*shape))
