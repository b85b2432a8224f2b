"""Which processor computes and how: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`, by one rule for every command."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from medaudit.errors import DeviceUnavailable

if TYPE_CHECKING:
    import torch

KINDS = "auto, cpu, cuda, cuda:0, mps"
_CUDA = r"cuda(?::(\d{1,3}))?"

Item = TypeVar("Item")
Result = TypeVar("Result")


def check_name(name: str) -> None:
    """Raise DeviceUnavailable for a name that is none of a device; loads nothing."""
    if name not in ("auto", "cpu", "mps") and re.fullmatch(_CUDA, name) is None:
        raise DeviceUnavailable(f"device {name!r} is not known; use one of {KINDS}")


def pick_device(name: str = "auto") -> "torch.device":
    """The torch device for a name; `auto` takes cuda, then mps, then cpu.

    Raises DeviceUnavailable for a name that is not one of these or a device that is not on this machine.
    """
    check_name(name)
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise DeviceUnavailable("no mps device on this machine; use --device cpu or auto")
        return torch.device("mps")
    match = re.fullmatch(_CUDA, name)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise DeviceUnavailable("no cuda device that torch can use on this machine; use --device cpu or auto")
    index = int(match.group(1) or 0) if match else 0
    if index >= count:
        raise DeviceUnavailable(f"{name} is not on this machine; the last cuda device is cuda:{count - 1}")
    return torch.device(name)


def uses_bf16(precision: str, device: "torch.device") -> bool:
    """Whether to compute in bf16: as told, or with `auto` where the device has matrix units for it (cuda, AMX)."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return device.type == "cpu" and has_amx is not None and bool(has_amx())


def multiplies_int8() -> bool:
    """Whether the CPU has matrix or vector units for int8 (AMX, VNNI): exact, and several times as fast as float32."""
    import torch

    has_vnni = getattr(torch.cpu, "_is_vnni_supported", None)  # without it 16 bits in between can run over
    return torch.backends.mkldnn.is_available() and has_vnni is not None and bool(has_vnni())


def side_by_side(
    work: Callable[[Item], Result], items: Sequence[Item], device: "torch.device"
) -> Iterator[Result]:
    """`work` on each item, results in order, on the CPU as many at once as torch has threads, one thread to each.

    Threads that share many small products mostly wait for each other, and the longer the busier the machine is.
    """
    import torch

    threads = torch.get_num_threads()
    if device.type != "cpu" or min(threads, len(items)) < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for start in range(0, len(items), threads):  # no further ahead: results may be large
                yield from list(pool.map(work, items[start : start + threads]))
        finally:
            torch.set_num_threads(threads)


@contextmanager
def repeatable(device: "torch.device") -> Iterator[None]:
    """On cuda, ask for kernels that give the same bytes each time; the CPU's do already."""
    import torch

    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
