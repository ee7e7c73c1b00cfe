from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from converters.onnx_ranges import METHODS, Range, collect_ranges
from edge_pose.errors import UsageError

KIND = onnx.TensorProto.FLOAT
SIDE = 100


def ranges(pictures: list[NDArray[np.float32]], method: str) -> dict[str, Range]:
    """Of x, Relu(x) and what comes out."""
    ends = [helper.make_tensor_value_info(name, KIND, [SIDE, SIDE]) for name in ("x", "z")]
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Neg", ["y"], ["z"])]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)

    def feeds() -> Iterator[dict[str, NDArray[np.float32]]]:
        return ({"x": picture} for picture in pictures)

    return collect_ranges(model, feeds, method)


def noise(count: int) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return list(rng.standard_normal((count, SIDE, SIDE)).astype(np.float32))


def test_min_max_takes_all() -> None:
    pictures = noise(3)
    found = ranges(pictures, "MinMax")
    low, high = float(np.min(pictures)), float(np.max(pictures))
    assert found == {"x": (low, high), "y": (0.0, high), "z": (-high, -0.0)}


@pytest.mark.parametrize("method", METHODS[1:])
def test_others_leave_one_outlier_out_and_little_else(method: str) -> None:
    pictures = noise(12)
    pictures[7][3, 4] = 80.0
    found = ranges(pictures, method)
    for name, side in (("x", 1), ("y", 1), ("z", 0)):
        assert 2.5 < abs(found[name][side]) < 40
    assert found["y"][0] == found["z"][1] == 0  # where nothing was, nothing is added
    assert found["x"][0] == -found["x"][1] or found["x"][0] == float(np.min(pictures))


@pytest.mark.parametrize("method", METHODS)
def test_order_and_scale_of_the_pictures_do_not_matter(method: str) -> None:
    """A histogram that grows from the first picture on would need 10**30 bins here."""
    pictures = [np.float32(1e-30) * noise(1)[0], np.zeros((SIDE, SIDE), np.float32), *noise(2)]
    assert ranges(pictures, method) == ranges(pictures[::-1], method)


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_that_is_always_zero_has_no_range(method: str) -> None:
    found = ranges([-np.abs(picture) for picture in noise(2)], method)
    assert found["y"] == found["z"] == (0.0, 0.0)
    assert found["x"][1] <= 0


def test_an_unknown_method_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="calibration method 'median': expected one of MinMax"):
        ranges(noise(1), "median")
