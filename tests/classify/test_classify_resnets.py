"""The residual networks: their published shapes, that they learn, and that they go through every experiment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sine_classes import signals_of

from ecgpipe.arrays import SignalReader
from ecgpipe.classify.experiments import Experiment
from ecgpipe.classify.inputs import Selection, Standardizer, standardized
from ecgpipe.classify.resnets import DEPTHS, ResNetWang, XResNet
from ecgpipe.classify.run import run_augmentation, run_transfer
from ecgpipe.classify.training import build, fit, predict
from ecgpipe.config import WangSettings, XResNetSettings

CPU = torch.device("cpu")
TRAINING = {"learning_rate": 0.01, "batch": 8, "steps": 40}
SMALL = [
    WangSettings(kind="resnet1d_wang", channels=4, **TRAINING),
    XResNetSettings(kind="xresnet1d", depth=18, channels=4, dropout=0.1, **TRAINING),
    XResNetSettings(kind="xresnet1d", depth=50, channels=2, dropout=0.1, **TRAINING),
]


def parameters(model) -> int:
    return sum(p.numel() for p in model.parameters())


def test_wang_has_the_papers_size():
    """Weights counted from the paper's figure 1c: 3 blocks of convolutions of 8, 5, 3 with 64, 128, 128 filters."""
    c, norm = (64, 128, 128), 2
    expected, inputs = 0, 12
    for k in c:
        expected += inputs * k * 8 + k * k * (5 + 3) + 3 * norm * k  # the path
        expected += norm * k + (inputs * k if inputs != k else 0)  # the shortcut
        inputs = k
    assert parameters(ResNetWang(12, 7, channels=64)) == expected + 128 * 7 + 7


@pytest.mark.parametrize(("depth", "layers"), [(18, 18), (34, 34), (50, 50), (101, 101)])
def test_xresnet_has_its_depth(depth, layers):
    """Weighted layers on the longest way: stem (3 instead of 1 convolution), blocks, output."""
    model = XResNet(12, 7, depth=depth, channels=2, dropout=0.0)
    in_blocks = sum(DEPTHS[depth]) * (3 if depth >= 50 else 2)
    assert in_blocks + 2 == layers
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    shortcuts = [m for m in convolutions if m.kernel_size == (1, 1)]
    if depth < 50:
        assert len(convolutions) - len(shortcuts) == in_blocks + 3
        assert len(shortcuts) == 3
    assert model.features(torch.zeros(2, 12, 100)).shape == (2, 2 * 2 * 8 * (4 if depth >= 50 else 1))


def test_a_block_of_xresnet_starts_as_its_shortcut():
    torch.manual_seed(0)
    model = XResNet(12, 7, depth=18, channels=4, dropout=0.0).eval()
    block = model.blocks[4]
    x = torch.randn(3, 4, 1, 20)
    torch.testing.assert_close(block(x), torch.relu(x))


def test_even_kernels_keep_the_length():
    model = ResNetWang(12, 7, channels=4)
    assert model.blocks(torch.zeros(2, 12, 1, 37)).shape == (2, 8, 1, 37)


@pytest.mark.parametrize("settings", SMALL, ids=lambda s: f"{s.kind}{getattr(s, 'depth', '')}")
def test_learns(spec, settings):
    def labelled(n, seed):
        labels = np.arange(n) % 3
        records = Selection(SignalReader.of(signals_of(labels, seed)), labels)
        return standardized(records, Standardizer.fit(records), CPU)

    model = build(spec, settings, 0)
    fit(model, labelled(97, 1), labelled(30, 2), settings.model_copy(update={"steps": 80}), 0, CPU)
    test = labelled(60, 3)
    assert (predict(model, test).argmax(axis=1) == test.labels.numpy()).mean() > 0.8
    with torch.no_grad():
        torch.testing.assert_close(model.head(model.features(test.values)), model(test.values))


@pytest.mark.parametrize("settings", SMALL[:2], ids=lambda s: s.kind)
def test_goes_through_every_experiment(make_dataset, tmp_path, settings):
    data, samples = make_dataset(tmp_path / "hospital", n=9), make_dataset(tmp_path / "g", seed=5, n=8)
    state = tmp_path / "state"
    run_augmentation(Experiment(data, tmp_path, settings, [], [0], state), [samples], ["TrSTeR"])
    methods, pretrained = ["frozen", "finetuned", "probe"], tmp_path / "pretrained.safetensors"
    run_transfer(Experiment(data, tmp_path / "t", settings, [0.5], [0], state), pretrained, methods=methods)
    rows = pd.read_parquet(tmp_path / "t" / "training.parquet").set_index("setting")
    assert rows.loc["frozen", "parameters"] < rows.loc["finetuned", "parameters"]
    other = settings.model_copy(update={"channels": 6})
    with pytest.raises(ValueError, match="was trained with channels 4, the settings say 6"):
        run_transfer(Experiment(data, tmp_path / "t", other, [0.5], [0], state), pretrained)
