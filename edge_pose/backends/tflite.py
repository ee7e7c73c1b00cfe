"""LiteRT, the runtime of TFLite files: quick at int8 on small arm boards.

`ai-edge-litert` is its package; `tflite_runtime`, its predecessor with the same interface, is used
where only that exists (32-bit Raspberry Pi OS).

Devices: CPU, EDGETPU. LiteRT's Python interface has no switch for a cache of prepared weights, so a
compile cache is of no use here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.artifact import Artifact
from edge_pose.backends import edgetpu
from edge_pose.backends.base import CPU, BackendOptions, check_graph, closed, described
from edge_pose.errors import BackendError
from edge_pose.lookup import lookup
from edge_pose.manifest import InputTensor, Manifest
from edge_pose.types import FloatArray

PACKAGES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}


DEVICES = {CPU: "XNNPACK's kernels", edgetpu.DEVICE: "the Edge TPU's delegate"}
"""What runs a graph."""


def load(artifact: Artifact, options: BackendOptions) -> TfliteBackend:
    """Load a TFLite artifact.

    Raises:
        UsageError: LiteRT knows no such device.
        BackendError: LiteRT is missing, the artifact is of another format, or it is refused.
    """
    manifest, where = artifact.manifest, str(artifact.folder)
    if manifest.file.format != "tflite":
        raise BackendError(f"{where}: format {manifest.file.format}, expected tflite")
    lookup(DEVICES, options.device, "device of tflite")
    interpreter, _ = _runtime()
    device, delegates = edgetpu.delegates(interpreter, artifact.model, options, where)
    graph = open_graph(artifact.model, options.threads, where, delegates)
    declared = [output.name for output in manifest.outputs]
    ordered = sorted(  # those of which the manifest says nothing are last
        graph.outputs, key=lambda t: declared.index(t.name) if t.name in declared else len(declared)
    )
    inputs, outputs = ([t.described for t in tensors] for tensors in (graph.inputs, ordered))
    check_graph(manifest, inputs, outputs, where)
    return TfliteBackend(graph, manifest, where, device)


class TfliteBackend:
    """See edge_pose.backends.base.Backend.

    Quantised tensors are converted by the file's own scale and zero point: pixels through a table
    that holds the normalisation, too, and outputs back to float32. Outputs come in the manifest's
    order: compilers may change the file's.
    """

    name = "tflite"

    def __init__(self, graph: Graph, manifest: Manifest, where: str, device: str) -> None:
        self.version = graph.version
        self.device = device
        self._graph = graph
        self._table = pixel_table(manifest.input, graph.inputs[0], where)
        self._channel_axis = 1 if manifest.input.layout == "nchw" else 3
        names = [output.name for output in graph.outputs]
        self._order = [names.index(output.name) for output in manifest.outputs]
        self._last = [output.layout == "nhwk" for output in manifest.outputs]
        self._parts = [len(parts) for parts in manifest.maps]

    def run(self, tensor: NDArray[np.float32] | NDArray[np.uint8]) -> list[FloatArray]:
        """Run one batch; see Backend.run."""
        given: NDArray[Any] = tensor
        fits = tensor.shape == self._graph.inputs[0].shape  # the graph refuses what does not
        if self._table is not None and fits and tensor.dtype == np.uint8:
            planes = np.moveaxis(tensor, self._channel_axis, 0)
            stored = [table[plane] for table, plane in zip(self._table, planes, strict=False)]
            given = np.stack(stored, axis=self._channel_axis)
        arrays = self._graph.run(given)
        found = (
            _real(arrays[index], self._graph.outputs[index], channels_last=last)
            for index, last in zip(self._order, self._last, strict=True)
        )
        return [_joined(list(islice(found, count))) for count in self._parts]

    def close(self) -> None:
        """Release the interpreter."""
        self._graph.close()


@dataclass(frozen=True, slots=True)
class GraphTensor:
    """An input or output of a graph: real = (stored - zero_point) * scale.

    Attributes:
        index: the interpreter's number.
        name: the graph's name.
        shape: fixed.
        dtype: as stored.
        scale: 0 where the tensor is not quantised.
        zero_point: 0 where the tensor is not quantised.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    @property
    def described(self) -> str:
        """Name, shape and dtype, to compare and to show."""
        return described(self.name, self.shape, self.dtype.name)


