"""The state of a training run in one safetensors file, so that a killed run goes on to the same bytes.

One file and one rename: weights, what is kept beside them, optimiser and step can never be of two moments.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass
class TrainState:
    """What a training run carries from step to step; `step` counts the steps that are done."""

    network: nn.Module
    optimiser: torch.optim.AdamW
    kept: dict[str, Tensor]  # what else goes on: averages of the weights, remembered embeddings
    step: int = 0
    seconds: float = 0.0  # clock time spent, over all calls
    block_sum: float = 0.0  # loss summed since the last entry of `losses`
    losses: list[tuple[int, float]] = field(default_factory=list)  # (step, mean loss since the entry before)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file. Raises OSError for what the system refuses, which safetensors tells as an error of its
    own."""
    try:
        save_file(dict(tensors), path, metadata=metadata)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from None


def save_checkpoint(path: Path, state: TrainState, request: str = "") -> None:
    """Write the state beside `path` and rename it into place; `request` names the run that it belongs to."""
    tensors = {f"network/{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"kept/{name}": value for name, value in state.kept.items()}
    moments = state.optimiser.state_dict()["state"]
    tensors |= {f"optimiser/{i}/{key}": moments[i][key] for i in moments for key in _MOMENTS}
    record = {
        "request": request,
        "step": state.step,
        "seconds": state.seconds,
        "block_sum": state.block_sum,
        "losses": state.losses,
    }
    temporary = path.with_name(path.name + ".tmp")
    body = {name: value.detach().contiguous() for name, value in tensors.items()}
    save_tensors(body, temporary, {"state": json.dumps(record)})
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(path)


def load_checkpoint(path: Path, state: TrainState, request: str = "") -> bool:
    """Put a saved state into `state`; False when there is none of this run, or none that can be read (a fresh start is
    right)."""
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as stored:
            record = json.loads(stored.metadata()["state"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError):
        return False
    if record.get("request") != request:
        return False
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "kept": {}, "optimiser": {}}
    for name, value in tensors.items():
        part, rest = name.split("/", 1)
        parts[part][rest] = value
    state.network.load_state_dict(parts["network"])
    for name, value in state.kept.items():
        value.copy_(parts["kept"][name])
    parameters = [p.detach() for p in state.network.parameters()]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimiser"].items():
        index, key = name.split("/")
        # Laid out in memory as the parameter is: the fused AdamW walks both side by side.
        laid_out = value if key == "step" else torch.empty_like(parameters[int(index)]).copy_(value)
        moments.setdefault(int(index), {})[key] = laid_out
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": moments, "param_groups": groups})
    state.step, state.seconds, state.block_sum = record["step"], record["seconds"], record["block_sum"]
    state.losses = [(int(step), float(loss)) for step, loss in record["losses"]]
    return True
