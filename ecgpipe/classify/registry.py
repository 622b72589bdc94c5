"""From the settings of a classifier of a user's own to its class, and what that class must keep to."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from ecgpipe.classify.network import Network
from ecgpipe.dataset import SignalSpec
from ecgpipe.plugins import PluginError, import_class, parse_settings

_RECORDS = 3


class ClassifierError(PluginError):
    """A classifier that cannot be found or used, or settings it does not take; the message says which and why."""


def load_class(dotted: str, key: str) -> type[Any]:
    """Import a classifier's class.

    Args:
        dotted: ``package.module:Class``.
        key: the classifier's key in the configuration, for messages.

    Raises:
        ClassifierError: if module or class is missing, or the class lacks a member.
    """
    try:
        found = import_class(dotted, f"`{key}`", f"{key}.class", "is its folder installed or on PYTHONPATH?")
    except PluginError as error:
        raise ClassifierError(str(error)) from error
    if not issubclass(found, nn.Module):
        raise ClassifierError(f"`{key}.class`: {dotted} is no torch.nn.Module; see ecgpipe.classify.network.Network")
    lacking = [] if callable(getattr(found, "features", None)) else ["features"]
    model = getattr(found, "Settings", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        lacking.append("Settings (a pydantic model)")
    if lacking:
        raise ClassifierError(
            f"`{key}.class`: {dotted} lacks {', '.join(lacking)}; see ecgpipe.classify.network.Network"
        )
    return found


def own_network(dotted: str, values: dict[str, Any], spec: SignalSpec, key: str = "classifiers.<name>") -> Network:
    """Return an untrained network of a user's own class.

    Args:
        dotted: ``package.module:Class``.
        values: what stands under ``network`` in the configuration.
        spec: form of the signals.
        key: the classifier's key in the configuration, for messages.

    Raises:
        ClassifierError: if the class cannot be had or does not take the settings.
    """
    found = load_class(dotted, key)
    try:
        settings = parse_settings(found.Settings, values, f"{key}.network")
    except PluginError as error:
        raise ClassifierError(str(error)) from None
    network: Network = found(settings, spec)
    if not isinstance(getattr(network, "head", None), nn.Module):
        raise ClassifierError(f"`{key}.class`: {dotted} has no `head`, a torch.nn.Module that reads its features")
    return network


def check_network(network: Network, spec: SignalSpec, key: str) -> None:
    """Pass a few made-up records through a network, and look at the form of what comes out.

    Args:
        network: untrained.
        spec: form of the signals.
        key: its key in the configuration, for messages.

    Raises:
        ClassifierError: naming the part whose output has the wrong form.
    """
    where = f"`{key}.class`: {type(network).__module__}:{type(network).__name__}"
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ClassifierError(f"{where} has no parameters to train")
    network.eval()
    signals = torch.randn(_RECORDS, len(spec.leads), spec.length, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, expected = network.features(signals), (_RECORDS, len(spec.classes))
        if features.ndim != 2 or len(features) != _RECORDS:
            raise ClassifierError(
                f"{where}.features gives {tuple(features.shape)} for {tuple(signals.shape)}; it must give (n, f)"
            )
        logits = network(signals)
        if tuple(logits.shape) != expected:
            raise ClassifierError(f"{where} gives {tuple(logits.shape)} for {tuple(signals.shape)}, not {expected}")
        if not torch.allclose(network.head(features), logits, atol=1e-5, equal_nan=True):
            raise ClassifierError(f"{where} gives other logits than its `head` does for its `features`")
