"""The exact search beside what others use for exact search: same neighbours, how many times faster.

    python benchmarks/search_speed.py --data ../shared/data --out reports/speed/search.json

References are films of half of the patients of kermany224, enlarged by smooth warps (`enlarged`); the other half asks,
people whom the references do not hold, which is the hard case for bounds. Every pair of runs is ours, then the
peer's, in one process on the same number of threads; medians of `--pairs`. Ours answers from an index, whose making
is timed beside it, as the peer's is. That both name the same neighbours is asserted: where they differ, the two are
measured again in float64, and ours must be the nearer one.

Axes: M references, G queries, T tiles, D values.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import faiss
import numpy as np
import torch
from enlarged import films_and_people
from sklearn.neighbors import NearestNeighbors

from medaudit.artifacts.cohort import to_unit
from medaudit.detectors.tiles import TileDistance
from medaudit.search import halves
from medaudit.search.index import Index
from medaudit.search.nearest import Neighbours, nearest

TRAIN, UNSEEN = slice(0, None, 2), slice(1, None, 2)  # of the patients
_TIE = 1e-5  # of a squared distance: what float32 cannot tell apart


@dataclass(frozen=True)
class Row:
    """One line of the table; times in seconds, `ratio` the median of the peer's over ours."""

    work: str
    peer: str
    ours_s: float
    peer_s: float
    ratio: float
    wanted: float
    ours_index_s: float
    peer_index_s: float
    brute_s: float  # what all its float32 products take at the rate of this machine's own, measured in the same run
    same: float  # share of neighbours that are named alike; the others are ties of float32, or nearer ones of ours
    pairs: int


