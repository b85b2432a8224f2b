"""The recipe of Dar et al. 2025 (Nature BME, arXiv 2402.01054): a contrastive encoder trained on T with mirror and
rotation by up to 5 degrees only, and the correlation of two films' embeddings.

NT-Xent (Chen et al. 2020, eq. 1) over two views of each film, a ResNet-18 of half the width, from nothing, on 64 x 64
pixels. The paper's network is larger and trained for longer; edits, loss and score are the paper's.
Axes: M films of T, G that ask.
"""

from functools import partial

import numpy as np
import torch
from methods import Ask
from monai.networks.nets import ResNet
from torch.nn import functional

from medaudit.images.intensity import resize_unit

SIZE, BATCH, VALUES, DEGREES, TEMPERATURE = 64, 64, 128, 5.0, 0.1
WIDTHS = [32, 64, 128, 256]
_TOGETHER = 256


def dar(train: np.ndarray, groups: np.ndarray, steps: int = 600, seed: int = 0) -> Ask:
    """Trained on the films T (M, Y, X); asks for the film of the highest correlation."""
    torch.manual_seed(seed)
    films = _small(train)
    network = ResNet(
        "basic",
        [2, 2, 2, 2],
        WIDTHS,
        spatial_dims=2,
        n_input_channels=1,
        num_classes=VALUES,
        conv1_t_stride=2,
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps)
    random = np.random.default_rng(seed)
    for _ in range(steps):
        rows = random.choice(len(films), min(BATCH, len(films)), replace=False)
        views = torch.cat([_view(films[rows]), _view(films[rows])])
        optimiser.zero_grad()
        nt_xent(functional.normalize(network(views), dim=1)).backward()
        optimiser.step()
        schedule.step()
    network.eval()
    return partial(_ask, network, _embed(network, films), groups)


def nt_xent(embedded: torch.Tensor) -> torch.Tensor:
    """(2 B, D) of length 1, the two views of a film B apart → the mean loss."""
    likeness = embedded @ embedded.T / TEMPERATURE
    likeness.fill_diagonal_(-torch.inf)
    half = len(embedded) // 2
    return functional.cross_entropy(likeness, torch.arange(len(embedded)).roll(half))


def _view(films: torch.Tensor) -> torch.Tensor:
    """(B, 1, S, S): each film turned by up to DEGREES and mirrored one time in two."""
    turn = torch.deg2rad((torch.rand(len(films)) * 2 - 1) * DEGREES)
    flip = 1 - 2 * torch.randint(0, 2, (len(films),)).float()
    zero = torch.zeros_like(turn)
    rows = [torch.stack([flip * turn.cos(), -turn.sin(), zero], 1)]
    rows.append(torch.stack([flip * turn.sin(), turn.cos(), zero], 1))
    grid = functional.affine_grid(torch.stack(rows, 1), list(films.shape), align_corners=False)
    return functional.grid_sample(films, grid, padding_mode="border", align_corners=False)


def _small(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([resize_unit(image, (SIZE, SIZE)) for image in images]))[:, None]


def _embed(network: torch.nn.Module, films: torch.Tensor) -> np.ndarray:
    """(N, D) with mean 0 and length 1, so that a product is Pearson's correlation."""
    with torch.inference_mode():
        values = torch.cat([network(part) for part in films.split(_TOGETHER)]).numpy()
    values = values - values.mean(axis=1, keepdims=True)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def _ask(
    network: torch.nn.Module, known: np.ndarray, groups: np.ndarray, images: np.ndarray, leave_out: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    likeness = _embed(network, _small(images)) @ known.T
    if leave_out is not None:
        likeness[groups[None] == leave_out[:, None]] = -np.inf
    return likeness.max(axis=1), likeness.argmax(axis=1)
