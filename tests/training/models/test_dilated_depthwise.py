from __future__ import annotations

import pytest
import torch
from torch import nn

from training.models.dilated_depthwise import DilatedDepthwiseConv2d


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("size", [(9, 12), (8, 7), (2, 2), (1, 5)])
def test_gradients_are_those_of_the_plain_convolution(dilation: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    ours = DilatedDepthwiseConv2d(6, dilation).double()
    plain = nn.Conv2d(6, 6, 3, padding=dilation, dilation=dilation, groups=6).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    a, b = ours(x), plain(y)
    assert torch.equal(a, b)
    weight = torch.randn_like(a)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    for found, expected in ((x, y), (ours.weight, plain.weight), (ours.bias, plain.bias)):
        assert found is not None
        assert expected is not None
        torch.testing.assert_close(found.grad, expected.grad, rtol=0, atol=1e-12)


def test_under_bfloat16_autocast() -> None:
    torch.manual_seed(0)
    layer = DilatedDepthwiseConv2d(8, 2)
    x = torch.randn(2, 8, 16, 16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    out.float().square().sum().backward()
    for tensor in (x, layer.weight, layer.bias):
        assert tensor is not None
        assert tensor.grad is not None
        assert tensor.grad.dtype == torch.float32
        assert torch.isfinite(tensor.grad).all()


def test_evaluation_is_the_plain_convolution() -> None:
    layer = DilatedDepthwiseConv2d(4, 3).eval()
    out = layer(torch.randn(1, 4, 5, 5))
    assert out.grad_fn is not None
    assert out.grad_fn.name() == "ConvolutionBackward0"
    assert layer.train()(torch.randn(1, 4, 5, 5)).grad_fn.name() != "ConvolutionBackward0"
