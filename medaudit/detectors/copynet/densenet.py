"""DenseNet-121 (Huang et al. 2017, table 1) up to its last feature map, with the parameter names of torchvision and
torchxrayvision. Axes: B films, C channels, (Y, X) pixels, D = 1024 values."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROWTH, _BOTTLENECK, _STEM = 32, 4, 64
_LAYERS = (6, 12, 24, 16)
SIZE = 224  # pixels a side it was made for


class DenseNet121(nn.Module):
    """Films (B, 1, Y, X) in [0, 1] → (B, D) of length 1: the last feature map, averaged over the film.

    One input channel: scaled to [-1024, 1024] as torchxrayvision does (Cohen et al. 2022); three: the film in each,
    with ImageNet's mean and deviation.
    """

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.planes = planes
        features: dict[str, nn.Module] = {
            "conv0": nn.Conv2d(planes, _STEM, 7, stride=2, padding=3, bias=False),
            "norm0": nn.BatchNorm2d(_STEM),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, stride=2, padding=1),
        }
        width = _STEM
        for number, layers in enumerate(_LAYERS, start=1):
            block = {f"denselayer{i + 1}": _DenseLayer(width + i * _GROWTH) for i in range(layers)}
            features[f"denseblock{number}"] = _named(block)
            width += layers * _GROWTH
            if number < len(_LAYERS):
                features[f"transition{number}"] = _transition(width)
                width //= 2
        features["norm5"] = nn.BatchNorm2d(width)
        self.features = _named(features)

    def forward(self, films: Tensor) -> Tensor:
        """(B, 1, Y, X) → (B, D)."""
        if self.planes == 1:
            films = (2 * films - 1) * 1024
        else:
            mean = films.new_tensor([0.485, 0.456, 0.406])[:, None, None]
            deviation = films.new_tensor([0.229, 0.224, 0.225])[:, None, None]
            films = (films - mean) / deviation  # (B, 3, Y, X)
        found = functional.relu(self.features(films))
        return functional.normalize(found.mean((2, 3)), dim=1)


class _DenseLayer(nn.Module):
    """Norm, ReLU, 1 x 1 convolution, norm, ReLU, 3 x 3 convolution; the result is put behind the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = _BOTTLENECK * _GROWTH
        self.norm1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, inner, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(inner), nn.Conv2d(inner, _GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, Y, X) → (B, C + 32, Y, X)."""
        inner = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(inner)))], dim=1)


def _transition(width: int) -> nn.Sequential:
    parts = {
        "norm": nn.BatchNorm2d(width),
        "relu": nn.ReLU(),
        "conv": nn.Conv2d(width, width // 2, 1, bias=False),
        "pool": nn.AvgPool2d(2),
    }
    return _named(parts)


def _named(parts: Mapping[str, nn.Module]) -> nn.Sequential:
    sequence = nn.Sequential()
    for name, part in parts.items():
        sequence.add_module(name, part)
    return sequence
