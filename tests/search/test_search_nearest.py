"""The search against three lines of brute force, with planted copies, duplicates, ties and awkward sizes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medaudit.search import engine, halves, looks, projection, scanning
from medaudit.search import index as index_room
from medaudit.search.engine import Asking, Search
from medaudit.search.index import Index
from medaudit.search.looks import Halves, Look, Single
from medaudit.search.nearest import ArrayBlocks, Neighbours, count_within, nearest
from medaudit.search.pairs import pairs_within
from medaudit.search.precision import full_precision, slack

# M=11 references, G=7 queries, K=3, T=4 tiles, D=5 values, P=2 poses
M, G, K, T, D, P = 11, 7, 3, 4, 5, 2


def brute(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(G, M) float64: the definition."""
    difference = queries[:, None].astype(np.float64) - references[None, :, None]  # (G, M, P, T, D)
    return np.sqrt(np.square(difference).mean(-1).max(-1).min(-1))


@dataclass
class Case:
    queries: np.ndarray
    references: np.ndarray
    group: np.ndarray
    leave_out: np.ndarray
    k: int
    memory_bytes: int
    block: int  # references of a tile
    axes: tuple[int, int]  # of the first look at least, and how many times as many in the second
    halves: bool  # whether the first look is in bfloat16
    octets: bool  # whether there is a third look, at bytes
    rank: int  # of a sample's bounds that is the first limit: with 1 it is often too low


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Values on a coarse grid, so that ties and duplicates abound and float64 sums are exact."""
    rng = np.random.Generator(np.random.Philox(draw(st.integers(0, 2**32))))
    count, levels = draw(st.integers(0, 40)), draw(st.sampled_from([2, 3, 50]))
    poses, tiles = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    scale, offset = draw(st.sampled_from([(1, 0), (0.25, 0), (1, 4096), (2.0**-70, 0)]))
    values = lambda *shape: (rng.integers(0, levels, shape) * scale + offset).astype(np.float32)  # noqa: E731
    queries, references = values(G, poses, tiles, D), values(count, tiles, D)
    if count and draw(st.booleans()):  # an exact copy, and a near one in another pose
        queries[0, -1] = references[rng.integers(count)]
        queries[1, 0] = references[-1]
        queries[1, 0, 0, 0] = np.nextafter(queries[1, 0, 0, 0], np.float32(1e9))
    groups = draw(st.integers(1, 5))
    group = rng.integers(-1, groups, count)
    leave_out = rng.integers(-1, groups, G)
    return Case(
        queries,
        references,
        group,
        leave_out,
        draw(st.sampled_from([1, 2, K, 60])),
        draw(st.sampled_from([1, 4000, 1 << 26])),
        draw(st.sampled_from([1, 7, 16, 1024])),
        draw(st.sampled_from([(1, 2), (2, 2), (1, 5), (16, 4)])),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from([1, 8])),
    )


@contextmanager
def small(case: Case) -> Iterator[None]:
    """Tiles and axes so few that every look, and every seam between tiles, takes part."""
    with (
        patch.object(engine, "_BLOCK", case.block),
        patch.object(engine, "_WIDTH", 3),
        patch.object(looks, "_SPARE", 1),
        patch.object(looks, "_KEPT", 1),
        patch.object(looks, "_CLOSE_SPARE", 1),
        patch.object(looks, "_CLOSE_KEPT", 1),
        patch.object(looks, "_CLOSE_LEAST", 1),
        patch.object(looks, "_WORTH", 1),
        patch.object(halves, "in_tiles", lambda: case.halves),
        patch.object(index_room, "pays", lambda tiles, values: case.octets),
        patch.object(engine, "_SAMPLE_RANK", case.rank),
        patch.object(projection, "_LEAST", case.axes[0]),
        patch.object(projection, "_COARSE", case.axes[0]),
        patch.object(projection, "_FINER", case.axes[1]),
        patch.object(projection, "_SUBTRACTED", 1.0),  # or the plan would be to take all axes
    ):
        yield


def run(case: Case) -> Neighbours:
    with small(case):
        return nearest(
            case.queries,
            ArrayBlocks(case.references),
            case.k,
            reference_group=case.group,
            leave_out=case.leave_out,
            memory_bytes=case.memory_bytes,
        )


@settings(max_examples=300, deadline=None)
@given(cases())
def test_equal_to_brute_force(case: Case) -> None:
    found = run(case)
    distance = brute(case.queries, case.references)
    distance[(case.leave_out[:, None] >= 0) & (case.group[None, :] == case.leave_out[:, None])] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")[:, : case.k]  # ties: the lower row
    sorted_distance = np.take_along_axis(distance, order, 1)
    index = np.full((G, case.k), -1)
    index[:, : order.shape[1]] = np.where(np.isfinite(sorted_distance), order, -1)
    assert found.index.dtype == np.int64 and found.distance.dtype == np.float64
    assert np.array_equal(found.index, index)
    expected = np.full((G, case.k), np.inf)
    expected[:, : order.shape[1]] = sorted_distance
    assert np.allclose(found.distance, expected, rtol=1e-12, atol=0)
    own = np.where(case.group < 0, 1000 + np.arange(len(case.group)), case.group)
    for row in range(G):
        if index[row, 0] < 0:
            assert found.runner_up_index[row] == -1 and found.runner_up_distance[row] == np.inf
            continue
        others = np.where(own == own[index[row, 0]], np.inf, distance[row])
        best = int(np.argmin(others))
        assert found.runner_up_index[row] == (best if np.isfinite(others[best]) else -1)
        assert found.runner_up_distance[row] == pytest.approx(others[best], rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(cases(), st.sampled_from([0.0, 0.3, 1.0]))
def test_counts_and_pairs_equal_brute_force(case: Case, radius: float) -> None:
    queries = case.queries[:, :1]
    with small(case):
        images, groups = count_within(
            queries, ArrayBlocks(case.references), radius, case.group, memory_bytes=case.memory_bytes
        )
        pairs, apart = pairs_within(case.references, radius, memory_bytes=case.memory_bytes)
    inside = brute(queries, case.references) <= radius
    own = np.where(case.group < 0, 1000 + np.arange(len(case.group)), case.group)
    assert images.tolist() == inside.sum(1).tolist()
    assert groups.tolist() == [len(set(own[row].tolist())) for row in inside]
    between = brute(case.references[:, None], case.references)
    rows, columns = np.nonzero(np.triu(between <= radius, 1))
    assert pairs.tolist() == np.stack([rows, columns], 1).tolist()
    assert np.allclose(apart, between[rows, columns], rtol=1e-12, atol=0)


def test_a_radius_of_its_own_for_each_query() -> None:
    references = np.arange(M, dtype=np.float32)[:, None, None]
    queries = np.zeros((3, 1, 1, 1), dtype=np.float32)
    images, people = count_within(
        queries, ArrayBlocks(references), np.array([0.0, 2.0, 4.5]), np.arange(M) // 2
    )
    assert images.tolist() == [1, 3, 5] and people.tolist() == [1, 2, 3]


def films(count: int, seed: int, values: int = 1024) -> np.ndarray:
    """(count, 1, values) float32, as alike as films of one body part: a template and a little of one's own."""
    rng = np.random.Generator(np.random.Philox(seed))
    template = rng.random(values)
    return (0.8 * template + 0.2 * rng.random((count, values))).astype(np.float32)[:, None]


