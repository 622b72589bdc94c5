"""What a classifier is: a network in two parts, of which transfer learning keeps the first.

A classifier of your own is one class with the members of :class:`Network`, in a module of your own; the configuration
names it as ``class: package.module:Class``.
"""

from __future__ import annotations

from torch import Tensor, nn


class Network(nn.Module):
    """A classifier of ECGs: ``features`` of signals, and a ``head`` that reads them.

    A class of your own also has ``Settings``, a pydantic model of what may stand under ``network`` in the
    configuration. It is made as ``Class(settings, spec)``: an instance of ``Settings``, and the form of the signals
    (:class:`ecgpipe.dataset.SignalSpec`). Its initial weights come from torch's generator, which is seeded before.
    """

    head: nn.Module
    """From features ``(n, f)`` to logits ``(n, classes)``. ``frozen`` transfer trains it alone."""

    def features(self, signals: Tensor) -> Tensor:
        """Return what the head reads: standardised ``(n, leads, length)`` to ``(n, f)``."""
        raise NotImplementedError

    def forward(self, signals: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` of standardised signals ``(n, leads, length)``."""
        logits: Tensor = self.head(self.features(signals))
        return logits


def columns(signals: Tensor) -> Tensor:
    """Return ``(n, leads, length)`` as ``(n, leads, 1, length)``, channels last.

    Written without ``memory_format``, which :func:`torch.vmap` does not know.
    """
    return signals.transpose(1, 2).contiguous().transpose(1, 2).unsqueeze(2)
