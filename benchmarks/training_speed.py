"""Training and sampling beside plain diffusers on the same cores: speed, and whether the quality is the same.

    python benchmarks/training_speed.py --data ../shared/data --out training.json

Films of PneumoniaMNIST, 50 patients to train on, the rest held out, configs/demo-real.yaml. Times are medians of
interleaved pairs. Intervals are 95 %, by bootstrap over images; where two samplers start from the same noise, their
difference is drawn in pairs. Axes: N images, (Y, X) pixels.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from real_films import load
from torch.profiler import ProfilerActivity, profile
from training_peers import DDIM_STEPS, PlainTwin, ddim, heldout_loss, stock_network, stock_step

from medaudit import seeds
from medaudit.config import SamplingSettings, TrainSettings, load_settings
from medaudit.generators.denoising import Denoiser, solve
from medaudit.generators.networks import build_network
from medaudit.generators.processes import Team
from medaudit.generators.sampling import GenerativeModel, sample_block
from medaudit.generators.training import Trained, TrainingImages, train
from medaudit.images.intensity import to_depth

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "demo-real.yaml"
CPU = Team(torch.device("cpu"))
PATIENTS, COUNT, RESAMPLES, AXES = 50, 256, 1000, 16
_WARM = 3  # steps before the clock counts
_BEFORE = SamplingSettings(steps=18, sigma_min=0.01, sigma_max=20.0)  # the demos' until multistep


class Stopwatch:
    """Progress that notes when each step was done."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def start(self, name: str, total: int | None) -> None:
        """Nothing to note."""

    def say(self, line: str) -> None:
        """Nothing to note."""

    def advance(self, steps: int = 1, **facts: float | str) -> None:
        """A step is done."""
        self.at.append(time.perf_counter())

    def median(self) -> float:
        """Seconds a step, after the first ones."""
        return float(np.median(np.diff(self.at)[_WARM:]))


def fit(images: TrainingImages, settings: TrainSettings, watch: Stopwatch | None = None) -> Trained:
    """medaudit's own training, from the start."""
    with tempfile.TemporaryDirectory() as folder:
        return train(images, settings, 0, 0, CPU, Path(folder) / "checkpoint", watch or Stopwatch())


def per_step(step: Callable[[int], None], steps: int) -> float:
    """Median seconds of `step`, after the first ones."""
    watch = Stopwatch()
    for number in range(steps + _WARM + 1):
        step(number)
        watch.advance()
    return watch.median()


def step_rows(images: TrainingImages, settings: TrainSettings, pairs: int) -> list[dict[str, Any]]:
    """A training step of medaudit beside the stock network's, and beside its own network in a plain loop."""
    stock = stock_network(images.image_shape[0])
    others = {
        "stock UNet2DModel": stock_step(stock, images, settings.batch),
        "same network, plain loop": PlainTwin(images, settings, 0).step,
    }
    short = settings.model_copy(update={"steps": 12 + _WARM})
    found: dict[str, list[float]] = {name: [] for name in ("medaudit", *others)}
    for _ in range(pairs):
        watch = Stopwatch()
        trained = fit(images, short, watch)
        found["medaudit"].append(watch.median())
        for name, step in others.items():
            found[name].append(per_step(step, 5))
    own = int(trained.facts["parameters"])
    counts = {"stock UNet2DModel": sum(p.numel() for p in stock.parameters())}
    return [
        {
            "what": "training step",
            "peer": name,
            "medaudit_ms": 1e3 * float(np.median(found["medaudit"])),
            "peer_ms": 1e3 * float(np.median(found[name])),
            "ratio": float(np.median(np.array(found[name]) / found["medaudit"])),
            "parameters": own,
            "peer_parameters": counts.get(name, own),
        }
        for name in others
    ]


def loss_row(images: TrainingImages, settings: TrainSettings, films: np.ndarray) -> dict[str, Any]:
    """Held-out denoising loss after the same steps of medaudit's loop and of the plain one."""
    settings = settings.model_copy(update={"steps": 200})
    twin = PlainTwin(images, settings, 0)
    for number in range(settings.steps):
        twin.step(number)
    trained = fit(images, settings)
    losses = [
        heldout_loss(denoiser(trained.architecture, weights, settings), films, settings)
        for weights in (trained.weights, twin.averaged())
    ]
    low, high = interval(lambda rows: float((losses[0] - losses[1])[rows].mean()), len(films))
    return {
        "what": f"held-out loss after {settings.steps} steps",
        "medaudit": float(losses[0].mean()),
        "peer": float(losses[1].mean()),
        "difference_low": low,
        "difference_high": high,
        "noise": float(losses[1].std() / np.sqrt(len(films))),
    }