def test_copies_at_exactly_zero_where_the_expansion_would_blur_them() -> None:
    references = films(600, 1)
    rows = np.array([0, 17, 599])
    found = nearest(references[rows][:, None], ArrayBlocks(references), 5, reference_group=np.arange(600))
    assert found.index[:, 0].tolist() == rows.tolist()
    assert (found.distance[:, 0] == 0).all() and (found.distance[:, 1] > 0.05).all()
    wide = torch.from_numpy(references[:, 0])
    blurred = (wide * wide).sum(1) + (wide * wide).sum(1)[:, None] - 2 * wide @ wide.T
    assert blurred.diagonal().abs().max() > 0  # what a search without re-measuring would have said


def test_a_hundred_duplicates_come_in_the_order_of_their_rows() -> None:
    references = films(300, 2)
    references[100:200] = references[7]
    found = nearest(references[7][None, None], ArrayBlocks(references), 50, reference_group=np.arange(300))
    assert found.index[0].tolist() == [7, *range(100, 149)]
    assert (found.distance == 0).all()
    assert found.runner_up_index[0] == 100  # another patient with the same film


def test_nearest_but_one_film_of_the_same_patient_is_no_runner_up() -> None:
    references = films(200, 3)
    group = np.zeros(200, dtype=np.int64)
    group[150] = 1
    found = nearest(references[3][None, None], ArrayBlocks(references), 2, reference_group=group)
    assert found.index[0, 0] == 3 and group[found.index[0, 1]] == 0
    assert found.runner_up_index[0] == 150
    assert found.runner_up_distance[0] == pytest.approx(brute(references[3][None, None], references)[0, 150])


