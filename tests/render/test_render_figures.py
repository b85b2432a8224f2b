"""Pictures: the same bytes each time, no date, no font of the machine, axes with units."""

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from medaudit.render import figures
from medaudit.render.histogram import quantise


def charts() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    data = quantise(rng.uniform(0, 1.1, 301), rng.normal(1.7, 0.1, 140), top=2.0, hide=True)
    assert data is not None
    return {
        "histogram": figures.histogram(data, "relative distance (no unit)", 0.6, "flagging line"),
        "power": figures.power_chart(
            ["blur", "flip"], [(0.98, 0.93, 0.998), (0.4, 0.3, 0.5)], [True, True], 0.9
        ),
        "leak": figures.leak_curve([100, 500, 2000], [3, 9, 33]),
    }


def test_charts_are_the_same_bytes_each_time() -> None:
    first, second = charts(), charts()
    assert len(first) == 3 and first == second


def test_charts_are_plain_drawings() -> None:
    for drawing in charts().values():
        tree = ElementTree.fromstring(drawing.decode())
        tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
        assert {"svg", "path"} <= tags
        assert not tags & {"image", "script", "text", "foreignObject", "date"}
        assert b"<dc:date>" not in drawing and b"Matplotlib v" not in drawing


def test_a_weak_kind_looks_different() -> None:
    strong = figures.power_chart(["blur"], [(0.98, 0.93, 0.998)], [True], 0.9)
    weak = figures.power_chart(["blur"], [(0.98, 0.93, 0.998)], [True], 0.95)
    assert figures.SYNTHETIC.lower().encode() in weak.lower()
    assert figures.SYNTHETIC.lower().encode() not in strong.lower()


def test_hidden_cells_are_not_drawn() -> None:
    base = np.full(400, 1.7)
    with_copy = np.append(base[1:], 0.02)
    pictures = []
    for sample in (base, with_copy):
        data = quantise(sample, np.full(100, 1.6), top=2.0, hide=True)
        assert data is not None
        # the shown cell differs by one image; its height is not what this test is about
        shown = data.model_copy(
            update={"synthetic": tuple(None if c is None else 400 for c in data.synthetic)}
        )
        pictures.append(figures.histogram(shown, "d (no unit)", None, ""))
    assert pictures[0] == pictures[1]


def test_pair_holds_both_films_and_the_watermark() -> None:
    dark, light = np.zeros((30, 24)), np.ones((30, 24))
    picture = Image.open(io.BytesIO(figures.pair(light, dark)))
    assert picture.mode == "L" and picture.info == {}
    pixels = np.asarray(picture).astype(int)
    assert figures.pair(light, dark) == figures.pair(light, dark)
    black = np.flatnonzero((pixels == 0).sum(axis=0) > 200)  # columns of the training film
    assert len(black) > 100 and black.min() > picture.width // 5
    # the watermark leaves grey on the black panel
    middle = pixels[:, black.min() : black.max()]
    assert ((middle > 40) & (middle < 200)).sum() > 200


def test_pair_refuses_two_shapes() -> None:
    with pytest.raises(ValueError):
        figures.pair(np.zeros((8, 9)), np.zeros((9, 8)))
