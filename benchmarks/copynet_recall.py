"""Does the copy network find the right patient? Recall among the first 1 and 10, for each kind of edit, on real films.

    python benchmarks/copynet_recall.py --data ../shared/data/kermany224 --size 64 --minutes 6

Half of the patients are trained on (`real_films.halves`); films of theirs are edited and ranked against all films
of that half. Nobody unseen takes part: this measures the search for candidates, not the line of decision.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from real_films import halves, load
from scipy import ndimage

from medaudit import seeds
from medaudit.config import CopyNetSettings
from medaudit.detectors.copynet.detector import CopyNet
from medaudit.detectors.copynet.network import build_encoder, describe_encoder
from medaudit.detectors.copynet.training import train_copynet
from medaudit.images import transforms as t

Edit = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def elastic(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth warp: standard deviation 3 % of the side, smoothed over 12 % of it."""
    side = image.shape[0]
    rows, columns = np.meshgrid(*(np.arange(n, dtype=float) for n in image.shape), indexing="ij")
    moves = []
    for _ in range(2):
        field = ndimage.gaussian_filter(rng.standard_normal(image.shape), 0.12 * side)
        moves.append(field / field.std() * 0.03 * side)
    warped = ndimage.map_coordinates(image, [rows + moves[0], columns + moves[1]], order=1, mode="nearest")
    return np.clip(warped, 0, 1).astype(np.float32)


