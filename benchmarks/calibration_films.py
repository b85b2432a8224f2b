"""Films of real patients, the clean "generators" made from them, and every distance once. For `calibration.py`.

A simulated audit only draws patients for its roles and indexes the matrices that stand here, so hundreds of audits
cost little more than one. Nothing is written to disk.

Axes: M films, G queries of a kind, P poses, T tiles, D values per tile, J patients that went into a query.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from real_films import load
from scipy import ndimage

from medaudit import seeds
from medaudit.detectors import VECTOR_DETECTORS, VectorDetector
from medaudit.images.transforms import add_noise, blur, jpeg
from medaudit.search.nearest import ArrayBlocks, nearest

SIDE = 64  # pixels
BLUR_PX = 1.5
NOISE = 0.05  # of the pixel range
AVERAGED = 4  # patients in an average
PARTITIONS = 6  # ways in which all patients are divided into groups of AVERAGED
POOL = 160  # patients of whom VARIANTS slightly changed films exist
VARIANTS = 16
BLEND = 0.6  # share of the copied film in a mild copy
_AT_ONCE = 32  # queries

AS_THEY_ARE, BLURRED, NOISY = "as they are", "blurred", "noisy"
AVERAGES, REPEATS, MILD = "averages of 4", "few people repeated", "mild copies"
ONE_LABEL = "healthy only"  # films as they are, of people without pneumonia only
CLEAN = (AS_THEY_ARE, ONE_LABEL, BLURRED, NOISY, AVERAGES, REPEATS)
LIKE_PEOPLE = (AS_THEY_ARE,)  # the generators that meet the assumption under every p-value


@dataclass(frozen=True)
class Queries:
    """Images of one kind: who went into each (G, J), and distances (G, M) to all films by detector's name."""

    patients: np.ndarray
    distance: dict[str, np.ndarray]


@dataclass(frozen=True)
class Films:
    """Patient codes (M,), whether healthy (M,), and queries by kind; where J is 1 but in REPEATS query g is film g."""

    patient: np.ndarray
    healthy: np.ndarray
    kinds: dict[str, Queries]
    dropped: int  # patients left out because a film of theirs stands under another patient too

    @property
    def people(self) -> int:
        """Number of patients."""
        return int(self.patient.max()) + 1


def prepare(data: Path, seed: int) -> Films:
    """All kinds and all distances, from the folder that holds `kermany224` and `known_pairs.csv`."""
    images, patient, healthy, dropped = without_doubles(data)
    described = {detector.name: detector.describe(images) for detector in VECTOR_DETECTORS}
    kinds = {}
    for name, (made, members) in _generators(images, patient, seed).items():
        distance = {d.name: distances(d, made, described[d.name]) for d in VECTOR_DETECTORS}
        kinds[name] = Queries(members, distance)
        print(f"# {name}: {len(made):,} images against {len(images):,} films", flush=True)
    _agree_with_search(images, patient, described, kinds[AS_THEY_ARE])
    kinds[ONE_LABEL] = kinds[AS_THEY_ARE]
    return Films(patient, healthy, kinds, dropped)


def without_doubles(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(M, Y, X) films, (M,) patient codes and whether healthy, and how many patients were dropped as doubles."""
    images, patient = load(data / "kermany224", SIDE)
    with (data / "kermany224" / "metadata.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    code = {name: place for place, name in enumerate(sorted({row["patient_id"] for row in rows}))}
    healthy = np.array([row["label"] == "NORMAL" for row in rows])
    with (data / "known_pairs.csv").open(newline="") as stream:
        pairs = [(row["patient_a"], row["patient_b"]) for row in csv.DictReader(stream)]
    doubled = {code[b] for a, b in pairs if a != b and a in code and b in code}
    keep = ~np.isin(patient, list(doubled))
    return images[keep], np.unique(patient[keep], return_inverse=True)[1], healthy[keep], len(doubled)


def _generators(
    images: np.ndarray, patient: np.ndarray, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By kind: (G, Y, X) images and (G, J) patients in each."""
    rng = seeds.generator(seed, "calibration", "kinds")
    own = patient[:, None]
    others = rng.permutation(len(images))
    return {
        AS_THEY_ARE: (images, own),
        BLURRED: (np.stack([blur(film, BLUR_PX) for film in images]), own),
        NOISY: (np.stack([add_noise(film, NOISE, rng) for film in images]), own),
        AVERAGES: _averages(images, patient, rng),
        REPEATS: _repeats(images, patient, rng),
        MILD: (BLEND * images + (1 - BLEND) * images[others], own),
    }


def _averages(
    images: np.ndarray, patient: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Means of one film each of AVERAGED patients; PARTITIONS times every patient is in one group."""
    first = np.unique(patient, return_index=True)[1]
    whole = len(first) // AVERAGED * AVERAGED
    groups = [rng.permutation(len(first))[:whole].reshape(-1, AVERAGED) for _ in range(PARTITIONS)]
    members = np.concatenate(groups)
    return images[first[members]].mean(axis=1), members


def _repeats(
    images: np.ndarray, patient: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """VARIANTS slightly changed films of each of POOL patients: noise, a little blur, a shift under a pixel."""
    first = np.unique(patient, return_index=True)[1]
    pool = rng.permutation(len(first))[: min(POOL, len(first))]
    made = []
    for film in images[first[pool]]:
        for _ in range(VARIANTS):
            moved = ndimage.shift(film, rng.uniform(-0.5, 0.5, 2), order=1, mode="nearest")
            made.append(add_noise(jpeg(moved, 40), 0.02, rng))
    return np.stack(made), np.repeat(pool, VARIANTS)[:, None]


def distances(detector: VectorDetector, images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(G, Y, X) and (M, T, D) → (G, M) float32: smallest over poses of the largest over tiles of the RMSE.

    By products of centred values, not by subtraction: good to about 0.0003, where the nearest stranger stands at 0.03
    and more. No exact copy is asked for here.
    """
    centre = references.mean(axis=0)  # (T, D)
    right = references - centre
    right_square = np.square(right).mean(axis=2)  # (M, T)
    found = np.empty((len(images), len(references)), dtype=np.float32)
    for start in range(0, len(images), _AT_ONCE):
        left = detector.poses(images[start : start + _AT_ONCE]) - centre  # (g, P, T, D)
        asked, poses, tiles, values = left.shape
        worst = np.full((asked * poses, len(references)), -np.inf, dtype=np.float32)
        for tile in range(tiles):
            flat = left[:, :, tile].reshape(-1, values)
            squared = flat @ (right[:, tile].T * np.float32(-2.0 / values))
            squared += np.square(flat).mean(axis=1)[:, None]
            squared += right_square[:, tile]
            np.maximum(worst, squared, out=worst)
        nearest_pose = worst.reshape(asked, poses, -1).min(axis=1)
        found[start : start + asked] = np.sqrt(np.maximum(nearest_pose, 0.0))
    return found


def _agree_with_search(
    images: np.ndarray, patient: np.ndarray, described: dict[str, np.ndarray], own: Queries
) -> None:
    """The matrices say what the package's exact search says, on a few films."""
    few = np.arange(0, len(images), max(1, len(images) // 12))
    for detector in VECTOR_DETECTORS:
        exact = nearest(
            detector.poses(images[few]),
            ArrayBlocks(described[detector.name]),
            20,
            reference_group=patient,
            leave_out=patient[few],
        ).distance
        mine = np.where(patient == patient[few][:, None], np.inf, own.distance[detector.name][few])
        assert np.allclose(np.sort(mine, axis=1)[:, :20], exact, atol=1e-3), detector.name
