"""The configuration uses the vocabulary's words."""

import typing

from ecgpipe import config, vocabulary
from ecgpipe.config.checks import RESERVED_GENERATOR_NAMES
from ecgpipe.prose.wording import METRIC_NAMES


def test_configuration_names_the_same_settings_methods_and_ratios():
    assert typing.get_args(config.Setting) == vocabulary.SETTINGS
    assert typing.get_args(config.Method) == vocabulary.METHODS
    assert typing.get_args(config.Baseline) == vocabulary.BASELINES
    words, _ = typing.get_args(config.Ratio)
    assert typing.get_args(words) == (vocabulary.ALL_SYNTHETIC, vocabulary.BALANCE)


def test_a_generator_cannot_take_a_word_of_the_tables():
    assert vocabulary.POOLED in RESERVED_GENERATOR_NAMES


def test_every_compared_metric_has_a_printed_name():
    assert METRIC_NAMES.keys() == vocabulary.COMPARED.keys()
    assert vocabulary.PRIMARY in vocabulary.COMPARED
    assert {metric for _, metric in vocabulary.COMPARED.values()} <= {
        *vocabulary.CLASS_METRICS,
        *vocabulary.OVERALL_METRICS,
    }