def shifted(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Moved by `share` of the side along both axes, in a direction by lot."""
    dy, dx = (int(rng.choice([-1, 1])) * round(share * side) for side in image.shape)
    return t.shift(image, dy, dx)


def zoomed_out(image: np.ndarray, share: float) -> np.ndarray:
    """The film at `share` of its size on black."""
    inner = [round(share * side) for side in image.shape]
    result = np.zeros_like(image)
    top, left = ((side - own) // 2 for side, own in zip(image.shape, inner, strict=True))
    result[top : top + inner[0], left : left + inner[1]] = t.resize_unit(image, (inner[0], inner[1]))
    return result


def boxed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A white text box, 40 x 120 of 224 pixels, anywhere."""
    height, width = image.shape
    tall, wide = round(height * 40 / 224), round(width * 120 / 224)
    return t.occlude(image, rng.integers(0, height - tall), rng.integers(0, width - wide), tall, wide)


def left_half(image: np.ndarray) -> np.ndarray:
    """The right half black."""
    return t.occlude(image, 0, image.shape[1] // 2, image.shape[0], image.shape[1], 0.0)


def sign(rng: np.random.Generator) -> int:
    """-1 or 1."""
    return int(rng.choice([-1, 1]))


EDITS: dict[str, Edit] = {
    "identity": lambda a, b, r: a,
    "noise 0.05": lambda a, b, r: t.add_noise(a, 0.05, r),
    "noise 0.15": lambda a, b, r: t.add_noise(a, 0.15, r),
    "blur, sigma 3 of 224 px": lambda a, b, r: t.blur(a, 3 / 224 * a.shape[0]),
    "32-px resolution": lambda a, b, r: t.resolution(a, 32),
    "JPEG 10": lambda a, b, r: t.jpeg(a, 10),
    "gamma 0.6": lambda a, b, r: t.gamma(a, 0.6),
    "window [0.25, 0.75]": lambda a, b, r: t.window(a, 0.25, 0.75),
    "equalise": lambda a, b, r: t.equalise(a),
    "polarity": lambda a, b, r: t.invert(a),
    "mirror": lambda a, b, r: t.mirror(a),
    "shift 8 %": lambda a, b, r: shifted(a, 0.08, r),
    "rotate 10": lambda a, b, r: t.rotate(a, 10 * sign(r)),
    "crop 75 %": lambda a, b, r: t.crop_zoom(a, 0.75),
    "zoom out 90 %": lambda a, b, r: zoomed_out(a, 0.9),
    "rotate 10, crop 85 %": lambda a, b, r: t.crop_zoom(t.rotate(a, 10 * sign(r)), 0.85),
    "elastic warp": lambda a, b, r: elastic(a, r),
    "blend 0.7": lambda a, b, r: 0.7 * a + 0.3 * b,
    "blend 0.5": lambda a, b, r: 0.5 * a + 0.5 * b,
    "left half": lambda a, b, r: left_half(a),
    "text box": lambda a, b, r: boxed(a, r),
    "mirror, rotate 8, noise 0.05": lambda a, b, r: t.add_noise(t.rotate(t.mirror(a), 8 * sign(r)), 0.05, r),
    "shift 5 %, crop 85 %, gamma 1.6": lambda a, b, r: t.gamma(t.crop_zoom(shifted(a, 0.05, r), 0.85), 1.6),
}


class Printed:
    """Progress in plain lines, one a minute."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.steps = 0

    def start(self, name: str, total: int | None) -> None:
        """Name the task."""
        print(f"# {name}", flush=True)

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        """Print now and then."""
        self.steps += steps
        if time.monotonic() - self.last > 30:
            self.last = time.monotonic()
            print(f"# {self.last - self.began:4.0f} s, step {self.steps}, {facts}", flush=True)

    def say(self, line: str) -> None:
        """Print the line."""
        print(f"# {line}", flush=True)


def recall(
    detector: CopyNet, images: np.ndarray, patient: np.ndarray, plants: int, seed: int
) -> dict[str, tuple[float, float]]:
    """For each kind of edit the share of plants whose patient is first, and among the first ten films."""
    references = detector.describe(images)[:, 0]  # (N, D)
    rows = seeds.generator(seed, "plants").choice(len(images), min(plants, len(images)), replace=False)
    table = {}
    for kind, change in EDITS.items():
        random = [seeds.generator(seed, kind, int(row)) for row in rows]
        others = [
            r.choice(np.flatnonzero(patient != patient[row])) for r, row in zip(random, rows, strict=True)
        ]
        made = [change(images[row], images[o], r) for row, o, r in zip(rows, others, random, strict=True)]
        asking = detector.poses(np.stack(made))[:, :, 0]  # (G, P, D)
        likeness = (asking @ references.T).max(axis=1)  # (G, N)
        first = np.argsort(-likeness, axis=1, kind="stable")[:, :10]
        right = patient[first] == patient[rows][:, None]
        table[kind] = (float(right[:, 0].mean()), float(right.any(axis=1).mean()))
    return table


def main() -> None:
    """Train, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="npz or folder with metadata.csv")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--minutes", type=float, default=6.0, help="of training; 0: an untrained network")
    parser.add_argument("--plants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--settings", default="{}", help="JSON of CopyNetSettings to change")
    arguments = parser.parse_args()
    images, patient = load(arguments.data, arguments.size)
    train, _ = halves(patient, arguments.seed)
    images, patient = images[train], patient[train]
    changes = {"size": arguments.size, "steps": 10**6, **json.loads(arguments.settings)}
    if arguments.minutes > 0:
        changes["max_minutes"] = arguments.minutes
        settings = CopyNetSettings.model_validate(changes)
        spent = time.process_time()
        trained = train_copynet(
            lambda rows: images[rows], patient, settings, arguments.seed, torch.device(arguments.device),
            progress=Printed(),
        )  # fmt: skip
        print(f"# {trained.facts}, last loss {trained.losses[-1:]}")
        print(f"# {time.process_time() - spent:.0f} s of processor time, all threads together")
        network = trained.network
    else:
        settings = CopyNetSettings.model_validate(changes)
        network = build_encoder(describe_encoder(settings), arguments.seed)
    began = time.perf_counter()
    detector = CopyNet(network, settings.size, device=arguments.device)
    table = recall(detector, images, patient, arguments.plants, arguments.seed)
    print(
        f"# measured in {time.perf_counter() - began:.0f} s: {len(images)} films of {len(np.unique(patient))} patients"
    )
    print("| planted copy | recall@1 | recall@10 |\n|---|---|---|")
    for kind, (one, ten) in table.items():
        print(f"| {kind} | {one:.2f} | {ten:.2f} |")
    print(
        f"| mean | {np.mean([v[0] for v in table.values()]):.3f} | {np.mean([v[1] for v in table.values()]):.3f} |"
    )


if __name__ == "__main__":
    main()
