"""Which planted copies does each detector find? A table of power per kind of edit, on films of real patients.

    python benchmarks/planted_power.py --data ../shared/data/kermany224 --size 64 --plants 200

Half of the patients are the training cohort, the other half are held out. The reference is one film per patient:
training patients against the training films of all others, held-out patients against all training films. A plant
is found when its score lies above the line and the right patient is named; the union counts a plant that any
detector found. Two lines: the second most extreme reference value, and the one from which an audit flags a single
image in a release of `--release` images. Nothing is done about duplicates in the data; an audit sets them aside.
Reads an npz with `images` and `patient_id`, or a folder with metadata.csv (`file`, `patient_id`).
"""

import argparse
import csv
import time
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from medaudit import seeds
from medaudit.config import PLANTED_KINDS, AuditSettings
from medaudit.detectors import DETECTORS, Detector
from medaudit.images.intensity import resize_unit
from medaudit.images.transforms import STRENGTHS, plant
from medaudit.search.nearest import ArrayBlocks, Neighbours, nearest
from medaudit.stats.budget import split_alpha
from medaudit.stats.flags import fit_tail, score_line
from medaudit.stats.reference import adaptive_ratio, copy_score, draw_one_per_patient


def load(data: Path, size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(N, Y, X) float32 in [0, 1] and (N,) int64 patient codes; `size` pixels a side (npz: as they are)."""
    if data.suffix == ".npz":
        with np.load(data, allow_pickle=False) as archive:
            images = archive["images"].astype(np.float32) / 255.0
            names = archive["patient_id"]
    else:
        with (data / "metadata.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        images = np.stack([_film(data / row["file"], size or 64) for row in rows])
        names = np.array([row["patient_id"] for row in rows])
    return images, np.unique(names, return_inverse=True)[1].astype(np.int64)


def _film(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as picture:
        return resize_unit(np.asarray(picture.convert("L"), dtype=np.float32) / 255.0, (size, size))


def halves(patient: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training half and of the held-out half; no patient in both."""
    people = np.unique(patient)
    chosen = seeds.generator(seed, "halves").permutation(people)[: len(people) // 2]
    inside = np.isin(patient, chosen)
    return np.flatnonzero(inside), np.flatnonzero(~inside)


def score(found: Neighbours) -> np.ndarray:
    """(G,) -log of the adaptive ratio."""
    return copy_score(adaptive_ratio(found.distance))


Table = dict[str, dict[str, np.ndarray]]


def measure(
    detectors: tuple[Detector, ...],
    images: np.ndarray,
    patient: np.ndarray,
    plants: int,
    release: int,
    seed: int,
) -> tuple[Table, Table]:
    """{detector: {kind: (plants,) bool found}} for either line, with timings on the screen."""
    train, held = halves(patient, seed)
    own = train[draw_one_per_patient(patient[train], seeds.generator(seed, "reference train"))]
    others = held[draw_one_per_patient(patient[held], seeds.generator(seed, "reference held"))]
    rows = seeds.generator(seed, "plants").choice(train, plants, replace=plants > len(train))
    settings = AuditSettings()
    alpha = split_alpha(settings.alpha, settings.cohort_share, len(detectors)).familywise_each
    ranked: Table = {}
    flagged: Table = {}
    for detector in detectors:
        begin = time.perf_counter()
        references = ArrayBlocks(detector.describe(images[train]))
        ask = partial(_ask, detector, references, patient[train])
        unseen = np.concatenate([score(ask(images[own], patient[own])), score(ask(images[others], None))])
        tail = fit_tail(
            unseen, replicates=settings.bootstrap, rng=seeds.generator(seed, "tail", detector.name)
        )
        lines = np.sort(unseen)[-2], score_line(tail, release, alpha)
        ranked[detector.name], flagged[detector.name] = {}, {}
        for kind in PLANTED_KINDS:
            made = [plant(kind, images[r], seeds.generator(seed, kind, i)) for i, r in enumerate(rows)]
            found = ask(np.stack(made), None)
            right = patient[train][found.index[:, 0]] == patient[rows]
            for table, line in zip((ranked, flagged), lines, strict=True):
                table[detector.name][kind] = (score(found) >= line) & right
        seconds = time.perf_counter() - begin
        print(f"# {detector.name}: {len(unseen)} unseen patients, second {lines[0]:.3f}, "
              f"flag from {lines[1]:.3f}, {seconds:.0f} s", flush=True)  # fmt: skip
    return ranked, flagged


def _ask(
    detector: Detector,
    references: ArrayBlocks,
    group: np.ndarray,
    images: np.ndarray,
    leave_out: np.ndarray | None,
) -> Neighbours:
    """The 50 nearest of images (G, Y, X)."""
    return nearest(detector.poses(images), references, 50, reference_group=group, leave_out=leave_out)


def show(table: Table) -> None:
    """Print the table, kinds down, detectors across, the union last."""
    print("| planted copy | " + " | ".join(table) + " | union |")
    print("|---" * (len(table) + 2) + "|")
    for kind in PLANTED_KINDS:
        columns = [found[kind] for found in table.values()]
        cells = [f"{column.mean():.3f}" for column in [*columns, np.any(columns, axis=0)]]
        print(f"| {kind}: {STRENGTHS[kind]} | " + " | ".join(cells) + " |")


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="npz or folder with metadata.csv")
    parser.add_argument("--size", type=int, default=None, help="pixels a side (folders only)")
    parser.add_argument("--plants", type=int, default=200, help="planted copies per kind")
    parser.add_argument("--release", type=int, default=256, help="images of the release")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    images, patient = load(arguments.data, arguments.size)
    print(
        f"# {len(images)} films of {len(np.unique(patient))} patients, {images.shape[1]} x {images.shape[2]} pixels"
    )
    ranked, flagged = measure(DETECTORS, images, patient, arguments.plants, arguments.release, arguments.seed)
    print("\nabove the second most extreme unseen patient:")
    show(ranked)
    print(f"\nflagged as the only copy in a release of {arguments.release} images:")
    show(flagged)


if __name__ == "__main__":
    main()