def denoiser(
    architecture: dict[str, Any], weights: dict[str, torch.Tensor], settings: TrainSettings
) -> Denoiser:
    """Weights ready to be asked."""
    network = build_network(architecture)
    network.load_state_dict(weights)
    return Denoiser(network, settings.noise.sigma_data).eval().requires_grad_(False)


def generative(trained: Trained, settings: TrainSettings, shape: tuple[int, int], sampling: SamplingSettings):
    """The trained model with a sampler."""
    return GenerativeModel(
        denoiser(trained.architecture, trained.weights, settings), shape, sampling, CPU.device, "benchmark"
    )


def sample_ddim(model: GenerativeModel, count: int, seed: int) -> np.ndarray:
    """(count, Y, X) in [0, 1] from the noise that medaudit's images of this seed start from, block for block."""
    shape, size = (1, *model.image_shape), model.sampling.batch
    parts = []
    for first in range(0, count, size):
        noise = np.stack(
            [
                seeds.generator(seed, "image", i).standard_normal(shape, dtype=np.float32)
                for i in range(first, first + size)
            ]
        )
        parts.append(ddim(model.denoise, torch.from_numpy(noise))[:, 0].numpy() / 2 + 0.5)
    return np.clip(np.concatenate(parts)[:count], 0, 1)


