"""One process or several: what training and generation ask of `accelerate launch`.

Alone, a `Team` costs nothing. Under `accelerate launch` (WORLD_SIZE > 1) it holds an Accelerator: every process
computes its share, only the main one writes.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medaudit.devices import pick_device
from medaudit.errors import DeviceUnavailable


@dataclass(frozen=True)
class Team:
    """The processes of this run: this one's `rank` of `size`, its device, and accelerate when there are several."""

    device: torch.device
    rank: int = 0
    size: int = 1
    accelerator: Any = None

    @property
    def main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when every process is here."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with its gradients averaged over the processes; the main one's weights go to all."""
        return network if self.accelerator is None else self.accelerator.prepare_model(network)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        return value if self.accelerator is None else self.accelerator.reduce(value, reduction="mean")

    def gather(self, value: np.ndarray) -> np.ndarray:
        """(B, ...) of each process, one after the other by rank: (size * B, ...)."""
        if self.accelerator is None:
            return value
        return self.accelerator.gather(torch.from_numpy(value).to(self.device)).cpu().numpy()

    def from_main(self, value: int | float) -> float:
        """The main process's number, on every process."""
        if self.accelerator is None:
            return value
        from accelerate.utils import broadcast

        shared = torch.tensor(float(value), device=self.device, dtype=torch.float64)
        return float(broadcast(shared).item())


def join(device: str = "auto") -> Team:
    """This process's place. Raises DeviceUnavailable for a device that is missing or does not fit several processes."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size <= 1:
        return Team(pick_device(device))
    if ":" in device:
        raise DeviceUnavailable(f"{device} is one device; under accelerate launch use --device cuda or cpu")
    kind = pick_device(device)
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=kind.type == "cpu")
    return Team(accelerator.device, accelerator.process_index, accelerator.num_processes, accelerator)
