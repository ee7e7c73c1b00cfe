"""The counting rules behind the published sizes of EfficientHRNet and compact EfficientNet.

Table 2 of Neff et al. (https://arxiv.org/abs/2007.08090) prints 23.3M parameters and 25.6B
operations for H0; the network it describes has 19.7M parameters and 24.0 G multiply-accumulates.
Two habits of a counter that walks over modules explain all ten figures, cut after the printed digit
(`published_figures`):

- the parameters of every MBConv block are counted twice;
- a transposed convolution uses every weight once per output position, where only one of `stride²`
  positions meets it.

The operations of the classifiers include normalisation and squeeze-and-excitation
(`classifier_operations`). `training.complexity.count` gives the true figures of both. All three run
on torch's meta device, where a forward pass costs no arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import TypeAlias

from torch import Tensor, nn

from training.complexity import count
from training.models.mbconv import MBConv, SqueezeExcitation

Extra: TypeAlias = Callable[[nn.Module, Tensor, Tensor], int]
"""(module, its input, its output) -> operations beyond its multiply-accumulates."""


def published_figures(model: nn.Module, input_size: tuple[int, int]) -> tuple[int, int]:
    """Return parameters and operations of an EfficientHRNet by its paper's rule.

    Args:
        model: an EfficientHRNet.
        input_size: (w, h) px.
    """
    with _collected(model, nn.ConvTranspose2d, _by_output_position) as extra:
        true = count(model, input_size)
    blocks = (module for module in model.modules() if isinstance(module, MBConv))
    again = sum(p.numel() for block in blocks for p in block.parameters())
    return true.params + again, true.macs + sum(extra)


def classifier_operations(model: nn.Module, input_size: tuple[int, int]) -> int:
    """Return the operations of an EfficientNet with normalisation and squeeze-and-excitation.

    Multiply-accumulates, plus 2 per value out of a batch normalisation, plus 2 per value into a
    squeeze-and-excitation (one to average it, one to scale it). The paper states no rule: this one
    was found by its agreement with 0.404, 0.268, 0.156, 0.093 and 0.050 G for B0 … B-4.

    Args:
        model: an EfficientNet classifier.
        input_size: (w, h) px.
    """
    with (
        _collected(model, nn.BatchNorm2d, lambda _module, _x, y: 2 * y.numel()) as norms,
        _collected(model, SqueezeExcitation, lambda _module, x, _y: 2 * x.numel()) as gates,
    ):
        true = count(model, input_size)
    return true.macs + sum(norms) + sum(gates)


def _by_output_position(module: nn.Module, x: Tensor, y: Tensor) -> int:
    weights = sum(p.numel() for name, p in module.named_parameters() if name == "weight")
    return weights * (prod(y.shape[2:]) - prod(x.shape[2:]))


@contextmanager
def _collected(model: nn.Module, kind: type[nn.Module], extra: Extra) -> Iterator[list[int]]:
    """Collect what a run of the model adds for each of its modules of one kind."""
    found: list[int] = []

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(extra(module, inputs[0], output))

    handles = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, kind)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
