"""Statistics of normalisation layers, taken anew.

Running means forget slowly, some of them over hundreds of steps: after a short training they are
still those of the untrained network. Wu and Johnson, "Rethinking 'Batch' in BatchNorm" (2021,
https://arxiv.org/abs/2105.07576), section 3, call the plain mean over batches "precise".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.tasks import Batch


@torch.no_grad()
def refit_statistics(
    model: nn.Module, batches: Iterable[Batch], run: Callable[[nn.Module, Batch], object]
) -> None:
    """Set the running statistics to the mean over `batches`; weights stay as they are.

    Args:
        model: changed in place; its training flag is left as it was.
        batches: some dozen are enough.
        run: runs the model on one batch.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    training = model.training
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean
    model.train()
    for batch in batches:
        run(model, batch)
    model.train(training)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
