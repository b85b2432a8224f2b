"""Cohen's kappa: known values, a twin that counts pair by pair, an interval that covers. Axes: n pairs, K answers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaudit.stats.kappa import kappa


def from_table(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return np.array([i for i, _ in cells]), np.array([j for _, j in cells])


def twin(first: list[str], second: list[str]) -> tuple[float, float]:
    """Kappa and its standard error (Fleiss, Cohen & Everitt 1969), cell by cell."""
    n, names = len(first), sorted({*first, *second})
    pairs = list(zip(first, second, strict=True))
    p = {(a, b): pairs.count((a, b)) / n for a in names for b in names}
    row = {a: sum(p[a, b] for b in names) for a in names}
    col = {b: sum(p[a, b] for a in names) for b in names}
    observed, expected = sum(p[a, a] for a in names), sum(row[a] * col[a] for a in names)
    value = (observed - expected) / (1 - expected)
    on = sum(p[a, a] * (1 - (row[a] + col[a]) * (1 - value)) ** 2 for a in names)
    off = sum(p[a, b] * (col[a] + row[b]) ** 2 for a in names for b in names if a != b) * (1 - value) ** 2
    variance = (on + off - (value - expected * (1 - value)) ** 2) / (n * (1 - expected) ** 2)
    return value, math.sqrt(max(variance, 0))


def test_the_textbook_example() -> None:
    # 50 pairs: both yes 20, both no 15, 5 and 10 crossed: observed 0.7, expected 0.5, kappa 0.4
    found = kappa(*from_table([[20, 5], [10, 15]]))
    assert found is not None and found.value == pytest.approx(0.4)
    assert found.low < 0.16 and found.high > 0.63


def test_a_table_with_three_answers() -> None:
    # Fleiss, Cohen & Everitt 1969, table 1 (counts of 200): kappa 0.429
    found = kappa(*from_table([[106, 10, 4], [22, 28, 10], [2, 12, 6]]))
    assert found is not None and found.value == pytest.approx(0.429, abs=5e-4)
    value, error = twin(
        *(list(map(str, one)) for one in from_table([[106, 10, 4], [22, 28, 10], [2, 12, 6]]))
    )
    assert value == pytest.approx(found.value) and error == pytest.approx(0.0535, abs=1e-3)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=40),
    st.permutations("abcd"),
)
def test_it_is_the_twins_and_knows_no_order_and_no_names(
    pairs: list[tuple[str, str]], other: list[str]
) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = kappa(np.array(first), np.array(second))
    if len({*first, *second}) == 1:
        assert found is None
        return
    assert found is not None
    value, error = twin(first, second)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert -1 <= found.low <= found.value + 1e-12 and found.value <= found.high + 1e-12 and found.high <= 1
    assert found.low <= max(-1, value - 1.9599 * error) + 1e-9
    renamed = dict(zip("abcd", other, strict=True))
    again = kappa(np.array([renamed[b] for b in second]), np.array([renamed[a] for a in first]))
    assert again is not None and again.value == pytest.approx(found.value)


def test_full_agreement_is_not_certainty() -> None:
    found = kappa(*from_table([[6, 0], [0, 5]]))
    assert found is not None and found.value == 1 and found.high == 1
    assert 0.2 < found.low < 0.6  # 11 of 11: the agreement may be as low as 0.715


def test_it_covers() -> None:
    """95 % intervals around a known kappa, from few pairs and many, from mild to strong agreement."""
    rng = np.random.Generator(np.random.Philox(3))
    for n, agree in ((12, 0.9), (25, 0.7), (60, 0.95), (60, 0.5)):
        margins = np.array([0.5, 0.1, 0.3, 0.1])
        joint = agree * np.diag(margins) + (1 - agree) * np.outer(margins, margins)
        true = agree  # by construction kappa is the share that does not answer by chance
        held = looked = 0
        for _ in range(400):
            cells = rng.choice(16, size=n, p=joint.ravel())
            found = kappa(cells // 4, cells % 4)
            if found is None:
                continue
            looked += 1
            held += found.low <= true <= found.high
        assert looked > 350 and held / looked >= 0.93, (n, agree, held / looked)


def test_what_cannot_be_compared_is_refused() -> None:
    for first, second in (([], []), ([1, 2], [1]), ([[1]], [[1]])):
        with pytest.raises(ValueError):
            kappa(np.array(first), np.array(second))
