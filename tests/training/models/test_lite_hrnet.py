from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edge_pose.errors import UsageError
from training.models.lite_hrnet import LiteHRNet, LiteHRNetConfig
from training.registry import get_model

TINY = {"modules": (1, 1), "channels": (8, 16, 32), "stem_channels": 8, "num_keypoints": 5}
NAMES = ("lite_hrnet_18", "lite_hrnet_30", "naive_lite_hrnet_18", "wider_naive_lite_hrnet_18")


def build(**changes: object) -> LiteHRNet:
    torch.manual_seed(0)
    return LiteHRNet(LiteHRNetConfig(**(TINY | changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("keypoints", "count"), [("mpii16", 16), ("coco17", 17)])
def test_forward_at_128_px(keypoints: str, count: int) -> None:
    model = get_model("lite_hrnet_18").build(keypoints=keypoints).eval()
    with torch.no_grad():
        heatmaps = model(torch.randn(1, 3, 128, 128))
    assert [tuple(h.shape) for h in heatmaps] == [(1, count, 32, 32)]
    assert torch.isfinite(heatmaps[0]).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    model = get_model(name).build().train()
    (heatmaps,) = model(torch.randn(4, 3, 64, 32))
    heatmaps.square().mean().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    kernels = [(n, p.grad) for n, p in model.named_parameters() if p.dim() == 4]
    assert [n for n, grad in kernels if not grad.any()] == []


@pytest.mark.parametrize("name", NAMES)
def test_entries(name: str) -> None:
    entry = get_model(name)
    assert (entry.task, entry.stride, entry.heatmap_kind) == ("top_down", 4, "gaussian")
    wide = name == "wider_naive_lite_hrnet_18"
    assert entry.input_size == ((192, 256) if wide else (256, 256))
    np.testing.assert_allclose(np.divide(entry.mean, 255), (0.485, 0.456, 0.406))
    np.testing.assert_allclose(np.divide(entry.std, 255), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("size", [(200, 256), (256, 144)])
def test_other_sides_are_refused(size: tuple[int, int]) -> None:
    width, height = size
    model = get_model("naive_lite_hrnet_18").build()
    message = f"found an input of {width}x{height} px, expected multiples of 32"
    with pytest.raises(UsageError, match=message):
        model(torch.zeros(1, 3, height, width))


def test_an_unknown_block_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="block 'shufle': unknown, did you mean 'shuffle'"):
        build(block="shufle")


def test_every_resolution_reaches_the_heatmaps() -> None:
    model = build().eval()
    branches = [torch.randn(1, c, 16 >> i, 16 >> i) for i, c in enumerate((8, 16, 32))]
    with torch.no_grad():
        before = model.head(branches)
        assert before.shape == (1, 8, 16, 16)
        for index in range(3):
            changed = [b + (i == index) for i, b in enumerate(branches)]
            assert not torch.allclose(model.head(changed), before)


@pytest.mark.parametrize("block", ["ccw", "shuffle"])
def test_a_batch_can_be_learned(block: str) -> None:
    model = build(block=block, num_keypoints=2).train()
    x, target = torch.zeros(4, 3, 64, 64), torch.zeros(4, 2, 16, 16)
    for i in range(4):
        row, col = 2 + 3 * i, 11 - 2 * i
        x[i, :, 4 * row : 4 * row + 4, 4 * col : 4 * col + 4] = 2.0
        target[i, 0, row - 1 : row + 2, col - 1 : col + 2] = 0.5  # on the square
        target[i, 1, row, col + 1 : col + 4] = 0.5  # and beside it
        target[i, 0, row, col] = target[i, 1, row, col + 2] = 1.0
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        loss = (model(x)[0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # The all-zero answer, where such networks like to stay, costs target.square().mean().
    assert loss < 0.5 * target.square().mean()


def _with_statistics(model: nn.Module) -> nn.Module:
    """Let every normalisation take over the statistics of a batch, so that signals stay strong."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(4, 3, 64, 64))
    return model.eval()


# torch.onnx copies torch's own tree specs, which warns about torch's own code.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.:FutureWarning")
@pytest.mark.parametrize("block", ["ccw", "shuffle"])
def test_onnx_export_equals_torch(block: str, tmp_path: Path) -> None:
    model = _with_statistics(build(block=block))
    x = torch.randn(1, 3, 48, 64)
    file = tmp_path / "model.onnx"
    torch.onnx.export(
        model, (x,), str(file), dynamo=True, opset_version=18, external_data=False, verbose=False
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    assert session.get_outputs()[0].shape == [1, 5, 12, 16]
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        expected = model(x)[0].numpy()
    assert expected.std(axis=(2, 3)).min() > 0.05  # else the tolerance would hide a difference
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_bf16_autocast_trains() -> None:
    model = build().train()
    with torch.autocast("cpu", torch.bfloat16):
        (heatmaps,) = model(torch.randn(2, 3, 64, 64))
    heatmaps.float().square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
