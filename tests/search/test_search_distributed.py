"""The search by Ray's workers gives what one process gives, also when a worker dies in mid-search."""

import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medaudit.errors import ClusterLost, DeviceUnavailable, EngineUnavailable
from medaudit.search.nearest import ArrayBlocks, count_within, nearest

G, K, T, D = 7, 3, 2, 5


def values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 4, shape).astype(np.float32)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.Generator(np.random.Philox(5))


@pytest.fixture(scope="module")
def cluster() -> Iterator:
    pytest.importorskip("ray", reason="Ray is absent: pip install 'medaudit[ray]'")
    from medaudit.search.distributed import open_cluster

    with open_cluster(None, "cpu", 1 << 26) as cluster:
        yield cluster


@pytest.mark.parametrize("count", [1, 2, 37])  # one and two: more workers than images
def test_as_one_process(cluster, rng, count: int) -> None:
    queries, references = values(rng, G, 2, T, D), values(rng, count, T, D)
    group, leave_out = rng.integers(-1, 6, count), rng.integers(-1, 9, G)
    for k, memory in ((K, 1 << 20), (60, 1 << 20), (K, 400)):  # 400 bytes: many shards, none held
        asked = cluster.publish(readable(references))
        how = {"reference_group": group, "leave_out": leave_out, "memory_bytes": memory}
        here = nearest(queries, ArrayBlocks(references), k, **how)
        there = cluster.nearest(queries, asked, k, **how)
        for name in ("index", "distance", "runner_up_index", "runner_up_distance"):
            np.testing.assert_array_equal(getattr(there, name), getattr(here, name), err_msg=name)
        for radius in (0.0, 1.3, np.linspace(0, 3, G)):
            counted = cluster.count_within(queries, asked, radius, group, memory_bytes=memory)
            expected = count_within(queries, ArrayBlocks(references), radius, group)
            np.testing.assert_array_equal(counted, expected)


def test_a_worker_killed_in_mid_search_changes_nothing(cluster, rng, tmp_path: Path, capfd) -> None:
    queries, references = values(rng, G, 1, T, D), values(rng, 23, T, D)
    group = np.arange(23) // 2
    asked = cluster.publish(readable(references, dies_once=str(tmp_path / "died")))
    there = cluster.nearest(queries, asked, K, reference_group=group)
    assert (tmp_path / "died").exists()
    here = nearest(queries, ArrayBlocks(references), K, reference_group=group)
    for name, column in vars(here).items():
        assert getattr(there, name).tobytes() == column.tobytes(), name
    time.sleep(1.5)  # Ray hears of a death a little later
    assert capfd.readouterr().out == ""  # that is where --json prints


def test_a_part_that_kills_every_worker_ends_in_one_line(cluster, rng) -> None:
    asked = cluster.publish(readable(values(rng, 5, T, D), dies_once=None))
    with pytest.raises(ClusterLost, match="go on"):
        cluster.nearest(values(rng, G, 1, T, D), asked, K, reference_group=np.arange(5))


def test_a_worker_that_cannot_read_says_so_without_values(cluster, rng, tmp_path: Path) -> None:
    asked = cluster.publish(readable(values(rng, 5, T, D), path=str(tmp_path / "patient-17")))
    with pytest.raises(ClusterLost, match="same path") as caught:
        cluster.nearest(values(rng, G, 1, T, D), asked, K, reference_group=np.arange(5))
    assert "patient-17" not in str(caught.value)


def test_nothing_of_a_defect_but_its_place_comes_back_or_is_logged(cluster, rng) -> None:

    def fails(value: str, part: int) -> float:
        raise ZeroDivisionError(f"of {value}")

    with pytest.raises(RuntimeError, match=r"ZeroDivisionError at \S+:\d+ on a worker") as caught:
        cluster.spread(fails, cluster.publish("patient-18"), [(1,)])
    assert "patient-18" not in str(caught.value)
    logs = [path for path in ray_folder().rglob("*") if path.is_file() and "logs" in path.parts]
    assert len(logs) >= 3
    assert not [path.name for path in logs if b"patient-18" in path.read_bytes()]


def test_another_version_on_a_worker_is_refused(cluster, rng, monkeypatch) -> None:
    monkeypatch.setattr("medaudit.search.distributed.versions", lambda: {"numpy": "1.0"})
    with pytest.raises(ClusterLost, match="another version of numpy"):
        cluster.spread(divmod, cluster.publish(3), [(2,)])


def test_ray_keeps_its_files_in_a_closed_folder(cluster) -> None:
    assert stat.S_IMODE(ray_folder().parent.stat().st_mode) == 0o700


def test_a_device_that_the_cluster_lacks_is_refused(cluster) -> None:
    from medaudit.search.distributed import open_cluster

    for device, error in (("cuda", EngineUnavailable), ("cuda:1", DeviceUnavailable)):
        with pytest.raises(error) as caught, open_cluster(None, device):
            pass
        assert caught.value.exit_code == 2


def test_an_address_that_nothing_answers_at(cluster, monkeypatch) -> None:
    import ray

    from medaudit.search.distributed import open_cluster

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with socket.socket() as bound:  # bound and not listening: nobody else can take it
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            with (
                pytest.raises(EngineUnavailable, match="no Ray cluster answers") as caught,
                open_cluster(address, "cpu"),
            ):
                pass
            assert caught.value.exit_code == 2
            assert "\n" not in str(caught.value)
    for address in ("somewhere", "host:", ":6379", "host:x", "host:0"):
        with pytest.raises(EngineUnavailable, match="no address"), open_cluster(address, "cpu"):
            pass


def test_without_ray_one_line_says_what_to_install(monkeypatch) -> None:
    from medaudit.search.distributed import open_cluster

    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(EngineUnavailable, match=r"pip install 'medaudit\[ray\]'") as caught,
        open_cluster(None, "cpu"),
    ):
        pass
    assert caught.value.exit_code == 2


def ray_folder() -> Path:
    import ray

    return Path(ray._private.worker._global_node.get_temp_dir_path())


def readable(references: np.ndarray, *, dies_once: str | None = "", path: str = ""):
    """References that kill the first worker to read them (`dies_once`: where that is noted), or every one (None).

    The class is made here so that it travels with its code: a worker does not know this file.
    """

    class Array:
        shape = references.shape[1:]

        def __len__(self) -> int:
            return len(references)

        def read(self, rows: np.ndarray) -> np.ndarray:
            if path:
                Path(path).read_bytes()
            if dies_once is None or (dies_once and not Path(dies_once).exists()):
                if dies_once:
                    Path(dies_once).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return references[rows]

    return Array()
