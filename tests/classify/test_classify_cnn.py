from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ecgpipe.classify.cnn import RhythmCNN
from ecgpipe.config import ClassifierSettings
from ecgpipe.config.derived import pooled_length, shortest_length


def network(length=1000, classes=7, **changes) -> RhythmCNN:
    arguments = {"blocks": 2, "channels": 3, "kernel": 5, "width": 8, "dense_layers": 2, "dropout": 0.25} | changes
    return RhythmCNN(12, length, classes, **arguments)


@pytest.mark.parametrize(
    ("blocks", "channels", "kernel", "width", "dense_layers", "parameters"),
    [(6, 32, 7, 256, 3, 278e3), (5, 16, 7, 256, 3, 259e3), (7, 32, 5, 16, 1, 40e3)],
)
def test_sizes_of_the_paper(blocks, channels, kernel, width, dense_layers, parameters):
    model = network(blocks=blocks, channels=channels, kernel=kernel, width=width, dense_layers=dense_layers)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(parameters, rel=0.02)
    assert model(torch.zeros(2, 12, 1000)).shape == (2, 7)


def test_computes_the_papers_equations_in_one_dimension():
    """Against the specification written with 1-D convolutions and the network's own weights."""
    torch.manual_seed(0)
    model = network(length=200, blocks=3).eval()
    signals = torch.randn(4, 12, 200)
    hidden = F.conv1d(signals, model.stem.weight[:, :, 0], model.stem.bias, padding="same")
    for block in model.blocks:
        weight = block.weight[:, :, 0]
        once = F.relu(F.conv1d(hidden, weight, block.bias, padding="same", dilation=5))
        twice = F.conv1d(once, weight, block.bias, padding="same", dilation=5)
        hidden = F.max_pool1d(F.relu(twice + hidden), 5, 2)
    dense = hidden.flatten(1)
    linear = [layer for layer in model.head if isinstance(layer, nn.Linear)]
    for layer in linear[:-1]:
        dense = F.relu(layer(dense))
    torch.testing.assert_close(model(signals), linear[-1](dense))


def test_layers_are_those_of_the_paper():
    model = network(blocks=4, dense_layers=3)
    kinds = [type(module) for module in model.modules()]
    assert kinds.count(nn.Conv2d) == 1 + 4  # one convolution a block: its weights are shared
    assert kinds.count(nn.Linear) == 3 + 1
    assert [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)] == [0.25] * 3
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


def test_without_dense_layers_the_output_follows_the_convolutions():
    model = network(length=64, dense_layers=0)
    assert len(model.head) == 1
    assert model.head[0].in_features == model.features(torch.zeros(1, 12, 64)).shape[1]


def test_too_short_records_are_refused():
    with pytest.raises(ValueError, match="6 blocks leave nothing of a record of 100 samples"):
        network(length=100, blocks=6)


def test_shortest_record_leaves_one_sample():
    for blocks in range(1, 9):
        shortest = shortest_length(blocks)
        assert shortest == ClassifierSettings(blocks=blocks).shortest_record
        assert pooled_length(shortest, blocks) == 1
        assert pooled_length(shortest - 1, blocks) < 1
