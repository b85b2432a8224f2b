"""A network from a description that anybody may have written: none is built that its weights cannot fill.

A few words of JSON describe a network of terabytes; its weights cannot lie, since each value takes its bytes.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

_LARGEST = 1 << 20  # a width, a size or a number of classes
_MOST_LAYERS = 256  # in a row, or levels


def filled(make: Callable[[], nn.Module], described: Mapping[str, Any], weights: Iterable[Path]) -> nn.Module:
    """The network of `make`, whose description is `described`, filled strictly from safetensors files.

    Raises ValueError for a description that the weights cannot belong to, and whatever the libraries raise.
    """
    _check_numbers(described)
    weights = list(weights)
    room = sum(path.stat().st_size for path in weights)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # shapes alone
        values = sum(value.numel() for value in make().state_dict().values())
    if values > room:  # a value takes a byte at least
        raise ValueError("the weights are too short for the network described")
    tensors: dict[str, Tensor] = {}
    for path in weights:
        tensors.update(load_file(path))
    with torch.random.fork_rng(devices=[]):
        network = make()
    network.load_state_dict(tensors)
    return network


def _check_numbers(value: Any, name: str = "") -> None:
    """Raise ValueError for a number or a list of which even the shapes would take too long."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_numbers(inner, str(key))
    elif isinstance(value, list | tuple):
        if len(value) > _MOST_LAYERS:
            raise ValueError(f"{len(value)} entries")
        for inner in value:
            _check_numbers(inner, name)
    elif isinstance(value, int) and abs(value) > (
        _MOST_LAYERS if "layers" in name or "blocks" in name else _LARGEST
    ):
        raise ValueError(f"{name} {value}")
