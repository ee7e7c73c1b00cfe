"""Accuracy of classifiers: how often the right class is the first, or among the first five."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_pose.errors import UsageError
from edge_pose.preprocess import to_tensor
from training.checkpoint import CheckpointInfo
from training.classification.views import center_box, cut
from training.datasets.classification import Labelled, load_labelled

# Share of the shorter side that is looked at. CIFAR-100's objects fill their small pictures.
CENTER = {"cifar100": 1.0, "imagenet": 0.875}
BATCH = 64


def evaluate(
    model: nn.Module,
    info: CheckpointInfo,
    dataset: str,
    data: Path,
    *,
    batch: int = BATCH,
) -> dict[str, Any]:
    """Measure a classifier on the test part (ImageNet: `val`), one view of each picture.

    Args:
        model: the network, on any device.
        info: how it wants its input.
        dataset: "cifar100" or "imagenet".
        data: folder with the data sets.
        batch: pictures at a time.

    Returns:
        JSON-ready: `top1` and `top5` in percent, of `n` pictures.

    Raises:
        UsageError: the data set is unknown or has another number of classes.
        DatasetError: it is missing or damaged.
    """
    test = load_labelled(dataset, data, "test")
    return {
        "model": info.model,
        "dataset": dataset,
        "input_size": list(info.input_spec.size),
        "n": len(test.pictures),
        **accuracy(model, info, test.pictures, len(test.names), batch=batch),
    }


def accuracy(
    model: nn.Module,
    info: CheckpointInfo,
    pictures: Sequence[Labelled],
    classes: int,
    *,
    batch: int = BATCH,
) -> dict[str, float]:
    """Return `top1` and `top5` in percent.

    Args:
        model: the network, on any device.
        info: how it wants its input.
        pictures: at least one.
        classes: that the labels are from.
        batch: pictures at a time.

    Raises:
        UsageError: the network tells another number of classes apart.
        DatasetError: a picture is damaged.
    """
    model.eval()
    ranks = []
    for start in range(0, len(pictures), batch):
        some = pictures[start : start + batch]
        logits = _logits(model, info, some)
        if logits.shape[1] != classes:
            raise UsageError(
                f"{info.model}: has {logits.shape[1]} classes, {pictures[0].dataset} has {classes}"
            )
        ranks.append(label_ranks(logits, torch.tensor([p.label for p in some])))
    rank = torch.cat(ranks)
    shares = {"top1": (rank < 1), "top5": (rank < 5)}
    return {name: round(100 * float(right.double().mean()), 2) for name, right in shares.items()}


def label_ranks(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (N,) how many other classes come before the right one; it loses where they are equal.

    Args:
        logits: (N, C).
        labels: (N,) int64.
    """
    own = logits.gather(1, labels[:, None])
    return (~(logits < own)).sum(1) - 1  # what is not a number is not right, either


@torch.no_grad()
def _logits(model: nn.Module, info: CheckpointInfo, pictures: Sequence[Labelled]) -> Tensor:
    """Return (N, C) float32 on the CPU."""
    spec = info.input_spec
    views = []
    for picture in pictures:
        image = picture.pixels()
        box = center_box((image.shape[1], image.shape[0]), CENTER[picture.dataset])
        views.append(cut(image, box, spec.size[0]))
    tensor = torch.from_numpy(to_tensor(np.stack(views), spec))
    logits: Tensor = model(tensor.to(next(model.parameters()).device))[-1]
    return logits.float().cpu()
