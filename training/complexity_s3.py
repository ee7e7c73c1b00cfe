"""Operation counts as the Lite-HRNet paper gives them (https://arxiv.org/abs/2104.06403).

Both of its tables are in binary mega: divide by `MEBI` to compare.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from training.models.lite_hrnet_blocks import GlobalAveragePool

MEBI = 2**20


def lite_hrnet_flops(model: nn.Module, input_size: tuple[int, int]) -> int:
    """Count the operations of one picture by the rule behind the paper's FLOPs column.

    Only modules count, by their class: a convolution its multiply-accumulates and one per output
    where it has a bias, BN 2 per output, nn.ReLU 1 per output, global average pooling
    C·(H + 1)·(W + 1) of its input, nn.Upsample H·W of its output whatever the channels. A module
    that is called several times counts once, with its last call. Functional pooling and
    interpolation, sigmoid, products, sums and shuffles are free.

    The paper's figures for 256×256 are those of 16 keypoints, the others those of 17.

    Args:
        model: any network that takes one picture; it stays as it is.
        input_size: (w, h) px.
    """
    costs: dict[nn.Module, int] = {}

    def price(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        costs[module] = _cost(module, inputs[0], output)

    model = copy.deepcopy(model).cpu().eval()
    for module in model.modules():
        if isinstance(module, _PRICED):
            module.register_forward_hook(price)
    width, height = input_size
    with torch.no_grad():
        model(torch.zeros(1, 3, height, width))
    return sum(costs.values())


_PRICED = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Upsample, GlobalAveragePool)


def _cost(module: nn.Module, image: Tensor, output: Tensor) -> int:
    if isinstance(module, nn.Conv2d):
        return output.numel() * (module.weight[0].numel() + (module.bias is not None))
    if isinstance(module, GlobalAveragePool):
        channels, height, width = image.shape[1:]
        return channels * (height + 1) * (width + 1)
    if isinstance(module, nn.Upsample):
        return prod(output.shape[2:])
    return (2 if isinstance(module, nn.BatchNorm2d) else 1) * output.numel()


def ccw_complexity(channels: Sequence[int], sizes: Sequence[tuple[int, int]]) -> dict[str, int]:
    """Return the paper's table 2: 1×1 convolution against conditional channel weighting.

    Args:
        channels: C_s of the branches.
        sizes: (w, h) of the branches' feature maps.

    Returns:
        Theoretical operations of one layer over all branches, by the name of the table's row.
    """
    branches = [(prod(size), c) for size, c in zip(sizes, channels, strict=True)]
    values = sum(n * c for n, c in branches)
    squares = sum(c * c for c in channels)
    total = sum(channels)
    return {
        "1x1 convolution": sum(n * c * c for n, c in branches),
        "3x3 depthwise convolution": 9 * values,
        "CCW with spatial weights": 2 * squares + values,
        "CCW with multi-resolution weights": 2 * total**2 + values,
        "CCW": 2 * total**2 + 2 * (squares + values),
    }
