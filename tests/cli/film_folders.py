"""Folders of films of pure noise with their patients, for the front door."""

from pathlib import Path

import numpy as np
from PIL import Image


def films(
    folder: Path, count: int, shape: tuple[int, int] = (16, 16), start: int = 0, patients: int | None = None
) -> None:
    """`count` PNG and metadata.csv; each film of a patient of its own, or of one of `patients` in turn."""
    folder.mkdir()
    rows = ["file,patient_id"]
    for number in range(start, start + count):
        pixels = np.random.Generator(np.random.Philox(number)).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
        rows.append(f"{number:03d}.png,P{number % (patients or 10**6)}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
