"""Numbers in words: true after rounding, never in scientific notation."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medaudit.render import wording as say


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.034, "3.4 %"),
        (0.99996, "99.9 %"),
        (0.000299, "0.03 %"),
        (0.00029, "0.029 %"),
        (None, "not resolvable"),
    ],
)
def test_percent(share: float | None, text: str) -> None:
    assert say.percent(share).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1234.5, "1,234"), (0.0123456, "0.0123"), (12.0, "12"), (1e-9, "below 0.000001"),
        (None, "not resolvable"), (math.inf, "infinite"), (363, "363"), (0.1, "0.1"),
    ],
)  # fmt: skip
def test_number(value: float | None, text: str) -> None:
    assert say.number(value) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.00009999, "0.0001"), (0.00001, "below 0.0001"), (0.5234, "0.52"), (1.0, "1")]
)
def test_chance(p: float, text: str) -> None:
    assert say.chance(p) == text


def test_the_published_sentence() -> None:
    # 1 - 0.05 ** (1 / 5000), STATISTICS 6
    assert say.fewer_than(1 - 0.05 ** (1 / 5000)) == "fewer than 6 in 10,000"


@given(st.floats(min_value=1e-7, max_value=1.0))
@example(0.58)
def test_fewer_than_is_never_less_than_the_rate(rate: float) -> None:
    found = re.fullmatch(r"(?:fewer than|up to) ([\d,]+) in ([\d,]+)", say.fewer_than(rate))
    assert found is not None
    top, base = (int(part.replace(",", "")) for part in found.groups())
    assert top / base > rate or (top == base and rate <= 1)
    if rate > 1e-5:
        assert top / base <= max(1.2 * rate, rate + 1e-6)


@given(st.floats(min_value=-1e9, max_value=1e9, allow_nan=False))
def test_no_scientific_notation(value: float) -> None:
    assert "e" not in say.number(value).replace("below", "").replace("under", "")


def test_counted_and_joined() -> None:
    assert say.counted(1, "copy", "copies") == "1 copy"
    assert say.counted(5000, "image") == "5,000 images"
    assert [say.joined(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
