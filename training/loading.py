"""Samples from loading processes, errors included.

An exception that leaves a loading process arrives as the text of its traceback. Here it travels as
a value in place of the batch, and is raised where the batch is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from edge_pose.errors import EdgePoseError
from training.samples import EpochSampler, Key
from training.tasks import Batch, Task


class _Samples(Dataset[Any]):
    def __init__(self, samples: Dataset[Any]) -> None:
        self.samples = samples

    def __getitem__(self, key: Key) -> Any:  # noqa: ANN401 - the task's own kind
        try:
            return self.samples[key]
        except EdgePoseError as error:
            return error


class _Collate:
    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self, samples: Sequence[Any]) -> Batch | EdgePoseError:
        for sample in samples:
            if isinstance(sample, EdgePoseError):
                return sample
        return self.task.collate(samples)


def open_loader(task: Task, sampler: EpochSampler, workers: int, *, pin: bool) -> DataLoader[Any]:
    """Return a loader of one epoch after the other, for `batches`.

    Args:
        task: gives samples and stacks them.
        sampler: says which ones.
        workers: processes beside this one; 0 loads in this one.
        pin: put batches into memory that a GPU copies from quickly.
    """
    return DataLoader(
        _Samples(task.samples),
        batch_size=sampler.part,
        sampler=sampler,
        num_workers=workers,
        collate_fn=_Collate(task),
        prefetch_factor=4 if workers else None,
        persistent_workers=workers > 0,  # they keep the pictures that they have read
        worker_init_fn=_one_thread,
        pin_memory=pin,
    )


def batches(loader: DataLoader[Any]) -> Iterator[Batch]:
    """Yield the batches of an epoch.

    Raises:
        EdgePoseError: a sample could not be made.
    """
    for batch in loader:
        if isinstance(batch, EdgePoseError):
            raise batch
        yield batch


def _one_thread(worker: int) -> None:
    """Keep a loading process to one core."""
    import cv2

    del worker
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
