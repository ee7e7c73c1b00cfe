"""Depthwise convolution whose backward pass is quick on a CPU.

oneDNN's generic kernels take over for two gradients of depthwise layers, and training a mobile
network on a CPU then spends most of its time there (`scripts/bench_depthwise.py` measures it):

- input gradient at stride 2: here the output gradient is spread over the input grid with zeros in
  between and convolved at stride 1 with the flipped kernel;
- weight gradient of a 5×5 kernel: here it is assembled from four 3×3 weight gradients, taken at
  the four corner offsets of the kernel.

Both are the same sums in another order. Forward, export and other devices use the plain
convolution.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DepthwiseConv2d(nn.Conv2d):
    """`nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)`."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False
        )

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of nn.Conv2d
        """Map (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        if not (self.training and torch.is_grad_enabled() and input.device.type == "cpu"):
            return super().forward(input)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            input, weight = input.to(dtype), weight.to(dtype)  # noqa: A001
        apply: Any = _DepthwiseFunction.apply  # torch gives it no type
        result: Tensor = apply(input, weight, self.stride[0])
        return result


class _DepthwiseFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[2] // 2, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        grad_x = input_gradient(grad, x, weight, ctx.stride) if ctx.needs_input_grad[0] else None
        return grad_x, weight_gradient(grad, x, weight, ctx.stride), None


def input_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the gradient with respect to the (N, C, H, W) input."""
    channels, kernel = x.shape[1], weight.shape[2]
    if stride == 1:
        spread = grad
    else:
        spread = torch.zeros_like(x, memory_format=torch.channels_last)
        spread[:, :, ::stride, ::stride] = grad
    return F.conv2d(spread, weight.flip(2, 3), None, 1, kernel // 2, 1, channels)


def weight_gradient(grad: Tensor, x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the gradient with respect to the (C, 1, k, k) kernel."""
    kernel = weight.shape[2]
    if kernel != 5:
        return _plain_weight_gradient(grad, x, weight, stride, kernel // 2)
    height, width = (grad.shape[2] - 1) * stride + 3, (grad.shape[3] - 1) * stride + 3
    padded = F.pad(x, (2, 2, 2, 2))
    small = weight[:, :, :3, :3].contiguous()
    result = torch.empty_like(weight)
    for top in (0, 2):
        for left in (0, 2):
            part = padded[:, :, top : top + height, left : left + width]
            part = part.contiguous(memory_format=torch.channels_last)
            corner = _plain_weight_gradient(grad, part, small, stride, 0)
            result[:, :, top : top + 3, left : left + 3] = corner
    return result


def _plain_weight_gradient(
    grad: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int
) -> Tensor:
    pair = [stride, stride], [padding, padding]
    gradients = torch.ops.aten.convolution_backward(
        grad, x, weight, None, *pair, [1, 1], False, [0, 0], x.shape[1], [False, True, False]
    )
    weight_grad: Tensor = gradients[1]
    return weight_grad