def timed(work: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    done = work()
    return time.perf_counter() - began, done


def compare(
    name: str, peer: str, wanted: float, pairs: int, ours: Callable[[], Neighbours],
    theirs: Callable[[], np.ndarray], exact: Callable[[np.ndarray], np.ndarray], index_s: tuple[float, float],
    products: float,
) -> Row:  # fmt: skip
    """Run both in turn. theirs() gives rows (G, K); exact(rows (G, K)) measures them, squared, in float64.

    products: multiplications of a brute force.
    """
    times = []
    for _ in range(pairs):
        own_s, found = timed(ours)
        peer_s, rows = timed(theirs)
        times.append((own_s, peer_s))
    assert isinstance(found, Neighbours) and isinstance(rows, np.ndarray)
    same = found.index == rows
    again = np.sort(exact(rows), axis=1)
    worse = np.square(found.distance) > again * (1 + _TIE) + 1e-12
    assert not worse.any(), f"{name}: {int(worse.sum())} neighbours of the peer are nearer"
    own, other = (float(np.median(column)) for column in zip(*times, strict=True))
    ratio = float(np.median([b / a for a, b in times]))
    brute_s = 2 * products / product_rate()
    row = Row(name, peer, own, other, ratio, wanted, *index_s, brute_s, float(same.mean()), pairs)
    print(
        f"{name:58} {peer:28} {own:7.2f} s {other:7.2f} s  {ratio:6.1f} x (wanted {wanted:g})  "
        f"index {index_s[0]:.1f} s, {index_s[1]:.1f} s  brute force at best {brute_s:.2f} s  alike {row.same:.5f}",
        flush=True,
    )
    return row


def product_rate() -> float:
    """Float32 operations a second of a large matrix product on all threads."""
    square = torch.ones(4096, 4096)
    square @ square
    return float(2 * 4096**3 / min(timed(lambda: square @ square)[0] for _ in range(5)))


def whole_index(references: np.ndarray) -> Index:
    """With all that is otherwise made by the first search."""
    index = Index.of(references)
    if halves.in_tiles():
        _ = index.halves
    _ = index.octets
    return index


def vectors(films: np.ndarray) -> np.ndarray:
    """(N, Y, X) uint8 → (N, 1, D) float32 in [0, 1]."""
    return to_unit(films).reshape(len(films), 1, -1)


def measured(queries: np.ndarray, references: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Rows (G, K) → squared distances (G, K) float64, for queries (G, T, D) and references (M, T, D)."""

    def measure(rows: np.ndarray) -> np.ndarray:
        result = np.empty(rows.shape)
        for place, (query, row) in enumerate(zip(queries, rows, strict=True)):
            gap = references[row].astype(np.float64) - query
            result[place] = np.square(gap).mean(-1).max(-1)
        return result

    return measure


def against_faiss(data: Path, size: int, count: int, asking: int, k: int, wanted: float, pairs: int) -> Row:
    references = vectors(films_and_people(data, size, count, 0, TRAIN)[0])
    queries = vectors(films_and_people(data, size, asking, 1, UNSEEN)[0])
    index_s, index = timed(lambda: whole_index(references))
    flat = faiss.IndexFlatL2(size * size)
    flat_s, _ = timed(lambda: flat.add(references[:, 0]))
    people = np.arange(count)

    def ours() -> Neighbours:
        return nearest(queries[:, None], index, k, reference_group=people)

    nearest(queries[:8, None], index, k, reference_group=people)  # what is compiled once
    return compare(
        f"exact k={k}, {count:,} x {size} x {size}, {asking:,} queries", "faiss-cpu IndexFlatL2", wanted, pairs,
        ours, lambda: flat.search(queries[:, 0], k)[1], measured(queries, references), (index_s, flat_s),
        asking * references.size,
    )  # fmt: skip


def one_patient_out(data: Path, count: int, k: int, wanted: float, pairs: int) -> list[Row]:
    films, people = films_and_people(data, 64, count, 0, TRAIN)
    references = vectors(films)
    index_s, index = timed(lambda: whole_index(references))
    flat = torch.from_numpy(references[:, 0])
    groups = torch.from_numpy(people)

    def ours() -> Neighbours:
        return nearest(slice(0, None), index, k, reference_group=people, leave_out=people)

    def by_cdist() -> np.ndarray:
        rows = []
        for start in range(0, count, 1000):
            part = slice(start, start + 1000)
            apart = torch.cdist(flat[part], flat)
            apart.masked_fill_(groups[part, None] == groups[None], torch.inf)
            rows.append(apart.topk(k, largest=False).indices)
        return torch.cat(rows).numpy()

    most = int(np.bincount(people).max())
    brute = NearestNeighbors(n_neighbors=k + most, algorithm="brute", n_jobs=torch.get_num_threads())
    brute_s, _ = timed(lambda: brute.fit(references[:, 0]))

    def by_sklearn() -> np.ndarray:
        rows = brute.kneighbors(references[:, 0], return_distance=False)
        own = people[rows] == people[:, None]
        return np.take_along_axis(rows, np.argsort(own, axis=1, kind="stable")[:, :k], 1)

    nearest(references[:8, None], index, k, reference_group=people, leave_out=people[:8])
    products = count * references.size
    name, measure = f"leave one patient out, {count:,} x 64 x 64, k={k}", measured(references, references)
    return [
        compare(
            name, "torch.cdist with masks", wanted, pairs, ours, by_cdist, measure, (index_s, 0.0), products
        ),
        compare(
            name,
            "scikit-learn brute force",
            wanted,
            pairs,
            ours,
            by_sklearn,
            measure,
            (index_s, brute_s),
            products,
        ),
    ]


def largest_tile(data: Path, count: int, asking: int, k: int, wanted: float, pairs: int) -> Row:
    detector = TileDistance()
    parts = (
        films_and_people(data, 64, n, seed, who)[0]
        for n, seed, who in ((count, 0, TRAIN), (asking, 1, UNSEEN))
    )
    references, queries = (detector.describe(to_unit(films)) for films in parts)
    index_s, index = timed(lambda: whole_index(references))
    wide = torch.from_numpy(references).permute(1, 2, 0).contiguous()  # (T, D, M)
    norms = wide.square().sum(1)  # (T, M)
    people = np.arange(count)

    def ours() -> Neighbours:
        return nearest(queries[:, None], index, k, reference_group=people)

    def by_torch() -> np.ndarray:
        rows = []
        for start in range(0, asking, 500):
            part = torch.from_numpy(queries[start : start + 500]).permute(1, 0, 2)  # (T, Q, D)
            worst = None
            for tile, asked in enumerate(part):
                apart = torch.addmm(norms[tile], asked, wide[tile], alpha=-2) + asked.square().sum(1)[:, None]
                worst = apart if worst is None else torch.maximum(worst, apart, out=worst)
            assert worst is not None
            rows.append(worst.topk(k, largest=False).indices)
        return torch.cat(rows).numpy()

    nearest(queries[:8, None], index, k, reference_group=people)
    return compare(
        f"tile maximum, 16 tiles, {count:,} x {asking:,}, k={k}", "torch in blocks", wanted, pairs, ours, by_torch,
        measured(queries, references), (index_s, 0.0), asking * references.size,
    )  # fmt: skip


def growth(data: Path, asking: int, k: int, pairs: int) -> dict[str, float]:
    """Seconds of a search of 10,000 and of 100,000 references."""
    references = vectors(films_and_people(data, 64, 100_000, 0, TRAIN)[0])
    queries = vectors(films_and_people(data, 64, asking, 1, UNSEEN)[0])[:, None]
    few, many = Index.of(np.ascontiguousarray(references[:10_000])), Index.of(references)
    times = []
    for _ in range(pairs + 1):
        times.append(
            [
                timed(lambda index=index: nearest(queries, index, k, reference_group=np.arange(len(index))))[
                    0
                ]
                for index in (few, many)
            ]
        )
    ratio = float(np.median([b / a for a, b in times[1:]]))
    small, large = (float(np.median(column)) for column in zip(*times[1:], strict=True))
    print(f"growth: 10,000 references {small:.2f} s, 100,000 {large:.2f} s: {ratio:.1f} x (wanted under 10)")
    return {"small_s": small, "large_s": large, "ratio": ratio}


def main() -> None:
    """Run what is asked for and write the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=("faiss64", "faiss128", "patients", "tiles", "growth"), nargs="*")
    given = parser.parse_args()
    chosen = given.only or ["faiss64", "faiss128", "patients", "tiles", "growth"]
    threads = torch.get_num_threads()
    faiss.omp_set_num_threads(threads)
    rows: list[Row] = []
    more: dict[str, object] = {}
    if "faiss64" in chosen:
        rows.append(against_faiss(given.data, 64, 100_000, 2000, 50, 10, given.pairs))
    if "faiss128" in chosen:
        rows.append(against_faiss(given.data, 128, 50_000, 1000, 1, 20, given.pairs))
    if "patients" in chosen:
        rows += one_patient_out(given.data, 20_000, 50, 20, given.pairs)
    if "tiles" in chosen:
        rows.append(largest_tile(given.data, 20_000, 2000, 50, 5, given.pairs))
    if "growth" in chosen:
        more["growth"] = growth(given.data, 1000, 50, given.pairs)
    packages = {name: version(name) for name in ("torch", "numpy", "numba", "faiss-cpu", "scikit-learn")}
    machine = {"processor": _processor(), "threads": threads, "python": platform.python_version(), **packages}
    machine["float32 products, GFLOP/s"] = round(product_rate() / 1e9)
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        table = {"machine": machine, "rows": [asdict(row) for row in rows], **more}
        given.out.write_text(json.dumps(table, indent=1) + "\n")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


if __name__ == "__main__":
    main()
