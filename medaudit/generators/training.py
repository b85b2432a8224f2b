"""Training a denoiser. Every random number of step s follows from (seed, s), so a killed run ends in the same bytes.

Axes: N images, n rows in use, B images a step, (Y, X) pixels.
"""

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medaudit.checkpoints import TrainState, load_checkpoint, save_checkpoint
from medaudit.config import TrainSettings
from medaudit.devices import repeatable, uses_bf16
from medaudit.errors import TrainingDiverged, UsageProblem
from medaudit.generators.denoising import Denoiser, draw_sigma, weighted_loss
from medaudit.generators.networks import build_network, describe_network
from medaudit.generators.processes import Team
from medaudit.progress import SILENT, Progress
from medaudit.seeds import derive, generator

_LOSS_ENTRIES = 500  # lines of the loss curve, about


@dataclass(frozen=True)
class TrainingImages:
    """What to learn: `pixels` (N, Y, X) uint8 or uint16 (a memory map will do), the rows in use, their classes."""

    pixels: np.ndarray
    rows: np.ndarray  # (n,) int64 into pixels
    classes: np.ndarray | None = None  # (n,) int64, one a row in use

    @property
    def image_shape(self) -> tuple[int, int]:
        """(Y, X)."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def batch(self, picks: np.ndarray) -> tuple[Tensor, Tensor | None]:
        """(B, 1, Y, X) float32 in [-1, 1] and (B,) int64 classes, for picks (B,) among the rows in use."""
        raw = np.asarray(self.pixels[self.rows[picks]])
        unit = raw.astype(np.float32) / np.float32(np.iinfo(raw.dtype).max)
        classes = None if self.classes is None else torch.from_numpy(self.classes[picks])
        return torch.from_numpy(unit * 2 - 1)[:, None], classes


@dataclass(frozen=True)
class Trained:
    """The result: averaged weights, what the network is, the loss curve, and how training ended."""

    weights: dict[str, Tensor]
    architecture: dict[str, Any]
    losses: list[tuple[int, float]]
    facts: dict[str, Any]


def train(
    images: TrainingImages,
    settings: TrainSettings,
    classes: int,
    seed: int,
    team: Team,
    checkpoint: Path,
    progress: Progress = SILENT,
) -> Trained:
    """Train until `settings.steps` are done, going on from `checkpoint` where it stands.

    `classes` is the number of classes, 0 for an unconditional model. Raises TrainingDiverged when the loss is no
    longer finite, UsageProblem when the batch cannot be shared out over the processes.
    """
    if settings.batch % team.size:
        raise UsageProblem(
            f"batch {settings.batch} cannot be shared by {team.size} processes; use a multiple"
        )
    architecture = describe_network(settings.network, images.image_shape, classes)
    network = build_network(architecture, seed).to(team.device)
    if team.device.type != "mps":  # a tenth faster on two CPU cores, more on cuda
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        network.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=settings.weight_decay,
        fused=team.device.type in ("cpu", "cuda"),
    )
    average = {name: value.detach().clone() for name, value in network.state_dict().items()}
    state = TrainState(network, optimiser, average)
    load_checkpoint(checkpoint, state)
    progress.start("train", settings.steps)
    progress.advance(state.step)
    with repeatable(team.device):
        _loop(images, settings, seed, team, checkpoint, state, progress)
    facts = {
        "steps_done": state.step,
        "stopped_by": "steps" if state.step == settings.steps else "clock",
        "reproducible": settings.max_minutes is None,
        "device": team.device.type,
        "processes": team.size,
        "threads": torch.get_num_threads(),
        "precision": "bf16" if uses_bf16(settings.precision, team.device) else "fp32",
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    return Trained({k: v.cpu() for k, v in state.kept.items()}, architecture, state.losses, facts)


def _loop(
    images: TrainingImages,
    settings: TrainSettings,
    seed: int,
    team: Team,
    checkpoint: Path,
    state: TrainState,
    progress: Progress,
) -> None:
    """Steps until the last one, or until the clock when `max_minutes` is set."""
    network: Any = state.network
    if settings.compile and team.device.type == "cuda":
        network = torch.compile(network)
    denoiser = Denoiser(team.wrap(network), settings.noise.sigma_data)
    block = max(1, settings.steps // _LOSS_ENTRIES)
    limit = math.inf if settings.max_minutes is None else settings.max_minutes * 60
    began = time.monotonic() - state.seconds
    saved = time.monotonic()
    block_sum = torch.tensor(
        state.block_sum, dtype=torch.float64 if team.device.type != "mps" else torch.float32
    )
    block_sum = block_sum.to(team.device)
    for batch in _prefetched(images, settings.batch, seed, state.step, settings.steps):
        spent = 0.0 if math.isinf(limit) else team.from_main(time.monotonic() - began)
        if spent >= limit:
            break
        done = max(state.step / settings.steps, spent / limit)
        loss = _step(state, denoiser, batch, settings, seed, team, done)
        block_sum += loss.detach()
        state.step += 1
        if state.step % block == 0 or state.step == settings.steps:
            entries = block if state.step % block == 0 else state.step % block
            mean = float(team.mean(block_sum / entries))
            if not math.isfinite(mean):
                raise TrainingDiverged(
                    f"the loss is no longer a number at step {state.step}; lower learning_rate or clip_norm, "
                    "or raise warmup_steps"
                )
            state.losses.append((state.step, mean))
            block_sum.zero_()
        progress.advance(1, **({"loss": state.losses[-1][1]} if state.losses else {}))
        if team.main and time.monotonic() - saved >= settings.checkpoint_minutes * 60:
            state.seconds, state.block_sum = time.monotonic() - began, float(block_sum)
            save_checkpoint(checkpoint, state)
            saved = time.monotonic()


def _step(
    state: TrainState,
    denoiser: nn.Module,
    batch: tuple[Tensor, Tensor | None],
    settings: TrainSettings,
    seed: int,
    team: Team,
    done: float,
) -> Tensor:
    """One step of the optimiser and of the average; returns the mean loss of this process's share."""
    device, noise = team.device, settings.noise
    # Drawn for the whole batch, then shared out: the step is the same whatever the number of processes.
    random = torch.Generator(device).manual_seed(derive(seed, "step", state.step))
    sigma = draw_sigma(settings.batch, noise, random)  # (B,)
    clean, classes = batch
    added = torch.randn(clean.shape, generator=random, device=device)
    share = slice(team.rank * settings.batch // team.size, (team.rank + 1) * settings.batch // team.size)
    clean = clean[share].to(device, non_blocking=True)
    classes = None if classes is None else classes[share].to(device, non_blocking=True)
    sigma, added = sigma[share], added[share]
    with (
        _dropout_seed(settings.network.dropout, derive(seed, "dropout", state.step, team.rank), device),
        torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(settings.precision, device)),
    ):
        denoised = denoiser(clean + sigma[:, None, None, None] * added, sigma, classes)
    loss = weighted_loss(denoised, clean, sigma, noise.sigma_data).mean()
    loss.backward()
    parameters = list(state.network.parameters())
    torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm, foreach=device.type != "mps")
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(settings, state.step, done)
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    with torch.no_grad():
        weights = state.network.state_dict()
        keep = average_decay(settings.ema_halflife_steps, state.step)
        torch._foreach_lerp_(list(state.kept.values()), [weights[k] for k in state.kept], 1 - keep)
    return loss


