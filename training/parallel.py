"""Several processes that train one network together, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from edge_pose.errors import UsageError


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among `world`.

    Attributes:
        rank: number of this process, from 0.
        world: processes in all.
        local_rank: number of this process on its machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def device(self, kind: str) -> torch.device:
        """Return this process's device: each one has a GPU of its own."""
        return torch.device(kind, self.local_rank) if kind == "cuda" else torch.device(kind)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Let the gradients of all processes meet in the backward pass."""
        if self.world == 1:
            return module
        if next(module.parameters()).device.type == "cuda":
            # A share of a batch is small for its own statistics; gloo cannot exchange them.
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(module)

    def gradients_meet(self, module: nn.Module, *, meet: bool) -> Any:  # noqa: ANN401 - contexts
        """Return a context; without `meet` each process only adds to its own gradients."""
        if isinstance(module, DistributedDataParallel) and not meet:
            return module.no_sync()
        return nullcontext()

    def mean(self, value: Tensor) -> float:
        """Return the mean of a scalar over the processes."""
        if self.world == 1:
            return float(value)
        value = value.clone()
        dist.all_reduce(value)
        return float(value) / self.world

    def wait(self) -> None:
        """Wait for all the others."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def open_processes(device: str) -> Iterator[Processes]:
    """Join the processes that `torchrun` started; without it, this one is alone.

    Args:
        device: "cpu" (gloo) or "cuda" (NCCL).

    Raises:
        UsageError: the environment names a group that cannot be joined.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Processes()
        return
    try:
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        if device == "cuda":
            torch.cuda.set_device(local_rank)
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"torchrun's environment: cannot join its processes: {reason}") from None
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), local_rank)
    finally:
        dist.destroy_process_group()
