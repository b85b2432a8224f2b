"""Images from a denoiser: image i of a seed is the same bytes whatever is asked for beside it.

A convolution may round differently in another batch size, so images are always evaluated in whole blocks of
`sampling.batch` slots aligned to the index: block b holds images b * batch to (b + 1) * batch - 1, also when only
some of them are wanted. The block size is part of the model.

Axes: B slots of a block, C channels of the model, (Y, X) pixels, n images asked for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medaudit.config import SamplingSettings
from medaudit.generators.denoising import Denoise, solve
from medaudit.progress import SILENT, Progress
from medaudit.seeds import derive, generator

ClassOf = Callable[[int], int]  # index of an image -> its class


@dataclass(frozen=True)
class GenerativeModel:
    """A denoiser ready to sample, from medaudit, diffusers or MONAI.

    `denoise` takes x (B, C, Y, X), sigma (B,), classes (B,) or None, on `device`; `value_range` is what black and
    white are in its pixels. `classes` are names, empty for an unconditional model; `class_labels` the row labels
    each stands for, `class_counts` how many training images had it. `train_id` is the training cohort's id, if known.
    """

    denoise: Denoise
    image_shape: tuple[int, int]
    sampling: SamplingSettings
    device: torch.device
    id: str
    classes: list[str] = field(default_factory=list)
    class_labels: list[list[str]] = field(default_factory=list)
    class_counts: list[int] = field(default_factory=list)
    channels: int = 1
    value_range: tuple[float, float] = (-1.0, 1.0)
    dtype: str = "uint8"
    train_id: str | None = None
    source: str = "medaudit"
    facts: dict[str, Any] = field(default_factory=dict)

    def sample(
        self,
        count: int,
        seed: int,
        *,
        start: int = 0,
        class_of: ClassOf | None = None,
        progress: Progress = SILENT,
    ) -> np.ndarray:
        """Images start to start + count of a seed: (count, Y, X) float32 in [0, 1].

        `class_of` gives the class of an index; without it classes are drawn as often as they were in training.
        """
        size = self.sampling.batch
        stop = start + count
        parts = []
        for block in range(start // size, -(-stop // size)):
            first = block * size
            part = sample_block(self, block, seed, class_of)
            wanted = part[max(start - first, 0) : min(stop - first, size)]
            parts.append(wanted)
            progress.advance(len(wanted))
        return np.concatenate(parts) if parts else np.zeros((0, *self.image_shape), np.float32)

    def class_by_frequency(self, seed: int) -> ClassOf:
        """Classes drawn by (seed, index) as often as they were in training; equally often when that is not known."""
        counts = np.array(self.class_counts or [1] * len(self.classes), dtype=np.float64)
        edges = np.cumsum(counts / counts.sum())

        def class_of(index: int) -> int:
            return min(
                int(np.searchsorted(edges, generator(seed, "class", index).random(), "right")),
                len(counts) - 1,
            )

        return class_of


def sample_block(
    model: GenerativeModel, block: int, seed: int, class_of: ClassOf | None = None
) -> np.ndarray:
    """(B, Y, X) float32 in [0, 1]: images block * B to (block + 1) * B - 1 of a seed, B = model.sampling.batch."""
    size = model.sampling.batch
    indices = range(block * size, (block + 1) * size)
    shape = (model.channels, *model.image_shape)
    noise = torch.from_numpy(np.stack([_noise(seed, i, shape) for i in indices])).to(model.device)
    classes: Tensor | None = None
    if model.classes:
        chosen = class_of or model.class_by_frequency(seed)
        classes = torch.tensor([chosen(i) for i in indices], dtype=torch.int64, device=model.device)
    images = solve(model.denoise, noise, model.sampling, classes)  # (B, C, Y, X)
    low, high = model.value_range
    unit = ((images.to(torch.float32) - low) / (high - low)).clamp(0, 1).mean(1)  # (B, Y, X)
    return unit.cpu().numpy()


def image_seed(seed: int, index: int) -> int:
    """The seed of one image: everything of it but its class follows from this integer."""
    return derive(seed, "image", index)


def blocks_of(count: int, size: int, done: int = 0) -> Iterator[int]:
    """The blocks that hold images done to count - 1; `done` is a multiple of size, or count."""
    yield from range(-(-done // size), -(-count // size))


def _noise(seed: int, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal float32 noise of one image.

    numpy's Philox, not torch: torch's CPU generator keeps 32 bits of a seed, so that among 100,000 images two would
    likely start from the same noise.
    """
    return generator(seed, "image", index).standard_normal(shape, dtype=np.float32)
