"""Which films share a batch: some in their turn, and beside each the other patients that look most like it.

Axes: N films, B films of a batch, D values.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from medaudit.seeds import generator


def batch_rows(
    memory: Tensor, patient: Tensor, batch: int, neighbours: int, seed: int, step: int
) -> np.ndarray:
    """(B,) distinct int64 rows in [0, N) for a step; B is `batch`, or N if that is less.

    Every film takes its turn as an anchor; `neighbours` - 1 films of other patients, drawn among twice as many of
    the nearest in `memory` (N, D), come with it. Films never embedded so far (0 in memory) are nobody's neighbour.
    """
    count = len(memory)
    batch = min(batch, count)
    anchors = -(-batch // neighbours)
    turns = np.arange(step * anchors, (step + 1) * anchors)
    chosen = [int(_order(count, seed, int(turn) // count)[int(turn) % count]) for turn in turns]
    random = generator(seed, "companions", step)
    rows = list(chosen)
    if neighbours > 1:
        for near in nearest_others(memory, patient, chosen, 2 * (neighbours - 1)):
            rows += [int(row) for row in random.permutation(near)[: neighbours - 1]]
    rows = list(dict.fromkeys(rows))[:batch]
    if len(rows) < batch:  # neighbours that two anchors share, or none yet: strangers fill the batch
        rest = np.setdiff1d(np.arange(count), rows, assume_unique=True)
        rows += random.choice(rest, batch - len(rows), replace=False).tolist()
    return np.array(rows, dtype=np.int64)


def nearest_others(memory: Tensor, patient: Tensor, anchors: list[int], k: int) -> list[np.ndarray]:
    """For each anchor up to `k` rows of other patients, nearest first, among the films embedded so far."""
    own = torch.tensor(anchors, device=memory.device)
    likeness = memory[own] @ memory.T  # (anchors, N)
    known = memory.abs().amax(dim=1) > 0
    likeness.masked_fill_(~known[None, :] | (patient[own][:, None] == patient[None, :]), -torch.inf)
    likeness[~known[own]] = -torch.inf
    found = likeness.topk(min(k, len(memory)), dim=1)
    return [
        row[value > -torch.inf].cpu().numpy() for row, value in zip(found.indices, found.values, strict=True)
    ]


@lru_cache(maxsize=8)
def _order(count: int, seed: int, passing: int) -> np.ndarray:
    return generator(seed, "pass", passing).permutation(count)