class Graph:
    """A TFLite file in an interpreter; it takes and returns what is stored in the tensors.

    Attributes:
        version: version of the runtime.
        inputs: in the file's order.
        outputs: in the file's order.
    """

    def __init__(self, interpreter: Any, version: str) -> None:  # noqa: ANN401
        self.version = version
        self.inputs = tuple(_tensor(detail) for detail in interpreter.get_input_details())
        self.outputs = tuple(_tensor(detail) for detail in interpreter.get_output_details())
        self._interpreter = interpreter

    def run(self, tensor: NDArray[Any]) -> list[NDArray[Any]]:
        """Run the first input's tensor.

        Raises:
            BackendError: it does not have the graph's shape or dtype.
        """
        if self._interpreter is None:
            raise closed("tflite")
        expected = self.inputs[0]
        if tensor.shape != expected.shape or tensor.dtype != expected.dtype:
            raise BackendError(
                f"tflite: input {tensor.shape} refused: found {tensor.dtype}, expected"
                f" {expected.shape} {expected.dtype}"
            )
        try:
            self._interpreter.set_tensor(expected.index, tensor)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(output.index) for output in self.outputs]
        except (ValueError, RuntimeError) as error:
            raise BackendError(f"tflite: the graph fails: {_line(error)}") from None

    def close(self) -> None:
        """Release the interpreter."""
        self._interpreter = None


def open_graph(model: bytes, threads: int, where: str, delegates: Sequence[Any] = ()) -> Graph:
    """Load a TFLite file; `where` names it in errors.

    Raises:
        BackendError: LiteRT is missing or refuses the file.
    """
    module, found = _runtime()
    try:
        interpreter = module.Interpreter(
            model_content=model, num_threads=threads, experimental_delegates=list(delegates)
        )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise BackendError(f"{where}: LiteRT refuses it: {_line(error)}") from None
    return Graph(interpreter, found)


def pixel_table(declared: InputTensor, stored: GraphTensor, where: str) -> NDArray[Any] | None:
    """Return what is stored for each pixel value, (3, 256); None where pixels go in as they are.

    Raises:
        BackendError: the tensor holds int8 and its file does not say what they mean.
    """
    if stored.dtype == np.float32 or (stored.dtype == np.uint8 and not stored.scale):
        return None
    if not stored.scale:
        raise BackendError(f"{where}: input '{stored.name}' is {stored.dtype} without a scale")
    pixels = np.arange(256)
    mean, std = np.array(declared.mean)[:, None], np.array(declared.std)[:, None]
    values = np.rint((pixels - mean) / std / stored.scale) + stored.zero_point
    limits = np.iinfo(stored.dtype)
    table = values.clip(limits.min, limits.max).astype(stored.dtype)
    return None if table.dtype == np.uint8 and (table == pixels).all() else table


def _runtime() -> tuple[Any, str]:
    for package, module in PACKAGES.items():
        try:
            return import_module(f"{module}.interpreter"), version(package)
        except ImportError:
            continue
    raise BackendError("tflite: not installed, pip install 'edge-pose[tflite]'")


def _tensor(detail: dict[str, Any]) -> GraphTensor:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(side) for side in detail["shape"])
    dtype = np.dtype(detail["dtype"])
    return GraphTensor(detail["index"], detail["name"], shape, dtype, scale, zero_point)


def _real(stored: NDArray[Any], tensor: GraphTensor, *, channels_last: bool) -> FloatArray:
    real = stored.astype(np.float32)
    if tensor.scale:
        real = (real - np.float32(tensor.zero_point)) * np.float32(tensor.scale)
    return np.ascontiguousarray(real.transpose(0, 3, 1, 2)) if channels_last else real


def _joined(parts: list[FloatArray]) -> FloatArray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
