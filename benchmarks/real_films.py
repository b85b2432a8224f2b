"""Real films for benchmarks: read as they lie, halved by patient. Axes: N films, (Y, X) pixels."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from medaudit import seeds
from medaudit.images.intensity import resize_unit


def load(data: Path, size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(N, Y, X) float32 in [0, 1] and (N,) int64 patient codes; `size` pixels a side (npz: as they are).

    Reads an npz with `images` and `patient_id`, or a folder with metadata.csv (`file`, `patient_id`).
    """
    if data.suffix == ".npz":
        with np.load(data, allow_pickle=False) as archive:
            images = archive["images"].astype(np.float32) / 255.0
            names = archive["patient_id"]
    else:
        with (data / "metadata.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        images = np.stack([film(data / row["file"], size or 64) for row in rows])
        names = np.array([row["patient_id"] for row in rows])
    return images, np.unique(names, return_inverse=True)[1].astype(np.int64)


def film(path: Path, size: int) -> np.ndarray:
    """(size, size) float32 in [0, 1]."""
    with Image.open(path) as picture:
        return resize_unit(np.asarray(picture.convert("L"), dtype=np.float32) / 255.0, (size, size))


def halves(patient: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training half and of the held-out half; no patient in both."""
    people = np.unique(patient)
    chosen = seeds.generator(seed, "halves").permutation(people)[: len(people) // 2]
    inside = np.isin(patient, chosen)
    return np.flatnonzero(inside), np.flatnonzero(~inside)
