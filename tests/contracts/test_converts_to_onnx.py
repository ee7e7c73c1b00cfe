"""Every registered network becomes ONNX in float32, and in 8 bits whatever its family.

Untrained networks at the smallest input, of few channels where the family has that option: what is
tested is that operators are there and numbers stay, not accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from converters import onnx_int8, torch_onnx
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.export_graph import OUTPUTS, Prediction
from converters.graph import write_graph
from edge_pose.preprocess import to_tensor
from edge_pose.types import FloatArray, Image
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.registry import get_model, model_names

SIDE = 64  # px; the least that the deepest hourglass takes
N_CROPS = 16
# Between both outputs. Deep untrained networks have next to no signal to lose, some of them a third
# of it; trained ones stay above 0.99, and a wrong scale leaves nothing.
FOLLOWS = 0.5
NAMES = tuple(name for name in model_names() if get_model(name).task in OUTPUTS)
CLASSIFIERS = tuple(name for name in model_names() if name not in NAMES)
# What neither OpenVINO nor a TFLite converter has to be asked twice about. Additions are welcome
# when both are known to run them with static shapes.
OPERATORS = {
    "Add", "AveragePool", "BatchNormalization", "Concat", "Conv", "ConvTranspose", "Div",
    "Flatten", "Gather", "Gemm", "GlobalAveragePool", "HardSwish", "Identity", "MatMul", "MaxPool",
    "Mul",
    "PRelu", "Pad", "ReduceMean", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Split", "Sub",
    "Transpose", "Constant", "Clip",
}  # fmt: skip
# The largest ones, each with a smaller one of the same operators beside it.
SLOW = {"lite_hrnet_30", *(f"efficient_hrnet_{size}" for size in ("h0", "hm1", "hm2", "hm3"))}


@dataclass(frozen=True)
class Case:
    model: nn.Module
    info: CheckpointInfo
    crops: Image

    def expected(self) -> list[FloatArray]:
        """What torch says of the first crop."""
        image = torch.from_numpy(to_tensor(self.crops[:1], self.info.input_spec))
        with torch.no_grad():
            return [y.numpy() for y in Prediction(self.model, self.info.entry.task)(image)]

    def found(self, converted: Converted) -> list[FloatArray]:
        """What the file says of it."""
        session = onnxruntime.InferenceSession(converted.model, providers=["CPUExecutionProvider"])
        tensor = to_tensor(self.crops[:1], converted.graph.input.spec)
        return session.run(list(converted.graph.names), {"image": tensor})


def small(name: str) -> dict[str, object]:
    """Arguments that make a network quick to convert, where its family has such."""
    if not name.startswith("hourglass_") or "_lite" in name:
        return {}
    return {"inplanes": 16, "num_feats": 32, "depth": 1, "stacks": 2}


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NAMES],
)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    """A network, and its export done once: both precisions begin with it."""
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (N_CROPS, 8, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    info = CheckpointInfo(request.param, "logits", (SIDE, SIDE), model_args=small(request.param))
    torch.manual_seed(0)
    model = info.build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch has to do, or deep networks say nearly nothing
    with torch.no_grad():
        model.train()(torch.from_numpy(to_tensor(crops, info.input_spec)))
    with pytest.MonkeyPatch.context() as patch:
        exported: list[onnx.ModelProto] = []
        export = torch_onnx.export

        def once(module: nn.Module, example: Tensor, names: Sequence[str]) -> onnx.ModelProto:
            if not exported:
                exported.append(export(module, example, names))
            return exported[0]

        patch.setattr(torch_onnx, "export", once)
        yield Case(model.eval(), info, crops)


def check_graph(graph: onnx.GraphProto) -> None:
    """Static shapes, and no operator that another runtime may lack."""
    used = {node.op_type for node in graph.node}
    assert used <= OPERATORS, sorted(used - OPERATORS)
    for value in (*graph.input, *graph.value_info, *graph.output):
        assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim), value.name


def test_float32_equals_torch(case: Case) -> None:
    converted = torch_onnx.convert(case.model, case.info, None, Options())
    check_graph(onnx.load_from_string(converted.model).graph)
    for ours, theirs in zip(case.expected(), case.found(converted), strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4 * np.abs(ours).max())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_graph_of_a_classifier_equals_torch(name: str, tmp_path: Path) -> None:
    entry = get_model(name)
    torch.manual_seed(0)
    model = entry.build().eval()
    checkpoint = tmp_path / "x.safetensors"
    save_checkpoint(
        checkpoint, model.state_dict(), CheckpointInfo(name, "logits", entry.input_size)
    )
    graph = write_graph(checkpoint, tmp_path / "x.onnx")  # which compares it with torch
    assert graph.outputs == {"classifier_0": (1, 1000)}
    assert graph.difference < 1e-4
    check_graph(onnx.load(str(graph.file)).graph)


def test_int8_follows_torch(case: Case) -> None:
    calibration = CalibrationSet("noise", case.crops)
    converted = onnx_int8.convert(case.model, case.info, calibration, Options())
    for ours, theirs in zip(case.expected(), case.found(converted), strict=True):
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > FOLLOWS
