"""What others use to tell copies, each in its plain form, for the table beside medaudit's.

pHash: imagehash's 64 bit, Hamming distance as a ratio to the 50 nearest. RMSE: the adaptive ratio of Carlini et al.
2023 on 64 x 64 pixels. NCC: Pearson correlation on 64 x 64, as the ratio of its distance. SSIM: Wang et al. 2004 with
a uniform 7 x 7 window, every other place, on 32 x 32, 1 - SSIM as a ratio. Dar et al. 2025: `dar.py`.
Axes: M films of T, G images that ask.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from dar import dar
from methods import NEIGHBOURS, Ask
from PIL import Image

from medaudit.images.intensity import resize_unit

Distances = Callable[[np.ndarray], np.ndarray]  # (g, Y, X) → (g, M)
_TOGETHER = 16


def _ratio(distances: Distances, groups: np.ndarray, images: np.ndarray, leave_out: np.ndarray | None):
    """Nearest film and -log of its distance as a ratio to the mean of the 50 nearest."""
    scores, rows = [], []
    for start in range(0, len(images), _TOGETHER):
        apart = distances(images[start : start + _TOGETHER]).astype(np.float64)
        if leave_out is not None:
            apart[groups[None] == leave_out[start : start + _TOGETHER, None]] = np.inf
        near = np.sort(np.partition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS], axis=1)
        mean = np.maximum(near.mean(axis=1), 1e-9)
        scores.append(-np.log(np.maximum(near[:, 0], 1e-6) / mean))
        rows.append(apart.argmin(axis=1))
    return np.concatenate(scores), np.concatenate(rows)


def _small(images: np.ndarray, side: int) -> np.ndarray:
    return np.stack([resize_unit(image, (side, side)) for image in images])


def _flat(images: np.ndarray, standard: bool) -> np.ndarray:
    """(N, 4096) on 64 x 64; with mean 0 and mean square 1 where `standard`."""
    flat = _small(images, 64).reshape(len(images), -1)
    if standard:
        flat = flat - flat.mean(axis=1, keepdims=True)
        flat = flat / np.maximum(flat.std(axis=1, keepdims=True), 1e-6)
    return flat.astype(np.float32)


def _euclid(train: np.ndarray, standard: bool, images: np.ndarray) -> np.ndarray:
    asking = _flat(images, standard)
    squared = (asking**2).sum(1)[:, None] + (train**2).sum(1)[None] - 2 * asking @ train.T
    return np.sqrt(np.maximum(squared, 0) / train.shape[1])


def rmse(train: np.ndarray, groups: np.ndarray) -> Ask:
    """RMSE with the adaptive ratio."""
    return partial(_ratio, partial(_euclid, _flat(train, False), False), groups)


def ncc(train: np.ndarray, groups: np.ndarray) -> Ask:
    """Normalised cross-correlation, sqrt(2 - 2 r)."""
    return partial(_ratio, partial(_euclid, _flat(train, True), True), groups)


def phash(train: np.ndarray, groups: np.ndarray) -> Ask:
    """Perceptual hash of 64 bits."""
    import imagehash

    def bits(images: np.ndarray) -> np.ndarray:
        pictures = (Image.fromarray(np.rint(image * 255).astype(np.uint8)) for image in images)
        return np.stack([imagehash.phash(picture).hash.ravel() for picture in pictures]).astype(np.float32)

    hashes = bits(train)

    def apart(images: np.ndarray) -> np.ndarray:
        asking = bits(images)
        return asking.sum(1)[:, None] + hashes.sum(1)[None] - 2 * asking @ hashes.T

    return partial(_ratio, apart, groups)


def ssim(train: np.ndarray, groups: np.ndarray) -> Ask:
    """Structural similarity, 1 - SSIM."""
    films = torch.from_numpy(_small(train, 32))[:, None]

    def pooled(values: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(values, 7, stride=2)

    mean, square = pooled(films), pooled(films * films)
    c1, c2 = 0.01**2, 0.03**2

    def apart(images: np.ndarray) -> np.ndarray:
        result = []
        for image in torch.from_numpy(_small(images, 32)):
            own, own_square = pooled(image[None, None]), pooled((image * image)[None, None])
            cross = pooled(films * image) - mean * own
            spread = (square - mean * mean) + (own_square - own * own)
            value = (
                (2 * mean * own + c1) * (2 * cross + c2) / ((mean * mean + own * own + c1) * (spread + c2))
            )
            result.append(1 - value.mean(dim=(1, 2, 3)))
        return torch.stack(result).numpy()

    return partial(_ratio, apart, groups)


PEERS: dict[str, Callable[[np.ndarray, np.ndarray], Ask]] = {
    "pHash": phash,
    "RMSE ratio": rmse,
    "SSIM": ssim,
    "NCC": ncc,
    "Dar et al.": dar,
}