def sampling_rows(
    model: GenerativeModel, before: GenerativeModel, train_films: np.ndarray, heldout: np.ndarray, pairs: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Speed of 256 images, and the figures of both samplers with the interval of their difference."""
    ways = {
        "medaudit": lambda: model.sample(COUNT, 1),
        f"DDIM, {DDIM_STEPS} steps": lambda: sample_ddim(model, COUNT, 1),
        "Heun, 18 steps": lambda: before.sample(COUNT, 1),
    }
    made: dict[str, np.ndarray] = {}
    found: dict[str, list[float]] = {name: [] for name in ways}
    sample_block(model, 0, 2)
    for _ in range(pairs):
        for name, way in ways.items():
            began = time.perf_counter()
            made[name] = way()
            found[name].append(time.perf_counter() - began)
    own, (peer, old) = found["medaudit"], list(ways)[1:]
    speed = [
        {
            "what": f"sampling {COUNT} images",
            "peer": name,
            "medaudit_s": float(np.median(own)),
            "peer_s": float(np.median(found[name])),
            "ratio": float(np.median(np.array(found[name]) / own)),
        }
        for name in (peer, old)
    ]
    figures = Figures(train_films, heldout)
    return speed, [row for name in (peer, old) for row in figures.rows(made["medaudit"], made[name], name)]


class Figures:
    """What is said of a set of generated images: how near to the training films, how near to the held-out ones."""

    def __init__(self, train_films: np.ndarray, heldout: np.ndarray) -> None:
        self.train, self.heldout = train_films, heldout
        self.unseen = float(np.quantile(rmse_to_nearest(heldout, train_films), 0.01))
        flat = heldout.reshape(len(heldout), -1)
        self.mean = flat.mean(0)
        self.axes = np.linalg.svd(flat - self.mean, full_matrices=False)[2][:AXES]  # (AXES, Y X)

    def rows(self, own: np.ndarray, peers: np.ndarray, peer: str) -> list[dict[str, Any]]:
        """One row a figure: medaudit's, the peer's, and the interval of the difference over images."""
        near, far = (
            [rmse_to_nearest(made, to) for made in (own, peers)] for to in (self.train, self.heldout)
        )
        placed = [self.placed(made) for made in (own, peers)]
        reference = self.placed(self.heldout)
        figures: dict[str, Callable[[int, np.ndarray], float]] = {
            "median RMSE to the nearest training film": lambda side, rows: float(np.median(near[side][rows])),
            "median RMSE to the nearest held-out film": lambda side, rows: float(np.median(far[side][rows])),
            "share under the 1 % point of unseen people": lambda side, rows: float(
                (near[side][rows] < self.unseen).mean()
            ),
            f"Frechet distance to held-out films, {AXES} axes": lambda side, rows: frechet(
                placed[side][rows], reference
            ),
        }
        everyone, found = np.arange(len(own)), []
        for name, figure in figures.items():
            low, high = interval(lambda rows, figure=figure: figure(0, rows) - figure(1, rows), len(own))
            alone = interval(lambda rows, figure=figure: figure(1, rows), len(own))
            found.append(
                {
                    "what": name,
                    "beside": peer,
                    "medaudit": figure(0, everyone),
                    "peer": figure(1, everyone),
                    "peer_low": alone[0],
                    "peer_high": alone[1],
                    "difference_low": low,
                    "difference_high": high,
                }
            )
        return found

    def placed(self, films: np.ndarray) -> np.ndarray:
        """(N, AXES) on the held-out films' principal axes."""
        return (films.reshape(len(films), -1) - self.mean) @ self.axes.T


def rmse_to_nearest(films: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N,) root mean squared difference to the nearest of the others."""
    a, b = (
        films.reshape(len(films), -1).astype(np.float64),
        others.reshape(len(others), -1).astype(np.float64),
    )
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squared.min(1), 0) / a.shape[1])


def frechet(one: np.ndarray, two: np.ndarray) -> float:
    """Frechet distance between the normal distributions of (N, D) and (M, D)."""
    first, second = np.cov(one.T), np.cov(two.T)
    shared = np.sqrt(np.maximum(np.linalg.eigvals(first @ second).real, 0)).sum()
    return float(((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * shared)


def interval(figure: Callable[[np.ndarray], float], count: int) -> tuple[float, float]:
    """95 % bootstrap interval of a figure of rows (count,)."""
    random = seeds.generator(0, "bootstrap")
    drawn = [figure(random.integers(0, count, count)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def profiled(work: Callable[[], object], rows: int = 8) -> dict[str, Any]:
    """Where the time of `work` goes: the convolutions' share of the CPU's own time, and the largest operators."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    share = {event.key: event.self_cpu_time_total / total for event in events}
    kernels = sum(share.get(f"aten::{name}", 0.0) for name in ("mkldnn_convolution", "convolution_backward"))
    return {
        "convolutions": kernels,
        "operators": [{"name": k, "share": share[k]} for k in list(share)[:rows]],
    }


def printed(result: dict[str, Any]) -> None:
    """The tables."""
    print(f"{result['threads']} threads, torch {result['torch']}, {result['seconds']:.0f} s in all")
    for row in result["speed"]:
        unit = "ms" if "peer_ms" in row else "s"
        print(
            f"{row['what']:22} {row[f'medaudit_{unit}']:8.2f} {unit:2}   {row['peer']:26}"
            f"{row[f'peer_{unit}']:8.2f} {unit:2}   ratio {row['ratio']:.2f}"
        )
    for row in result["quality"]:
        print(
            f"{row['what']:46} {row['medaudit']:.4f}   {row.get('beside', 'plain loop'):16} {row['peer']:.4f}   "
            f"difference {row['difference_low']:+.4f} to {row['difference_high']:+.4f}"
        )
    for name, found in result["profile"].items():
        print(
            f"{name}: convolutions {found['convolutions']:.0%} of the time, so all else together could give "
            f"{1 / (found['convolutions'] or 1):.2f} x at most"
        )
        print("  " + ", ".join(f"{row['name']} {row['share']:.0%}" for row in found["operators"]))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--steps", type=int, default=2500, help="training steps before sampling; the demo's are 4500"
    )
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    began = time.perf_counter()
    films, patient = load(options.data / "pneumoniamnist" / "pneumoniamnist_dev.npz", None)
    chosen = seeds.generator(0, "training speed").permutation(np.unique(patient))[:PATIENTS]
    inside = np.isin(patient, chosen)
    pixels = to_depth(films, np.uint8)
    images = TrainingImages(pixels, np.flatnonzero(inside))
    settings = load_settings(CONFIG, TrainSettings)
    speed = step_rows(images, settings, options.pairs)
    quality = [loss_row(images, settings, films[~inside])]
    settings = settings.model_copy(update={"steps": options.steps})
    trained = fit(images, settings)
    model, before = (
        generative(trained, settings, images.image_shape, sampling)
        for sampling in (settings.sampling, _BEFORE)
    )
    rows = sampling_rows(model, before, films[inside], films[~inside], options.pairs)
    noise = torch.zeros(settings.sampling.batch, 1, *images.image_shape)
    few = settings.model_copy(update={"steps": 10})
    result = {
        "speed": speed + rows[0],
        "quality": quality + rows[1],
        "profile": {
            "training": profiled(lambda: fit(images, few)),
            "sampler": profiled(lambda: solve(model.denoise, noise, settings.sampling)),
        },
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "steps": options.steps,
        "seconds": time.perf_counter() - began,
    }
    printed(result)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