def learning_rate(settings: TrainSettings, step: int, done: float) -> float:
    """The rate at a step, `done` in [0, 1] of the way: linear warm-up, then constant or half a cosine to 0."""
    rate = settings.learning_rate * min(1.0, (step + 1) / max(1, settings.warmup_steps))
    if settings.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * min(1.0, done))) / 2
    return rate


def average_decay(halflife_steps: float, step: int) -> float:
    """How much of the average stays at a step; the half-life is ramped up to a tenth of the steps so far.

    Karras et al. 2022, app. F (training), ramp a tenth here since a demo has few steps.
    """
    return 0.5 ** (1 / max(min(halflife_steps, step / 10), 1e-3))


def batch_picks(count: int, batch: int, seed: int, step: int) -> np.ndarray:
    """(B,) int64 picks in [0, count) for a step: passes over all images, each in an order of its own."""
    places = np.arange(step * batch, (step + 1) * batch)
    return np.array([_order(count, seed, int(p) // count)[int(p) % count] for p in places], dtype=np.int64)


@lru_cache(maxsize=64)
def _order(count: int, seed: int, passing: int) -> np.ndarray:
    return generator(seed, "pass", passing).permutation(count)


def _prefetched(
    images: TrainingImages, batch: int, seed: int, start: int, stop: int
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The batches of steps start to stop; a thread reads the next one while this one is computed on."""

    def fetch(step: int) -> tuple[Tensor, Tensor | None]:
        clean, classes = images.batch(batch_picks(len(images.rows), batch, seed, step))
        return (clean.pin_memory() if torch.cuda.is_available() else clean), classes

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(fetch, start) if start < stop else None
        for step in range(start, stop):
            assert pending is not None
            ready = pending.result()
            pending = pool.submit(fetch, step + 1) if step + 1 < stop else None
            yield ready


@contextmanager
def _dropout_seed(dropout: float, seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generator that dropout draws from, for this block only; nothing to do without dropout."""
    if dropout == 0:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
