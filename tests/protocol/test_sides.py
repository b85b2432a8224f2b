"""A side of an audit reads its films in parts, and what it has read does not stay resident."""

from pathlib import Path

import numpy as np
import pytest

from medaudit.artifacts.cohort import CohortWriter, open_cohort, to_unit
from medaudit.artifacts.store import Draft, Request
from medaudit.protocol.sides import Side

SHAPE = (512, 512)
COUNT = 200  # 50 MB


def resident(of: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(of)).split()[1])


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
def test_films_that_were_read_are_let_go_of(tmp_path: Path) -> None:
    pixels = np.random.Generator(np.random.Philox(1)).integers(0, 256, (COUNT, *SHAPE)).astype(np.uint8)
    with Draft(tmp_path / "T", Request("cohort", {}, 0)) as draft:
        writer = CohortWriter(draft, SHAPE, np.uint8)
        writer.append(pixels, [{"file": f"{i}.png", "patient": f"p{i}"} for i in range(COUNT)])
        writer.finish(note={"origin": "real", "role": "train"})
    side = Side.of(open_cohort(tmp_path / "T"))
    before = resident("RssFile")
    for start in range(0, COUNT, 10):
        part = slice(start, start + 10)
        np.testing.assert_array_equal(side.images(part), to_unit(pixels[part]))
    assert resident("RssFile") - before < pixels.nbytes // 4
    np.testing.assert_array_equal(side.images(np.array([7, 3])), to_unit(pixels[[7, 3]]))
