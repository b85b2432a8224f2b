"""As many films as asked for, made from real ones by smooth warps and gentle tone: how the search is loaded in earnest.

    python benchmarks/enlarged.py --data ../shared/data --count 100000 --size 64 --out films.npy

Every film gets a random smooth displacement (six control points a side, up to a twentieth of it) and a gamma near 1;
what comes of one patient's films keeps that patient. Axes: N films made, M real films, (Y, X) pixels.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from real_films import load

_TOGETHER = 2000
_POINTS = 6
_REACH = 0.1  # of the half side, in grid_sample's coordinates
_TONE = 0.15


def enlarge(films: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(M, Y, X) float32 in [0, 1] → (count, Y, X) uint8; film i comes from film i % M."""
    result = np.empty((count, *films.shape[1:]), dtype=np.uint8)
    source = torch.from_numpy(films)[:, None]
    upright = F.affine_grid(torch.eye(2, 3)[None], [1, 1, *films.shape[1:]], align_corners=False)
    for start in range(0, count, _TOGETHER):
        rows = torch.arange(start, min(start + _TOGETHER, count))
        random = torch.Generator().manual_seed(seed * 1_000_003 + start)
        push = (torch.rand((len(rows), 2, _POINTS, _POINTS), generator=random) * 2 - 1) * _REACH
        smooth = F.interpolate(push, films.shape[1:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
        moved = F.grid_sample(
            source[rows % len(films)], upright + smooth, padding_mode="border", align_corners=False
        )[:, 0]
        gamma = torch.exp((torch.rand((len(rows), 1, 1), generator=random) * 2 - 1) * _TONE)
        result[start : start + len(rows)] = (moved.clamp(0, 1) ** gamma * 255).round().byte().numpy()
    return result


def films_and_people(
    data: Path, size: int, count: int, seed: int, part: slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """(count, size, size) uint8 and patient codes (count,) from some of the patients of kermany224."""
    images, patient = load(data / "kermany224", size)
    people = np.unique(patient)[part]
    chosen = np.isin(patient, people)
    rows = np.arange(count) % int(chosen.sum())
    return enlarge(images[chosen], count, seed), patient[chosen][rows]


def main() -> None:
    """Write the films of one half of the patients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    films, people = films_and_people(given.data, given.size, given.count, given.seed)
    np.save(given.out, films)
    np.save(given.out.with_suffix(".people.npy"), people)


if __name__ == "__main__":
    main()
