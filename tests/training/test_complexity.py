"""Operation counts worked out by hand on inputs of (1, 3, 4, 6): 24 pixels, 72 values."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.complexity import Complexity, count

SIZE = (6, 4)  # (w, h)


class Calls(nn.Module):
    """A network that is one function of its input."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("module", "params", "macs", "document"),
    [
        # 8 outputs x 24 px x (3 inputs x 9 taps); the bias adds one per output value.
        (nn.Conv2d(3, 8, 3, padding=1, bias=False), 216, 5184, 5184),
        (nn.Conv2d(3, 8, 3, padding=1), 224, 5184, 5184 + 192),
        # Depthwise: one input per output.
        (nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False), 27, 648, 648),
        # Stride 2: 2 x 3 outputs per channel.
        (nn.Conv2d(3, 8, 1, stride=2), 32, 144, 144 + 48),
        # Transposed: 24 input px x 3 channels x 5 outputs x 4 taps; 5 x 8 x 12 outputs.
        (nn.ConvTranspose2d(3, 5, 2, stride=2), 65, 1440, 1440 + 480),
        # Linear over the last axis (6 -> 2) of 12 rows.
        (nn.Linear(6, 2, bias=False), 12, 144, 144),
        (nn.Linear(6, 2), 14, 144, 144 + 24),
        (nn.BatchNorm2d(3), 6, 0, 144),
        (nn.ReLU(), 0, 0, 144),
        (nn.ReLU(inplace=True), 0, 0, 144),
        (nn.Sigmoid(), 0, 0, 0),
        # 3 x 2 x 3 outputs of 4 and of 9 and of 1 x 2 inputs.
        (nn.MaxPool2d(2), 0, 0, 18 * 3),
        (nn.MaxPool2d(3, stride=2, padding=1), 0, 0, 18 * 8),
        (nn.MaxPool2d((1, 2)), 0, 0, 36 * 1),
        (nn.AvgPool2d(2), 0, 0, 0),
        (nn.Identity(), 0, 0, 0),
    ],
)
def test_modules(module: nn.Module, params: int, macs: int, document: int) -> None:
    assert count(module, SIZE) == Complexity(params, document, macs)


@pytest.mark.parametrize(
    ("function", "document"),
    [
        (lambda x: x + x, 144),
        (lambda x: torch.add(x, x), 144),
        (lambda x: x.add(x), 144),
        (lambda x: x + x + x, 288),
        (lambda x: x.add_(x), 0),
        (lambda x: x.__iadd__(x), 0),
        (lambda x: x * x, 0),
        (lambda x: F.relu(x), 0),
        (lambda x: F.max_pool2d(x, 2), 0),
        (lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"), 0),
        (lambda x: torch.cat([x, x], dim=1), 0),
    ],
)
def test_functions_have_no_macs(function: Callable[[Tensor], Tensor], document: int) -> None:
    assert count(Calls(function), SIZE) == Complexity(0, document, 0)


def test_functional_layers_and_products_count_as_modules_do() -> None:
    weight, bias = torch.ones(8, 3, 1, 1), torch.ones(8)
    assert count(Calls(lambda x: F.conv2d(x, weight, bias)), SIZE) == Complexity(0, 576 + 192, 576)
    # (3, 4, 6) @ (3, 6, 4): 48 outputs of 6 products each.
    product = count(Calls(lambda x: torch.bmm(x[0], x[0].transpose(1, 2))), SIZE)
    assert product == Complexity(0, 288, 288)


def test_a_broadcast_addition_costs_its_output() -> None:
    row = torch.ones(2, 1, 1, 1)
    assert count(Calls(lambda x: row + x), SIZE).madds_document == 2 * 144


def test_a_shared_module_counts_every_time_and_its_parameters_once() -> None:
    conv = nn.Conv2d(3, 3, 1, bias=False)
    assert count(nn.Sequential(conv, nn.ReLU(), conv), SIZE) == Complexity(9, 2 * 216 + 144, 432)


def test_pooling_that_returns_indices() -> None:
    class Unzip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.MaxPool2d(2, return_indices=True)

        def forward(self, x: Tensor) -> Tensor:
            values: Tensor = self.pool(x)[0]
            return values

    assert count(Unzip(), SIZE).madds_document == 18 * 3


def test_other_channels() -> None:
    assert count(nn.Conv2d(1, 2, 1, bias=False), SIZE, channels=1).macs == 48


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
    model.train()
    model[1].eval()  # a frozen normalisation must stay frozen
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = count(model, SIZE)
    assert [module.training for module in model] == [True, False, True]
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(not module._forward_hooks for module in model.modules())
    assert count(model, SIZE) == first


def test_hooks_and_flags_are_restored_after_an_error() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Conv2d(5, 1, 1))  # the input has 3 channels
    with pytest.raises(RuntimeError, match="channels"):
        count(model, SIZE)
    assert model.training
    assert not model[0]._forward_hooks
