"""One job on several processes, as torchrun starts them: each has a device of its own.

All do the same with the same random numbers, so that each knows what the others do; only the passes through the network
are divided. Outside torchrun there is one process, and nothing here does anything.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

WAIT = datetime.timedelta(hours=2)
"""How long the processes wait for one another: the first one validates and writes alone."""


@contextlib.contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the other processes of this job, if there are any; yield the device of this one."""
    if not dist.is_torchelastic_launched():
        yield device
        return
    if torch.device(device).type == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device != "cpu" else "gloo", timeout=WAIT)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def count() -> int:
    """Return the number of processes of this job."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0; 0 is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def wait_for_all() -> None:
    """Return when all processes have come here."""
    if dist.is_initialized():
        dist.barrier()


@torch.no_grad()
def take_from_first(tensor: Tensor) -> Tensor:
    """Overwrite ``tensor`` by that of process 0, in place, and return it."""
    if dist.is_initialized():
        dist.broadcast(tensor, 0)
    return tensor


@torch.no_grad()
def of_all(tensor: Tensor) -> Tensor:
    """Return the tensors ``(n, ...)`` of all processes, of equal shape, one after the other; without gradient."""
    if not dist.is_initialized():
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(count())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)


def divided(network: nn.Module, device: torch.device) -> nn.Module:
    """Return a form of ``network`` whose passes in training are divided among the processes; of one, the network itself."""
    if count() == 1:
        return network
    synchronised = DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
    return _Divided(synchronised)


class _Divided(nn.Module):
    """Passes its share of a batch through the network and takes the rest of the result from the other processes.

    So a loss sees the whole batch, and needs to know nothing of processes. The gradient goes through this process's
    share only; the mean over all processes, which DistributedDataParallel takes, times their number is the batch's.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Take tensors ``(b, ...)``, b a multiple of the number of processes; give what the network gives for all b.

        A result without axes (a mean over the batch) is the mean of the shares'.
        """
        out = self.network(*(x.chunk(count())[rank()] for x in inputs))
        return tuple(_with_others(part) for part in out) if isinstance(out, tuple) else _with_others(out)


def _with_others(share: Tensor) -> Tensor:
    if share.ndim == 0:
        return _with_others(share[None]).mean()
    parts = list(of_all(share.detach()).chunk(count()))
    parts[rank()] = share
    return torch.cat(parts)