def first_look(queries: np.ndarray, index: Index, kind: type[Look]) -> np.ndarray:
    """(G, M) the bounds of the first look."""
    look, asked = kind(index, "cpu") if kind is Single else kind(index), Asking.of(queries, index)
    with full_precision():
        bits = look.bounds(look.queries(asked.asking, asked.point), look.references(0, len(index)))
    assert bits.dtype == look.kind
    return look.numbers(np.maximum(bits, 0))


@pytest.mark.parametrize("kind", [Single, Halves])
def test_the_bound_holds_and_is_tight(kind: type[Look], monkeypatch: pytest.MonkeyPatch) -> None:
    queries, references = films(40, 4)[:, None], films(90, 5)
    exact = np.square(brute(queries, references)) * 1024
    low = first_look(queries, Index.of(references), kind)
    assert (low <= exact).all() and (low > 0).all()
    # On as many axes as there are values the bound is the distance, but for the room left for rounding.
    few = references[..., :100]
    whole = first_look(queries[..., :100], Index.of(few), kind)
    exact = np.square(brute(queries[..., :100], few)) * 100
    norms = np.square(queries[..., 0, :100] - few.mean(0)).sum(-1) + np.square(few - few.mean(0)).sum(-1).T
    room = 2 * slack(101) * norms if kind is Single else 0.012 * exact + 0.002 * norms  # s, and two roundings
    assert (whole <= exact).all() and (whole >= exact - room).all()
    assert slack(129) < 3e-5


