"""OpenVINO's intermediate representation: from the common graph to the bytes of .xml and .bin."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import onnx

from converters import torch_onnx
from converters.base import Converted
from converters.export_graph import ExportGraph
from converters.failure import reason
from converters.quiet import quiet
from edge_pose.backends.openvino import import_openvino, one_line
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Precision

FILE_NAME, WEIGHTS_NAME = "model.xml", "model.bin"
TOOLS = ("torch", "onnx", "onnxscript", "openvino")

Model = Any
"""openvino.Model; the package has no types that mypy reads."""


def read_graph(graph: ExportGraph) -> Model:
    """Return the float graph as OpenVINO has it.

    Raises:
        EdgePoseError: openvino is missing, or the network cannot be expressed.
    """
    return from_onnx(torch_onnx.export(graph.module, graph.example, graph.names))


def from_onnx(proto: onnx.ModelProto) -> Model:
    """Return an ONNX graph as OpenVINO has it, with fixed shapes and names that do not vary.

    Raises:
        EdgePoseError: openvino is missing, or lacks an operator.
    """
    ov = import_openvino()
    try:
        with quiet():
            # Unlike `read_model` it folds biases into constants, where quantizers look for them.
            model = ov.convert_model(io.BytesIO(proto.SerializeToString(deterministic=True)))
    except Exception as error:  # noqa: BLE001 - its exceptions share no base class
        said = one_line(error, ov.__version__.split("-")[0])
        raise EdgePoseError(f"ONNX to OpenVINO: {said}") from None
    name_layers(model, kept=frozenset())
    return model


def name_layers(model: Model, kept: frozenset[str]) -> None:
    """Rename what got its name from a counter: the same graph shall have the same names.

    Layers are numbered by type, in the order in which they run. Inputs and outputs keep the names
    of their tensors; tensors within lose theirs, nobody asks for them.

    Args:
        model: changed in place.
        kept: names that stay, of a graph that was renamed before something was put into it.
    """
    ends = {result.input_value(0).get_node().get_friendly_name() for result in model.results}
    counts: dict[str, int] = {}
    for layer in model.get_ordered_ops():
        kind, old = layer.get_type_name(), layer.get_friendly_name()
        if kind in ("Parameter", "Result"):
            continue
        number = counts[kind] = counts.get(kind, -1) + 1
        if old not in kept:
            layer.set_friendly_name(f"{kind}_{number}" if not kept else f"{kind}_q{number}")
        if old not in ends:
            for output in layer.outputs():
                output.set_names(set())


def layer_names(model: Model) -> frozenset[str]:
    """Return the names of all layers."""
    return frozenset(layer.get_friendly_name() for layer in model.get_ops())


def to_bytes(model: Model, *, half: bool) -> tuple[bytes, bytes]:
    """Return the content of the .xml and .bin files.

    Args:
        model: it loses its notes on how and from where it was made.
        half: store weights in 16 bits; each device chooses what it computes in.

    Raises:
        EdgePoseError: there is no room for temporary files.
    """
    for key in list(model.rt_info):
        del model.rt_info[key]
    with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder:
        file = Path(folder, FILE_NAME)
        try:
            import_openvino().save_model(model, file, compress_to_fp16=half)
        except RuntimeError as error:  # of a full disk it says only that a stream failed
            where = tempfile.gettempdir()
            message = f"OpenVINO IR: cannot be written to {where}, is it full? {reason(error)}"
            raise EdgePoseError(message) from None
        return file.read_bytes(), Path(folder, WEIGHTS_NAME).read_bytes()


def converted(graph: ExportGraph, model: Model, precision: Precision) -> Converted:
    """Return what a converter hands over; calibrated ones add how they calibrated."""
    xml, weights = to_bytes(model, half=precision == "fp16")
    return Converted(
        model=xml,
        file_name=FILE_NAME,
        format="openvino",
        precision=precision,
        backend="openvino",
        graph=graph,
        weights=weights,
        weights_name=WEIGHTS_NAME,
        tools=torch_onnx.versions(TOOLS),
    )
