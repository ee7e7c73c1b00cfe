"""EfficientNet and EfficientHRNet at small inputs: shapes, gradients, export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edge_pose.errors import UsageError
from training.models.efficient_hrnet import EfficientHRNet, efficient_hrnet_hm4
from training.models.efficientnet import efficientnet_bm4
from training.models.high_resolution import HighResolutionModule
from training.models.mbconv import EfficientNetFeatures, EvenSize, MBConv, SqueezeExcitation


def image(height: int, width: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def settled(model: nn.Module, x: Tensor) -> nn.Module:
    """The model in eval mode after its normalisation has seen a batch."""
    with torch.no_grad():
        model.train()(x)
    return model.eval()


@pytest.mark.parametrize(("keypoints", "number"), [("coco17", 17), ("mpii16", 16)])
def test_pose_outputs(keypoints: str, number: int) -> None:
    model = efficient_hrnet_hm4(keypoints=keypoints).eval()
    with torch.no_grad():
        outputs = model(image(64, 96, batch=3))
    assert [tuple(o.shape) for o in outputs] == [
        (3, 2 * number, 16, 24),
        (3, number, 32, 48),
    ]


def test_an_unknown_phi_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="phi '1': unknown"):
        EfficientHRNet(1, 17)


@pytest.mark.parametrize("side", [64, 45])
def test_classifier_outputs(side: int) -> None:
    model = efficientnet_bm4(classes=10).eval()
    with torch.no_grad():
        outputs = model(image(side, side))
    assert [tuple(o.shape) for o in outputs] == [(2, 10)]


def test_features_halve_downwards_from_any_size() -> None:
    model = EfficientNetFeatures(-4).eval()
    with torch.no_grad():
        features = model(image(111, 96))
    assert [tuple(f.shape[1:]) for f in features] == [
        (c, h, w)
        for c, h, w in zip(model.channels, (27, 13, 6, 3), (24, 12, 6, 3), strict=True)
    ]  # fmt: skip


def test_even_size_drops_the_last_row_and_column_of_odd_sizes() -> None:
    x = torch.arange(15.0).view(1, 1, 3, 5)
    assert torch.equal(EvenSize()(x), x[:, :, :2, :4])
    even = x[:, :, :2, :4]
    assert EvenSize()(even) is even


def test_squeeze_excitation_scales_channels_by_their_means() -> None:
    block = SqueezeExcitation(2, 1)
    with torch.no_grad():
        block.reduce.weight.copy_(torch.tensor([3.0, 0.0]).view(1, 2, 1, 1))
        block.reduce.bias.zero_()
        block.expand.weight.copy_(torch.tensor([1.0, 0.0]).view(2, 1, 1, 1))
        block.expand.bias.zero_()
        x = torch.tensor([[1.0, 3.0], [5.0, 5.0]]).view(1, 2, 1, 2)
        out = block(x)
    silu = 6.0 / (1.0 + np.exp(-6.0))  # 3 x the mean of channel 0
    expected = [1.0 / (1.0 + np.exp(-silu)), 3.0 / (1.0 + np.exp(-silu)), 2.5, 2.5]
    np.testing.assert_allclose(out.flatten().numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("c_out", "stride", "identity"), [(8, 1, True), (8, 2, False), (16, 1, False)]
)
def test_mbconv_has_an_identity_where_shapes_allow(c_out: int, stride: int, identity: bool) -> None:
    block = MBConv(8, c_out, 5, stride, 6).eval()
    nn.init.zeros_(block.body[-2].weight)
    x = torch.randn(1, 8, 6, 6)
    expected = x if identity else torch.zeros(1, c_out, 6 // stride, 6 // stride)
    assert torch.equal(block(x), expected)


def test_every_output_of_a_high_resolution_module_sees_every_branch() -> None:
    torch.manual_seed(0)
    module = HighResolutionModule((4, 6, 8), outputs=3).eval()
    features = [torch.randn(1, c, 8 // 2**i, 8 // 2**i) for i, c in enumerate((4, 6, 8))]
    before = module(features)
    assert [o.shape for o in before] == [f.shape for f in features]
    for source in range(3):
        changed = [f + 1.0 if i == source else f for i, f in enumerate(features)]
        after = module(changed)
        assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("build", [efficient_hrnet_hm4, efficientnet_bm4])
def test_every_parameter_gets_a_gradient(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = build().train()
    torch.stack([o.square().mean() for o in model(image(64, 64))]).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A bias in front of a normalisation has none, by design.
        assert parameter.dim() == 1 or parameter.grad.any(), name


def test_one_batch_can_be_learned() -> None:
    torch.manual_seed(0)
    model = EfficientHRNet(-4, 2).train()
    x = image(64, 64)
    targets = [torch.rand_like(o) for o in model(x)]
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = sum(
            ((o - t).square().mean() for o, t in zip(model(x), targets, strict=True)),
            start=torch.zeros(()),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


# torch.onnx copies torch's own tree specs, which warns about torch's own code.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.:FutureWarning")
def test_onnx_export_equals_torch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = settled(efficient_hrnet_hm4(), image(64, 64))
    x = image(64, 64, batch=1)
    file = tmp_path / "model.onnx"
    torch.onnx.export(
        model, (x,), str(file), dynamo=True, opset_version=18, external_data=False, verbose=False
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        expected = model(x)
    assert len(found) == len(expected)
    for ours, theirs in zip(expected, found, strict=True):
        assert ours.abs().max() > 1e-3
        np.testing.assert_allclose(theirs, ours.numpy(), rtol=1e-4, atol=1e-4)
