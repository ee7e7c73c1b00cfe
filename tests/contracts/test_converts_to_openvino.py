"""Every registered network becomes OpenVINO IR in float32, and in 8 bits whatever it is made of.

Untrained networks at the smallest input, of few channels where the family has that option: what is
tested is that operators are there and numbers stay, not accuracy.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")
openvino = pytest.importorskip("openvino")
pytest.importorskip("nncf")

from torch import nn  # noqa: E402

from converters import openvino_int8  # noqa: E402
from converters.base import Converted, Options  # noqa: E402
from converters.calibration import CalibrationSet  # noqa: E402
from converters.export_graph import INPUT, OUTPUTS, export_graph  # noqa: E402
from converters.openvino_graph import Model, from_onnx, read_graph, to_bytes  # noqa: E402
from converters.openvino_layers import WEIGHTED, float_weighted  # noqa: E402
from converters.openvino_run import run_graph  # noqa: E402
from converters.torch_onnx import export  # noqa: E402
from edge_pose.preprocess import to_tensor  # noqa: E402
from edge_pose.types import FloatArray, Image  # noqa: E402
from training.checkpoint import CheckpointInfo  # noqa: E402
from training.registry import get_model, model_names  # noqa: E402

SIDE = 64  # px; the least that the deepest hourglass takes
N_CROPS = 16
# Of each family and each kind of block one; all of them take three times as long.
QUANTIZED = (
    "center_hourglass_s", "efficient_hrnet_hm4", "hourglass_168", "hourglass_168_ghost",
    "hourglass_168_resconcat_narrowres", "hourglass_168_shuffle", "hourglass_dice",
    "hourglass_lite_s", "hourglass_multidilated", "lite_hrnet_18",
)  # fmt: skip

# Networks that learnt nothing pass rounding on from layer to layer: the deepest ones fall to 0.56.
# A graph that is wrong somewhere has nothing in common with torch's.
MIN_CORRELATION = 0.5


@dataclass(frozen=True)
class Case:
    """A network with statistics of its own, and what it says of one crop."""

    model: nn.Module
    info: CheckpointInfo
    crops: Image

    def expected(self, kind: torch.dtype = torch.float32) -> list[FloatArray]:
        """In float32, or what the same network gives in another precision."""
        image = torch.from_numpy(to_tensor(self.crops[:1], self.info.input_spec)).to(kind)
        model = copy.deepcopy(self.model).to(kind)
        with torch.no_grad():
            return [y.float().numpy() for y in AsTuple(model, self.info.entry.task)(image)]

    def found(self, model: Model) -> list[FloatArray]:
        """What OpenVINO gives."""
        (outputs,) = run_graph(model, [to_tensor(self.crops[:1], self.info.input_spec)])
        return outputs

    def read(self) -> Model:
        """In float32; classifiers have no artifact and so no export graph."""
        if self.info.entry.task in OUTPUTS:
            return read_graph(export_graph(self.model, self.info))
        width, height = self.info.input_size
        module = AsTuple(self.model, self.info.entry.task)
        return from_onnx(export(module, torch.zeros(1, 3, height, width), ("classes",)))


class AsTuple(nn.Module):
    """What an artifact returns, of classifiers too."""

    def __init__(self, model: nn.Module, task: str) -> None:
        super().__init__()
        self.model, self.all = model, task == "bottom_up"

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = tuple(self.model(image))
        return outputs if self.all else outputs[-1:]


def small(name: str) -> dict[str, object]:
    """Arguments that make a network quick to convert, where its family has such."""
    if name.startswith("hourglass_") and "_lite" not in name:
        return {"inplanes": 16, "num_feats": 32, "depth": 2}
    return {}


@pytest.fixture(params=model_names())
def case(request: pytest.FixtureRequest) -> Case:
    entry = get_model(request.param)
    # Classifiers have odd sizes of their own; the rest is too costly at its own.
    size = entry.input_size if entry.task == "classifier" else (SIDE, SIDE)
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (N_CROPS, 8, 8, 3), np.uint8)
    crops = np.stack([np.kron(c, np.ones((28, 28, 1), np.uint8)) for c in crops])
    crops = crops[:, : size[1], : size[0]]
    info = CheckpointInfo(entry.name, entry.heatmap_kind, size, model_args=small(entry.name))
    torch.manual_seed(0)
    model = info.build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch has to do, or deep networks say nearly nothing
    with torch.no_grad():
        model.train()(torch.from_numpy(to_tensor(crops[:8], info.input_spec)))
    return Case(model.eval(), info, crops)


def test_it_converts(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    floating = case.read()
    assert_float32_equals_torch(case, floating.clone())
    if case.info.model in QUANTIZED:
        monkeypatch.setattr(openvino_int8, "read_graph", lambda _: floating)  # once is enough
        assert_int8_follows_torch(case)


def assert_float32_equals_torch(case: Case, floating: Model) -> None:
    model = openvino.Core().read_model(*to_bytes(floating, half=False))
    assert not model.is_dynamic()
    assert [tensor.any_name for tensor in model.inputs] == [INPUT]
    exact = case.expected(torch.float64)
    for ours, theirs, double in zip(case.expected(), case.found(model), exact, strict=True):
        # Of the largest value; where float32 is no closer to float64 itself, as close as that.
        tolerance = max(1e-4 * np.abs(ours).max(), 2 * np.abs(ours - double).max())
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=tolerance)


def assert_int8_follows_torch(case: Case) -> None:
    converted = quantize(case)
    model = openvino.Core().read_model(converted.model, converted.weights)
    layers = [layer for layer in model.get_ops() if layer.get_type_name() in WEIGHTED]
    assert len(float_weighted(model)) < 0.6 * len(layers)
    for ours, theirs in zip(case.expected(), case.found(model), strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > MIN_CORRELATION, case.info.model


def quantize(case: Case) -> Converted:
    calibration = CalibrationSet("noise", case.crops)
    return openvino_int8.convert(case.model, case.info, calibration, Options(method="minmax"))
