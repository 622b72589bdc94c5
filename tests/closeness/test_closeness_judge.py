"""The real-trained classifier as a feature map: what it says is what the network says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ecgpipe.classify.inputs import Standardizer
from ecgpipe.classify.pretrained import Pretrained, network_tensors
from ecgpipe.classify.training import build
from ecgpipe.closeness.comparison import evaluate
from ecgpipe.closeness.feature_cache import FeatureCache, Sample
from ecgpipe.closeness.feature_maps import FeatureMaps, Judge
from ecgpipe.closeness.measures import MEASURES
from ecgpipe.closeness.settings import Settings
from ecgpipe.closeness.statistics import Pair
from ecgpipe.config import ClassifierSettings, WangSettings
from ecgpipe.dataset import SignalSpec
from ecgpipe.vocabulary import ALL

SPEC = SignalSpec(100.0, 1000, ("AFIB", "SR", "STACH"))
SMALL = ClassifierSettings(blocks=4, channels=4, width=24, dense_layers=2)


def judge(settings):
    standardizer = Standardizer(np.linspace(-0.1, 0.1, 12), np.linspace(0.2, 0.4, 12))
    networks = {seed: network_tensors(build(SPEC, settings, seed), standardizer) for seed in (7, 3)}
    return Judge(Pretrained("a", "none", 1.0, SPEC, settings, networks))


@pytest.mark.parametrize(("settings", "width"), [(SMALL, 24), (WangSettings(kind="resnet1d_wang", channels=8), 16)])
def test_judge_is_the_network_of_the_smallest_seed(held_out, settings, width):
    found = judge(settings)
    features, probabilities = found(held_out.signals[:70])
    model, standardizer = found.network.network(3), found.network.standardizer(3)
    with torch.no_grad():
        expected = torch.softmax(model(torch.from_numpy(standardizer(held_out.signals[:70]))), dim=1)
    np.testing.assert_allclose(probabilities, expected.numpy(), atol=1e-5)
    assert features.shape == (70, width)


def test_class_fidelity_is_the_share_of_right_answers(held_out, fresh, train):
    found = judge(SMALL)
    only = ["class_fidelity", "frechet_classifier"]
    table = evaluate(held_out, fresh, train=train, judge=found, settings=Settings(draws=20), only=only)
    pooled = table[(table["class"] == ALL)].set_index("measure")
    assert pooled.loc["frechet_classifier", "value"] >= 0
    assert pooled.loc["class_fidelity", "n"] == 60
    answers = np.array(SPEC.classes)[found(fresh.signals)[1].argmax(axis=1)]
    sample = Sample(FeatureCache(fresh, FeatureMaps.fit(train.take(np.arange(40)), found)), np.arange(len(fresh)))
    statistic = MEASURES["class_fidelity"].statistic(Pair(sample, sample, 0))
    once = np.ones((1, len(fresh)))
    assert statistic(once, once)[0] == pytest.approx(np.mean(answers == fresh.labels))


def test_records_of_another_form_are_refused(held_out):
    with pytest.raises(ValueError, match=r"rate 100\.0 and 500\.0"):
        judge(SMALL).require_fit(replace(held_out, rate=500.0))
