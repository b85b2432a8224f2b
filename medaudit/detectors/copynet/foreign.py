"""A slot for an encoder that the hospital already has: a safetensors file on its own disk, of a known architecture.

Nothing is fetched and nothing in the file is run: pickles (.pt, .pth, .bin) and TorchScript are refused.
"""

import math
import re
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from medaudit.artifacts.store import file_sha256
from medaudit.detectors.copynet import densenet, dinov2
from medaudit.detectors.copynet.detector import EncoderDetector
from medaudit.errors import EncoderProblem

KNOWN = "DenseNet-121 (torchxrayvision, torchvision) and DINOv2 transformers (RAD-DINO)"
_DENSENET_MARK = "features.denseblock1.denselayer1.conv1.weight"
_DINOV2_MARK = "encoder.layer.0.attention.attention.query.weight"
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.")
_POSES = 2  # as it is and mirrored


def load_foreign_encoder(
    path: Path, device: torch.device | str = "cpu", size: int | None = None
) -> EncoderDetector:
    """The detector of a safetensors file; `size` pixels a side go into the network, its own number by default.

    Raises EncoderProblem for a file that is not safetensors, of no known architecture, or with other shapes.
    """
    tensors = _tensors(path)
    try:
        network, name, usual = _network(tensors)
        missing, _ = network.load_state_dict(tensors, strict=False)
    except (RuntimeError, ValueError, IndexError, KeyError):
        raise EncoderProblem(f"{path}: shapes are not those of {KNOWN}") from None
    if missing:
        raise EncoderProblem(f"{path}: {len(missing)} tensors of a {name} are missing")
    return EncoderDetector(
        network,
        size or usual,
        name,
        f"cosine of two films' embeddings by a {name} given by path, as sqrt(2 - 2 cos), over mirror",
        device=device,
        poses=_POSES,
        id=file_sha256(path),
    )


def _network(tensors: dict[str, Tensor]) -> tuple[nn.Module, str, int]:
    """An empty network for these tensors, its name, and its usual pixels a side. Raises KeyError for none."""
    if _DENSENET_MARK in tensors:
        return densenet.DenseNet121(tensors["features.conv0.weight"].shape[1]), "densenet121", densenet.SIZE
    width = tensors["embeddings.cls_token"].shape[2]
    layers = 1 + max(int(found[1]) for name in tensors if (found := _LAYER.match(name)))
    grid = math.isqrt(tensors["embeddings.position_embeddings"].shape[1] - 1)
    return dinov2.Dinov2(width, layers, grid), "dinov2", dinov2.SIZE


def _tensors(path: Path) -> dict[str, Tensor]:
    """The file's tensors as float32, under names without what a wrapper put in front."""
    if not path.is_file():
        raise EncoderProblem(f"{path} is not a file; give a safetensors file of {KNOWN}")
    try:
        with safe_open(path, framework="pt") as stored:
            found = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        raise EncoderProblem(
            f"{path} is not a safetensors file; convert it where you trust it "
            "(safetensors.torch.save_file(model.state_dict(), 'encoder.safetensors'))"
        ) from None
    for mark in (_DENSENET_MARK, _DINOV2_MARK):
        for name in found:
            if name.endswith(mark):
                front = len(name) - len(mark)
                prefix = name[:front]
                return {
                    key[front:]: value.float() if value.is_floating_point() else value
                    for key, value in found.items()
                    if key.startswith(prefix)
                }
    raise EncoderProblem(f"{path} is an encoder of no known architecture; known are {KNOWN}")
