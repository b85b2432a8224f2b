"""The loss curve as SVG, written by hand: no plotting library, the same bytes each time."""

import math
from collections.abc import Sequence

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 320, 64, 16, 16, 40


def loss_curve_svg(losses: Sequence[tuple[int, float]]) -> str:
    """An SVG picture of (step, loss) pairs on a logarithmic axis; losses that are not positive are left out."""
    points = [(step, math.log10(loss)) for step, loss in losses if loss > 0 and math.isfinite(loss)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12"><title>Training loss by step</title>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    if points:
        low, high = min(y for _, y in points), max(y for _, y in points)
        low, high = (low - 0.1, high + 0.1) if high - low < 0.2 else (low, high)
        last = max(step for step, _ in points)
        inner_x, inner_y = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

        def place(step: float, y: float) -> tuple[float, float]:
            return _LEFT + inner_x * step / last, _TOP + inner_y * (high - y) / (high - low)

        for i in range(5):
            value = low + (high - low) * i / 4
            _, y = place(0, value)
            parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10**value:.3g}</text>')
        for i in range(5):
            step = round(last * i / 4)
            x, _ = place(step, low)
            parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{step}</text>')
        line = " ".join("{:.1f},{:.1f}".format(*place(step, y)) for step, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="#1f4e79" stroke-width="1.5"/>')
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 6}" text-anchor="middle">training step</text>')
    parts.append('<text x="8" y="12">loss</text></svg>')
    return "\n".join(parts) + "\n"
