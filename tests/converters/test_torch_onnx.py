from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from converters import torch_onnx
from converters.base import Converted, Options
from edge_pose.errors import EdgePoseError
from training.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def converted(checkpoint: Path) -> Converted:
    return torch_onnx.convert(*load_checkpoint(checkpoint), None, Options())


def test_heatmaps_of_the_last_stage_equal_torch(checkpoint: Path, converted: Converted) -> None:
    model, _ = load_checkpoint(checkpoint)
    session = onnxruntime.InferenceSession(converted.model)
    image = np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(image))[-1].numpy()
    (found,) = session.run(["heatmaps"], {"image": image})
    assert np.abs(expected).max() > 1.0
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_graph_is_static_at_the_wanted_opset_with_folded_normalisation(
    converted: Converted,
) -> None:
    graph = onnx.load_from_string(converted.model)
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", torch_onnx.OPSET)]
    (image,) = graph.graph.input
    assert [d.dim_value for d in image.type.tensor_type.shape.dim] == [1, 3, 64, 64]
    assert [output.shape for output in converted.graph.outputs] == [(1, 16, 16, 16)]
    assert {node.op_type for node in graph.graph.node} == {"Conv", "Clip"}


def test_graph_carries_no_trace_of_the_machine(converted: Converted) -> None:
    graph = onnx.load_from_string(converted.model)
    for tensor in graph.graph.initializer:
        tensor.ClearField("raw_data")  # weights may look like anything
    left = graph.SerializeToString()
    for trace in (b"/", b".py", b"stack_trace", b"TinyNetwork", b"body.0"):
        assert trace not in left
    assert not graph.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in graph.graph.node)


def test_same_bytes_again_in_silence(
    checkpoint: Path, converted: Converted, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        torch_onnx.convert(*load_checkpoint(checkpoint), None, Options()).model == converted.model
    )
    assert capfd.readouterr() == ("", "")
    assert not logging.root.manager.disable  # and logging works again


class Undecided(nn.Module):
    """Its shape depends on what it sees."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x[x > x.mean()].reshape(1, 1, 1, -1)] if x.sum() > 0 else [x]


def test_network_that_onnx_cannot_express_is_one_line() -> None:
    with pytest.raises(EdgePoseError, match="torch to ONNX: cannot export") as caught:
        torch_onnx.export(Undecided(), torch.zeros(1, 3, 64, 64), ("heatmaps",))
    assert "\n" not in str(caught.value)


def test_anonymous_follows_every_name() -> None:
    helper = onnx.helper
    info = helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("Split", ["image"], ["a.secret", "b.secret"], num_outputs=2, axis=1),
            helper.make_node("Clip", ["b.secret", "", "top.secret"], ["c.secret"]),
            helper.make_node("Sub", ["a.secret", "c.secret"], ["heatmaps"]),
        ],
        "secret",
        [info("image", kind, [1, 4])],
        [info("heatmaps", kind, [1, 2])],
        [onnx.numpy_helper.from_array(np.float32(3), "top.secret")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    clean = torch_onnx.anonymous(model)
    assert b"secret" not in clean.SerializeToString()
    session = onnxruntime.InferenceSession(clean.SerializeToString())
    (found,) = session.run(None, {"image": np.array([[1, 2, 5, 2]], np.float32)})
    assert found.tolist() == [[-2.0, 0.0]]
