"""An audit whose search a Ray cluster does: the same bytes as one process, also when a worker is killed.

T has 12 people, H 11, S 5 images; every detector takes part.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audit_parts as parts
import pytest

from medaudit.artifacts.store import file_sha256
from medaudit.errors import ClusterLost, EngineUnavailable, MemoryTooSmall, UsageProblem
from medaudit.stages import audit


@pytest.fixture(scope="module")
def cluster() -> Iterator:
    pytest.importorskip("ray", reason="Ray is absent: pip install 'medaudit[ray]'")
    from medaudit.search.distributed import open_cluster

    with open_cluster(None, "cpu", 1 << 26) as opened:
        yield opened


@pytest.fixture
def cohorts(tmp_path: Path) -> Path:
    parts.usual(tmp_path, parts.films([2, 5, 800, 801, 802]), train=12, holdout=11)
    return tmp_path


def run(folder: Path, name: str, **how: Any):
    T, H, S, out = (folder / part for part in ("T", "H", "S", name))
    return audit.run(T, H, S, out, settings=parts.settings(plants=12), device="cpu", **how)


def hashes(folder: Path) -> dict[str, str]:
    found = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    assert len(found) >= 4
    return found


class KillOne:
    """Progress that kills a worker process a moment after the task named has begun."""

    def __init__(self, cluster, name: str) -> None:
        self.cluster, self.name, self.killed = cluster, name, []

    def start(self, name: str, total: int | None) -> None:
        if name == self.name and not self.killed:
            pid = lambda nothing: os.getpid()  # noqa: E731
            self.killed = self.cluster.spread(pid, self.cluster.publish(None), [()])
            threading.Timer(0.05, os.kill, (self.killed[0], signal.SIGKILL)).start()

    def advance(self, steps: int = 1, **facts: float | str) -> None: ...

    def say(self, line: str) -> None: ...


def test_the_same_bytes_though_a_worker_is_killed(cohorts: Path, cluster) -> None:
    here = run(cohorts, "A")
    killer = KillOne(cluster, "local-contrast-plants")
    outcome = run(cohorts, "A-ray", engine="ray", progress=killer)
    assert len(killer.killed) == 1
    assert gone(killer.killed[0])
    assert (outcome.exit_code, outcome.data) == (here.exit_code, here.data)
    assert hashes(cohorts / "A") == hashes(cohorts / "A-ray")


def test_what_a_lost_cluster_leaves_goes_on_here(
    cohorts: Path, cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = cluster.spread, []

    def lost(*asked: Any) -> list:
        calls.append(1)
        if len(calls) == 12:
            raise ClusterLost("as a dead head node would have it")
        return honest(*asked)

    with monkeypatch.context() as patch:
        patch.setattr(type(cluster), "spread", lambda self, *asked: lost(*asked))
        with pytest.raises(ClusterLost):
            run(cohorts, "A", engine="ray")
    kept = list((cohorts / ".A.partial" / ".scratch").glob("*.npz"))
    assert kept
    run(cohorts, "A")
    run(cohorts, "B")
    assert hashes(cohorts / "A") == hashes(cohorts / "B")


def test_what_cannot_work_is_refused_before_anything_is_written(cohorts: Path) -> None:
    for how, error, words in (
        ({"engine": "local", "ray_address": "auto"}, UsageProblem, "both or neither"),
        ({"engine": "spark"}, UsageProblem, "not known"),
        ({"engine": "ray", "ray_address": "nowhere"}, EngineUnavailable, "no address"),
        ({"memory_bytes": 1000}, MemoryTooSmall, "36 x 30 need at least 52 kB"),
    ):
        with pytest.raises(error, match=words) as caught:
            run(cohorts, "A", **how)
        assert caught.value.exit_code == 2
        assert not list(cohorts.glob(".A*"))


def gone(process: int) -> bool:
    """Whether the process is no longer there, within two seconds."""
    for _ in range(20):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
