"""Data-parallel jobs: several processes, as torchrun starts them, each with its own device (:mod:`torch.distributed`).

All processes run the same code with the same random numbers, so that each knows what the others do. Only the passes
through the network are divided, by DistributedDataParallel (DDP). Outside torchrun there is one process, of rank 0 in a
world of size 1, and the collective operations here do nothing.
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

TIMEOUT = datetime.timedelta(hours=2)
"""How long the processes wait for one another: rank 0 validates and writes alone."""


@contextlib.contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the process group of this job, if torchrun started it; yield the device of this process.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:1``; in a group, each process takes the GPU of its local rank instead.
    """
    if not dist.is_torchelastic_launched():
        yield device
        return
    if torch.device(device).type == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device != "cpu" else "gloo", timeout=TIMEOUT)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Return the number of processes of this job."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0; rank 0 is the one that writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def barrier() -> None:
    """Return when all processes have come here."""
    if dist.is_initialized():
        dist.barrier()


@torch.no_grad()
def broadcast(tensor: Tensor) -> Tensor:
    """Overwrite ``tensor`` with that of rank 0, in place, and return it."""
    if dist.is_initialized():
        dist.broadcast(tensor, 0)
    return tensor


@torch.no_grad()
def all_gather(tensor: Tensor) -> Tensor:
    """Concatenate the tensors ``(n, ...)`` of all processes, of equal shape, in order of rank; without gradient."""
    if not dist.is_initialized():
        return tensor
    gathered = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(gathered, tensor.contiguous())
    return torch.cat(gathered)


def data_parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """Divide the network's training passes among the processes; with one process, return the network itself.

    The network that is returned takes and gives whole batches, so that a loss function needs to know nothing of
    processes. The loss must be multiplied by :func:`world_size` before ``backward``: a process's gradient covers its
    own shard of the batch, and DDP takes the mean of the gradients where their sum is wanted.
    """
    if world_size() == 1:
        return network
    ddp = DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
    return _GatheredDataParallel(ddp)


class _GatheredDataParallel(nn.Module):
    """Pass this process's shard of a batch through the network, and gather the outputs of the other shards."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Map tensors ``(b, ...)``, b a multiple of the world size, to the network's outputs for all b.

        An output without axes (a mean over the batch) becomes the mean of the shards'.
        """
        out = self.network(*(x.chunk(world_size())[rank()] for x in inputs))
        return tuple(_gather_shards(x) for x in out) if isinstance(out, tuple) else _gather_shards(out)


def _gather_shards(shard: Tensor) -> Tensor:
    """Concatenate the shards of all processes; the gradient goes through this process's own shard."""
    if shard.ndim == 0:
        return _gather_shards(shard[None]).mean()
    shards = list(all_gather(shard.detach()).chunk(world_size()))
    shards[rank()] = shard
    return torch.cat(shards)