@pytest.mark.parametrize("kind", [Single, Halves])
def test_a_bound_that_is_too_high_loses_a_copy(kind: type[Look], monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the tests above able to fail: a film is nearest to itself, but for a wrong bound."""
    many = films(90, 5)
    ask = lambda: nearest(many[:5][:, None], ArrayBlocks(many), 1, reference_group=np.arange(90)).index[:, 0]  # noqa: E731
    monkeypatch.setattr(halves, "in_tiles", lambda: kind is Halves)
    monkeypatch.setattr(looks, "_WORTH", 1)
    assert np.array_equal(ask(), np.arange(5))
    worst = looks._worst
    monkeypatch.setattr(looks, "_worst", lambda q, r: worst(q, r).fill_diagonal_(1e9))
    assert not np.array_equal(ask(), np.arange(5))


def test_a_limit_of_a_sample_that_is_too_low_loses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    references, queries, swept = films(900, 5, 16), films(3, 7, 16)[:, None], []
    sweep, limits = Search._sweep, scanning.limits

    def far_too_low(*asked: np.ndarray) -> None:
        limits(*asked)
        asked[-1][:] //= 2  # half the bits of a float: far less than half of it

    monkeypatch.setattr(scanning, "limits", far_too_low)
    monkeypatch.setattr(engine, "_SAMPLE_RANK", 1)
    monkeypatch.setattr(
        Search, "_sweep", lambda self, *asked: swept.append(len(asked[0])) or sweep(self, *asked)
    )
    found = nearest(queries, ArrayBlocks(references), 5, reference_group=np.arange(900))
    assert sum(swept) == 3
    order = np.argsort(brute(queries, references), axis=1, kind="stable")[:, :5]
    assert np.array_equal(found.index, order)


def test_films_repeated_in_the_sample_are_kept_and_not_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    references, swept = films(4000, 5, 16), []
    references[::20] = references[0]  # so the limit of the sample is what 200 bounds are
    sweep = Search._sweep
    monkeypatch.setattr(
        Search, "_sweep", lambda self, *asked: swept.append(len(asked[0])) or sweep(self, *asked)
    )
    monkeypatch.setattr(engine, "_SAMPLE_RANK", 1)
    found = nearest(references[:1, None], ArrayBlocks(references), 5, reference_group=np.arange(4000))
    assert found.index[0].tolist() == [0, 20, 40, 60, 80] and not swept


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(0, 8))
def test_references_that_ask_themselves_answer_as_their_copies(case: Case, first: int) -> None:
    references, leave_out = case.references, case.group[first:]
    with small(case):
        own, copies = (
            nearest(
                asked,
                ArrayBlocks(references),
                case.k,
                reference_group=case.group,
                leave_out=leave_out,
                memory_bytes=case.memory_bytes,
            )
            for asked in (slice(first, None), references[first:, None].copy())
        )
    for one, other in zip(vars(own).values(), vars(copies).values(), strict=True):
        assert np.array_equal(one, other)


def test_queries_in_another_layout_lose_no_neighbour() -> None:
    rng = np.random.default_rng(0)
    references = np.repeat(rng.standard_normal((3, 1, 100)).astype(np.float32), 700, axis=0)
    strided = rng.standard_normal((80, 1, 1, 200)).astype(np.float32)[..., ::2]
    found = nearest(strided, ArrayBlocks(references), 3, reference_group=np.arange(2100))
    plain = nearest(strided.copy(), ArrayBlocks(references), 3, reference_group=np.arange(2100))
    assert (found.index >= 0).all() and np.array_equal(found.index, plain.index)


def test_values_whose_squares_overflow_are_refused() -> None:
    huge = np.full((3, 1, 300), 2.0**60, dtype=np.float32)
    with pytest.raises(ValueError, match="not finite"):
        nearest(huge[:, None], ArrayBlocks(huge), 1, reference_group=np.arange(3))


@pytest.mark.parametrize("kind", [Single, Halves])
def test_few_queries_need_the_second_sweep(kind: type[Look], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "in_tiles", lambda: kind is Halves)
    monkeypatch.setattr(looks, "_WORTH", 1)
    swept: list[int] = []
    sweep = Search._sweep
    monkeypatch.setattr(
        Search,
        "_sweep",
        lambda self, queries, *rest: swept.append(len(queries)) or sweep(self, queries, *rest),
    )
    nearest(films(50, 6)[:, None], ArrayBlocks(films(500, 7)), 10, reference_group=np.arange(500))
    assert sum(swept) == 0
    references = films(500, 8)
    references[:] = references[0]
    nearest(references[:2][:, None], ArrayBlocks(references), 10, reference_group=np.arange(500))
    assert sum(swept) == 2


def test_the_process_keeps_its_own_precision() -> None:
    before = torch.get_float32_matmul_precision()
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == before


def test_bfloat16_is_used_only_where_its_products_keep_the_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    halves.in_tiles.cache_clear()
    assert not halves.in_tiles()
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    halves.in_tiles.cache_clear()
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: torch.mm(a, b) * 1.02)
    assert not halves.in_tiles()
    halves.in_tiles.cache_clear()


@pytest.mark.parametrize("where", ["queries", "references"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(where: str, value: float) -> None:
    queries, references = films(2, 9)[:, None], films(3, 10)
    (queries if where == "queries" else references)[1, ..., 2] = value
    with pytest.raises(ValueError, match=f"{where} hold a value that is not finite"):
        nearest(queries, ArrayBlocks(references), 1, reference_group=np.arange(3))
    if where == "references":
        with pytest.raises(ValueError, match="not finite"):
            pairs_within(references, 0.1)


def test_shapes_that_do_not_fit_are_refused() -> None:
    queries, references = films(2, 9)[:, None], ArrayBlocks(films(3, 10))
    with pytest.raises(ValueError, match="one after the other"):
        nearest(slice(0, 3, 2), references, 1, reference_group=np.arange(3))
    with pytest.raises(ValueError, match="k is at least 1"):
        nearest(queries, references, 0, reference_group=np.arange(3))
    with pytest.raises(ValueError, match="one code per reference"):
        nearest(queries, references, 1, reference_group=np.arange(4))
    with pytest.raises(ValueError, match="one code per query"):
        nearest(queries, references, 1, reference_group=np.arange(3), leave_out=np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="same tiles and values"):
        nearest(queries[..., :5], references, 1, reference_group=np.arange(3))


def test_no_query_is_no_answer() -> None:
    found = nearest(
        np.zeros((0, P, T, D), dtype=np.float32),
        ArrayBlocks(np.zeros((M, T, D), dtype=np.float32)),
        K,
        reference_group=np.arange(M),
    )
    assert found.index.shape == found.distance.shape == (0, K) and found.runner_up_index.shape == (0,)
