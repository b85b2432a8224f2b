"""The loss curve: a well-formed picture that goes down where the loss does."""

import math
import xml.etree.ElementTree as ET

from medaudit.render.curve import loss_curve_svg

SVG = "{http://www.w3.org/2000/svg}"


def line(losses) -> list[tuple[float, float]]:
    root = ET.fromstring(loss_curve_svg(losses))
    found = root.findall(f"{SVG}polyline")
    if not found:
        return []
    return [tuple(float(v) for v in pair.split(",")) for pair in found[0].get("points").split()]


def test_a_falling_loss_falls_inside_the_picture():
    points = line([(10, 1.0), (20, 0.1), (40, 0.01)])
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)  # downwards in an SVG
    assert all(0 <= x <= 640 and 0 <= y <= 320 for x, y in points)
    # A logarithmic axis: two factors of ten are two equal steps.
    assert math.isclose(points[1][1] - points[0][1], points[2][1] - points[1][1], abs_tol=0.2)


def test_flat_single_and_odd_values_do_not_break_it():
    assert len(line([(1, 0.5)])) == 1
    assert len(line([(1, 0.5), (2, 0.5)])) == 2
    assert len(line([(1, 0.5), (2, math.nan), (3, 0.0), (4, 0.2)])) == 2
    assert line([]) == []


def test_same_bytes_each_time():
    losses = [(i, 1 / i) for i in range(1, 50)]
    assert loss_curve_svg(losses) == loss_curve_svg(losses)
