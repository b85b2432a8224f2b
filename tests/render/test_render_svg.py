"""A slimmed drawing is smaller and shows the same."""

import re
import xml.etree.ElementTree as ET

import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from medaudit.render.figures import power_chart
from medaudit.render.svg import slim

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = b"""<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "y">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9pt"><metadata>who</metadata>
 <g id="patch_1"><path d="M 0 1.23456
L 2.0004 -0.0001
L 3 4
z
" style="fill: none"/></g>
 <g id="bar"><path d="M 1 9 L 2 9 L 2 9 L 1 9 z" style="fill: red"/></g>
 <g transform="translate(3.14159 2.71828) scale(0.015625 -0.015625)"><use xlink:href="#a" x="1.005" y="2.999"/></g>
</svg>"""


def test_only_what_is_seen_is_left() -> None:
    text = slim(DRAWN).decode()
    assert 'd="M 0 1.23 L 2 0 3 4 z"' in text
    assert "metadata" not in text and "DOCTYPE" not in text and "red" not in text and "patch_1" not in text
    assert "translate(3.14 2.72) scale(0.015625 -0.015625)" in text  # a scale keeps its digits
    ET.fromstring(text)


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=12))
def test_no_point_moves_further_than_a_hundredth(places: list[float]) -> None:
    pairs = [f"{x:.6f} {y:.6f}" for x, y in zip(places[::2], places[1::2], strict=False)]
    path = "M " + "\nL ".join(pairs)
    short = slim(f'<svg xmlns="http://www.w3.org/2000/svg"><path d="{path}"/></svg>'.encode()).decode()
    found = re.search(r' d="([^"]*)"', short)
    assert found is not None
    kept = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", found.group(1))]
    wanted = [float(one) for pair in pairs for one in pair.split()]
    assert len(kept) == len(wanted)
    assert all(abs(one - other) <= 0.005 + 1e-9 for one, other in zip(kept, wanted, strict=True))


def test_nothing_is_defined_that_is_not_drawn_and_all_that_is_drawn_is_defined() -> None:
    chart = power_chart(["a", "b"], [(0.9, 0.8, 1.0), (1.0, 0.9, 1.0)], [True, False], 0.9)
    tree = ET.fromstring(chart)
    known = {one.get("id") for one in tree.iter() if one.get("id")}
    used = {one.get("{http://www.w3.org/1999/xlink}href", "")[1:] for one in tree.iter(f"{SVG}use")}
    clipped = set(re.findall(r"url\(#([^)]*)\)", chart.decode()))
    assert used and used | clipped <= known


def test_a_whole_report_stays_small() -> None:
    charts = [figure.picture for figure in samples.document("refused", True).figures()]
    assert len(charts) >= 6
    assert max(map(len, charts)) < 45_000
