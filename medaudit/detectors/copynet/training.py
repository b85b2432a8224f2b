"""Training the copy network on a hospital's own films, without labels and without anyone else's weights.

Every random number of step s follows from (seed, s), so a killed run ends in the same bytes. Memory: the network,
one batch, and N D 4 bytes for the remembered embeddings. Axes: N films, B films of a batch, V views, D values.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medaudit.artifacts.store import canonical
from medaudit.checkpoints import TrainState, load_checkpoint, save_checkpoint
from medaudit.config import CopyNetSettings
from medaudit.detectors.copynet.batches import batch_rows
from medaudit.detectors.copynet.contrast import to_square
from medaudit.detectors.copynet.edits import Edited, edit
from medaudit.detectors.copynet.network import CopyEncoder, build_encoder, describe_encoder
from medaudit.detectors.copynet.objective import contrastive_loss
from medaudit.devices import repeatable, uses_bf16
from medaudit.errors import TrainingDiverged
from medaudit.progress import SILENT, Progress
from medaudit.seeds import derive

_LOSS_EVERY = 50  # steps between entries of the loss curve, at most

# Rows (n,) int64 in [0, N) → films (n, Y, X) float32 in [0, 1].
Films = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TrainedCopyNet:
    """The network in eval mode on the CPU, its description, the loss curve, and how training ended."""

    network: CopyEncoder
    architecture: dict[str, Any]
    losses: list[tuple[int, float]]
    facts: dict[str, Any]


def train_copynet(
    films: Films,
    patient: np.ndarray,
    settings: CopyNetSettings,
    seed: int,
    device: torch.device,
    checkpoint: Path | None = None,
    progress: Progress = SILENT,
) -> TrainedCopyNet:
    """Train on N films read by row; `patient` (N,) int64 says whose they are, -1 for a person of its own.

    Goes on from `checkpoint` where it holds this very run. Raises ValueError for fewer than two patients,
    TrainingDiverged when the loss is no longer finite.
    """
    codes = _own_codes(patient)
    if len(np.unique(codes)) < 2:
        raise ValueError("the copy network needs films of at least two patients")
    architecture = describe_encoder(settings)
    network = build_encoder(architecture, seed).to(device)
    if device.type != "mps":
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = TrainState(
        network,
        _optimiser(network, settings, device),
        {
            "memory": torch.zeros(len(codes), settings.values, device=device)
        },  # each film's last embedding, 0 before
    )
    request = _request(codes, settings, seed)
    if checkpoint is not None:
        load_checkpoint(checkpoint, state, request)
    progress.start("copy network", settings.steps)
    progress.advance(state.step)
    with repeatable(device):
        _loop(
            films, torch.from_numpy(codes).to(device), settings, seed, state, (checkpoint, request), progress
        )
    facts = {
        "steps_done": state.step,
        "stopped_by": "steps" if state.step == settings.steps else "clock",
        "reproducible": settings.max_minutes is None,
        "films": len(codes),
        "patients": len(np.unique(codes)),
        "device": device.type,
        "precision": "bf16" if uses_bf16(settings.precision, device) else "fp32",
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    network = network.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return TrainedCopyNet(network.eval().requires_grad_(False), architecture, state.losses, facts)


def _loop(
    films: Films,
    patient: Tensor,
    settings: CopyNetSettings,
    seed: int,
    state: TrainState,
    kept: tuple[Path | None, str],
    progress: Progress,
) -> None:
    """Steps until the last one, or until the clock when `max_minutes` is set."""
    checkpoint, request = kept
    block = max(1, min(_LOSS_EVERY, settings.steps // 10))
    limit = math.inf if settings.max_minutes is None else settings.max_minutes * 60
    began = time.monotonic() - state.seconds
    saved = time.monotonic()
    block_sum = torch.tensor(state.block_sum, device=patient.device)
    while state.step < settings.steps:
        spent = 0.0 if math.isinf(limit) else time.monotonic() - began
        if spent >= limit:
            break
        done = max(state.step / settings.steps, spent / limit)
        block_sum += _step(films, patient, settings, seed, state, done)
        state.step += 1
        if state.step % block == 0 or state.step == settings.steps:
            entries = block if state.step % block == 0 else state.step % block
            mean = float(block_sum) / entries
            if not math.isfinite(mean):
                raise TrainingDiverged(
                    f"the copy network's loss is no longer a number at step {state.step}; lower learning_rate "
                    "or raise warmup_steps"
                )
            state.losses.append((state.step, mean))
            block_sum.zero_()
        progress.advance(1, **({"loss": state.losses[-1][1]} if state.losses else {}))
        if checkpoint is not None and time.monotonic() - saved >= settings.checkpoint_minutes * 60:
            state.seconds, state.block_sum = time.monotonic() - began, float(block_sum)
            save_checkpoint(checkpoint, state, request)
            saved = time.monotonic()
    state.seconds = time.monotonic() - began


def _step(
    films: Films, patient: Tensor, settings: CopyNetSettings, seed: int, state: TrainState, done: float
) -> Tensor:
    """One step of the optimiser and of the memory; returns the loss."""
    device, step = patient.device, state.step
    rows = batch_rows(state.kept["memory"], patient, settings.batch, settings.neighbours, seed, step)
    plain = to_square(films(rows), settings.size).to(device)  # (B, 1, S, S)
    place = torch.from_numpy(rows).to(device)
    codes = patient[place]
    random = torch.Generator(device).manual_seed(derive(seed, "copynet step", step))
    edited = [edit(plain, _partners(codes, random), random) for _ in range(settings.views)]
    together = Edited(
        *(torch.cat([getattr(e, name) for e in edited]) for name in ("films", "share", "partner"))
    )
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(settings.precision, device)):
        embedded = state.network(torch.cat([plain, together.films]))  # (B + V B, D)
    own, views = embedded[: len(plain)], embedded[len(plain) :]
    loss = contrastive_loss(views, own, codes, together, settings.temperature)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(state.network.parameters()), settings.clip_norm)
    for group in state.optimiser.param_groups:
        group["lr"] = _learning_rate(settings, step, done)
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    state.kept["memory"][place] = own.detach()
    return loss.detach()


def _partners(patient: Tensor, random: torch.Generator) -> Tensor:
    """(B,) int64: with whom each film may be mixed, another of the batch; itself where that is the same patient."""
    count = len(patient)
    line = torch.arange(count, device=patient.device)
    moved = torch.randint(1, max(2, count), (count,), generator=random, device=patient.device)
    partner = (line + moved) % count
    return torch.where(patient[partner] == patient, line, partner)


def _optimiser(
    network: torch.nn.Module, settings: CopyNetSettings, device: torch.device
) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        network.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=settings.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )


def _learning_rate(settings: CopyNetSettings, step: int, done: float) -> float:
    """The rate at a step, `done` in [0, 1] of the way: linear warm-up and half a cosine to 0."""
    rate = settings.learning_rate * min(1.0, (step + 1) / max(1, settings.warmup_steps))
    return rate * (1 + math.cos(math.pi * min(1.0, done))) / 2


def _own_codes(patient: np.ndarray) -> np.ndarray:
    """(N,) int64 codes in which every -1 has become a person of its own."""
    patient = np.asarray(patient, dtype=np.int64)
    return np.where(patient < 0, patient.max(initial=0) + 1 + np.arange(len(patient)), patient)


def _request(patient: np.ndarray, settings: CopyNetSettings, seed: int) -> str:
    """SHA-256 of what decides the bytes of a run, but for the films themselves."""
    body = {"settings": settings.model_dump(mode="json"), "seed": seed, "patient": patient.tolist()}
    return hashlib.sha256(canonical(body).encode()).hexdigest()
