"""Numbers as a lay reader meets them. The one place of the report where numbers are rounded."""

import math
import re

NOT_RESOLVABLE = "not resolvable"


def whole(count: int | float) -> str:
    """5000 → `5,000`."""
    return f"{round(count):,}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """1, `image` → `1 image`; 2 → `2 images`."""
    return f"{whole(count)} {one if count == 1 else many or one + 's'}"


def number(value: float | None, digits: int = 3) -> str:
    """A plain decimal with `digits` significant figures; None → `not resolvable`; never 1e-05."""
    if value is None:
        return NOT_RESOLVABLE
    if not math.isfinite(value):
        return "infinite" if value > 0 else "minus infinite"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-6:
        return "below 0.000001" if value > 0 else "just under 0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float | None) -> str:
    """0.034 → `3.4 %`; small shares keep their first two figures; a share just under 1 never reads 100 %.

    The space is one that no line breaks at.
    """
    if share is None:
        return NOT_RESOLVABLE
    value = 100 * share
    if value == 0 or value == 100:
        return f"{value:.0f}\u00a0%"
    if 0 < value < 1:
        return f"{number(value, 2)}\u00a0%"
    text = f"{value:.1f}"
    if text == "100.0" and value < 100:
        text = "99.9"
    return f"{text}\u00a0%"


def level(share: float) -> str:
    """A share that someone chose, such as a confidence of 0.95: `95 %`."""
    return f"{100 * share:g}\u00a0%"


def span(low: float | None, high: float | None) -> str:
    """An interval of shares: `90.2 % to 96.7 %`."""
    if low is None or high is None:
        return NOT_RESOLVABLE
    return f"{percent(low)} to {percent(high)}"


def chance(p_value: float | None) -> str:
    """A p-value, to two figures; far below one in ten thousand only that is said."""
    if p_value is None:
        return NOT_RESOLVABLE
    if p_value < 0.00005:
        return "below 0.0001"
    return number(round(min(p_value, 1.0), 4), 2)


def fewer_than(rate: float) -> str:
    """An upper limit as `fewer than 7 in 10,000`: always more than `rate`, and by no more than 15 % where it can be."""
    for base in (100, 1_000, 10_000, 100_000, 1_000_000):
        top = math.floor(rate * base) + 1
        top += top / base <= rate  # 0.58 * 100 is a little less than 58
        if top <= 1.15 * rate * base:
            break
    if top > base:
        return f"up to {whole(base)} in {whole(base)}"
    return f"fewer than {whole(top)} in {whole(base)}"


def together(text: str) -> str:
    """The text with no line break between a number and its percent sign."""
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def joined(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
