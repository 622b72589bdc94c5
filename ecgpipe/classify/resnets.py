"""Two residual networks of the field, written from their descriptions.

``resnet1d_wang``: Wang, Yan, Oates, "Time series classification from scratch with deep neural networks", IJCNN 2017,
arXiv 1611.06455, section II.C. ``xresnet1d``: He et al., "Bag of tricks for image classification with convolutional
neural networks", CVPR 2019, arXiv 1812.01187, section 4 (ResNet-D), with He et al. 2016's depths, in one dimension and
with kernels of 5 as Strodthoff et al., "Deep learning for ECG analysis", IEEE JBHI 2021, arXiv 2004.13701, took it.

As in :mod:`ecgpipe.classify.cnn`, convolutions are 2-D ones with a height of 1 on channels-last tensors.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgpipe.classify.network import Network, columns


class _Conv(nn.Module):
    """Convolution that keeps the length (or halves it), batch norm, ReLU if asked for."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.padding = ((kernel - 1) // 2, kernel // 2)
        self.convolution = nn.Conv2d(inputs, outputs, (1, kernel), stride=(1, stride), bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.convolution(F.pad(x, self.padding)))
        return F.relu(y) if self.relu else y


class _Residual(nn.Module):
    """ReLU of a path and its shortcut added."""

    def __init__(self, path: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.path, self.shortcut = path, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.path(x) + self.shortcut(x))


class ResNetWang(Network):
    """Three residual blocks of convolutions of 8, 5 and 3 samples, global average pooling, one linear layer.

    Args:
        leads: channels of the input.
        classes: number of classes.
        channels: of the first block; the other two have twice as many (64 in the paper).
    """

    def __init__(self, leads: int, classes: int, *, channels: int) -> None:
        super().__init__()
        blocks, inputs = [], leads
        for outputs in (channels, 2 * channels, 2 * channels):
            path = nn.Sequential(
                _Conv(inputs, outputs, 8), _Conv(outputs, outputs, 5), _Conv(outputs, outputs, 3, relu=False)
            )
            shortcut = nn.BatchNorm2d(outputs) if inputs == outputs else _Conv(inputs, outputs, 1, relu=False)
            blocks.append(_Residual(path, shortcut))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs

    def features(self, signals: Tensor) -> Tensor:
        """Return what the linear layer reads: standardised ``(n, leads, length)`` to ``(n, 2 channels)``."""
        pooled: Tensor = self.blocks(columns(signals)).mean(dim=(2, 3))
        return pooled


DEPTHS: dict[int, tuple[int, ...]] = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Blocks of each stage (He et al. 2016, table 1); from 50 on they are bottlenecks."""

_KERNEL, _WIDENING = 5, 4


def _xblock(inputs: int, width: int, stride: int, bottleneck: bool) -> tuple[_Residual, int]:
    """Return a block of ResNet-D and its output channels.

    The stride is in the wide convolution, not in the narrow one (tweak B); the shortcut averages before it mixes
    (tweak D); the last batch norm of the path starts at zero, so that a block starts as its shortcut.
    """
    outputs = width * (_WIDENING if bottleneck else 1)
    if bottleneck:
        layers = [
            _Conv(inputs, width, 1),
            _Conv(width, width, _KERNEL, stride=stride),
            _Conv(width, outputs, 1, relu=False),
        ]
    else:
        layers = [_Conv(inputs, width, _KERNEL, stride=stride), _Conv(width, outputs, _KERNEL, relu=False)]
    nn.init.zeros_(layers[-1].norm.weight)
    shortcut: list[nn.Module] = []
    if stride > 1:
        shortcut.append(nn.AvgPool2d((1, stride), (1, stride), ceil_mode=True))
    if inputs != outputs:
        shortcut.append(_Conv(inputs, outputs, 1, relu=False))
    return _Residual(nn.Sequential(*layers), nn.Sequential(*shortcut)), outputs


class XResNet(Network):
    """A stem of three convolutions, four stages of residual blocks, average and maximum over time, one linear layer.

    Args:
        leads: channels of the input.
        classes: number of classes.
        depth: 18, 34, 50 or 101.
        channels: of the first stage; each further one has twice as many (64 in the papers).
        dropout: before the linear layer.
    """

    def __init__(self, leads: int, classes: int, *, depth: int, channels: int, dropout: float) -> None:
        super().__init__()
        narrow = max(1, channels // 2)
        layers: list[nn.Module] = [
            _Conv(leads, narrow, _KERNEL, stride=2),
            _Conv(narrow, narrow, _KERNEL),
            _Conv(narrow, channels, _KERNEL),
            nn.MaxPool2d((1, 3), (1, 2), padding=(0, 1)),
        ]
        inputs = channels
        for stage, blocks in enumerate(DEPTHS[depth]):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                residual, inputs = _xblock(inputs, channels * 2**stage, stride, bottleneck=depth >= 50)
                layers.append(residual)
        self.blocks = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.BatchNorm1d(2 * inputs), nn.Dropout(dropout), nn.Linear(2 * inputs, classes))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs

    def features(self, signals: Tensor) -> Tensor:
        """Return what the head reads: standardised ``(n, leads, length)`` to mean and maximum over time, ``(n, f)``."""
        hidden: Tensor = self.blocks(columns(signals))
        return torch.cat([hidden.mean(dim=(2, 3)), hidden.amax(dim=(2, 3))], dim=1)
