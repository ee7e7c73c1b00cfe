"""Count parameters and operations of a network by running it once.

Two figures are given because papers count differently:

- `macs`: multiply-accumulates of convolutions and matrix products, nothing else.
- `madds_document`: the rule behind the MAdds column of "To Perceive or Not to Perceive"
  (https://arxiv.org/abs/2302.04815). A convolution or linear layer costs its MACs, plus one per
  output where it has a bias; nn.BatchNorm* and nn.ReLU 2 per output; nn.MaxPool2d (k²-1) per
  output; an out-of-place addition 2 per output. In-place additions, concatenation and the
  functional forms of pooling, interpolation and ReLU cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Complexity:
    """What a network costs per input.

    Attributes:
        params: elements of all parameters; buffers such as running means do not count.
        madds_document: operations by the paper's rule, see the module's docstring.
        macs: multiply-accumulates of convolutions and matrix products, without biases.
    """

    params: int
    madds_document: int
    macs: int


def count(model: nn.Module, input_size: tuple[int, int], channels: int = 3) -> Complexity:
    """Run `model` once on a (1, channels, h, w) input and add up what it does.

    Modules that are called several times count every time. The training flags of the model are left
    as they were.

    Args:
        model: any network that takes one image tensor.
        input_size: (w, h) px.
        channels: channels of the input.
    """
    parameters = list(model.parameters())
    device = parameters[0].device if parameters else torch.device("cpu")
    width, height = input_size
    image = torch.zeros(1, channels, height, width, device=device)
    with _in_eval(model), _hooked(model) as of_modules, torch.no_grad(), _OperatorCounter() as ops:
        model(image)
    return Complexity(
        params=sum(p.numel() for p in parameters),
        madds_document=ops.macs + ops.biases + ops.additions + sum(of_modules),
        macs=ops.macs,
    )


class _OperatorCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts below the Python API, where each way to write an operation is the same operator.

    `a + b`, `torch.add(a, b)` and `a.add(b)` arrive as aten.add, `a += b` as aten.add_.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.biases = 0
        self.additions = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - the signature is torch's
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Run one operator and count it."""
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet is aten.add:
            self.additions += 2 * out.numel()
        elif packet is aten.convolution:
            image, weight, bias, transposed = args[0], args[1], args[2], args[6]
            # Each weight is used once per output position; per input position when transposed.
            positions = (image if transposed else out).shape
            self.macs += weight.numel() * positions[0] * prod(positions[2:])
            self.biases += 0 if bias is None else out.numel()
        elif packet in (aten.mm, aten.bmm):
            self.macs += out.numel() * args[0].shape[-1]
        elif packet in (aten.addmm, aten.baddbmm):
            self.macs += out.numel() * args[1].shape[-1]
            self.biases += out.numel()
        return out


def _pool_kernel(module: nn.MaxPool2d) -> int:
    kernel = module.kernel_size
    return kernel * kernel if isinstance(kernel, int) else prod(kernel)


def _cost_per_output(module: nn.Module) -> int:
    if isinstance(module, (_BatchNorm, nn.ReLU)):
        return 2
    return _pool_kernel(module) - 1 if isinstance(module, nn.MaxPool2d) else 0


@contextmanager
def _hooked(model: nn.Module) -> Iterator[list[int]]:
    """Collect the costs of the modules that the rule prices by their class."""
    costs: list[int] = []

    def hook(cost: int) -> Callable[[nn.Module, object, Any], None]:
        def collect(
            _module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, Tensor]
        ) -> None:
            values = output[0] if isinstance(output, tuple) else output  # pooling may add indices
            costs.append(cost * values.numel())

        return collect

    handles = [
        module.register_forward_hook(hook(cost))
        for module in model.modules()
        if (cost := _cost_per_output(module))
    ]
    try:
        yield costs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _in_eval(model: nn.Module) -> Iterator[None]:
    """Switch to eval mode and back, module by module: some may be frozen."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
