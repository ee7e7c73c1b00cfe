"""OpenVINO: reads its own IR and ONNX; often the quickest runtime on Intel and AMD CPUs.

It also runs on Intel's GPUs and NPUs; for its words for devices see openvino_devices.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.artifact import Artifact
from edge_pose.backends.base import CPU, BackendOptions, check_graph, closed, described
from edge_pose.backends.onnx_scan import refuse_foreign_parts
from edge_pose.backends.openvino_devices import check_running, members, present, properties
from edge_pose.errors import BackendError
from edge_pose.manifest import InputTensor, Manifest
from edge_pose.types import FloatArray

# Merely importing openvino reports to its maker's analytics, without asking. Without this package,
# which it can do without, it does not. Nothing that watches people may call home.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

FORMATS = ("onnx", "openvino")
MISSING_OPERATOR = re.compile(
    r"Cannot create (\w+) layer"
    r"|doesn't contain the operation with type: (\w+)"
    r"|No conversion rule found for operations: (\S+)"
)
SHORT_WEIGHTS = "Incorrect weights in bin file"
# Lines of OpenVINO's messages that say where in its source something happened, not what.
PLACES = (
    "Exception from ", "Check '", "FrontEnd API failed", "Model wasn't fully converted",
    "-- ", "While validating ",
)  # fmt: skip


def load(artifact: Artifact, options: BackendOptions) -> OpenVinoBackend:
    """Compile an artifact for a device.

    Raises:
        UsageError: OpenVINO knows no such device.
        ArtifactError: an ONNX file points to other files.
        BackendError: openvino is missing, the artifact is of another format, or it is refused.
    """
    manifest, where = artifact.manifest, str(artifact.folder)
    if manifest.file.format not in FORMATS:
        expected = " or ".join(FORMATS)
        raise BackendError(f"{where}: format {manifest.file.format}, expected {expected}")
    members(options.device)
    version = import_openvino().__version__.split("-")[0]
    core = shared_core()
    try:
        model = _read(core, artifact)
    except (RuntimeError, TypeError) as error:
        raise BackendError(f"{where}: {one_line(error, version)}") from None
    _check(model, manifest, where)
    compiled, device = _compile(core, model, options, where, version)
    return OpenVinoBackend(compiled, device, version, manifest.input)


def import_openvino() -> Any:  # noqa: ANN401 - the package has no types that mypy reads
    """Return the package openvino.

    Raises:
        BackendError: it is not installed.
    """
    try:
        import openvino
    except ImportError:
        message = "openvino: not installed, pip install 'edge-pose[openvino]'"
        raise BackendError(message) from None
    return openvino


@cache
def shared_core() -> Any:  # noqa: ANN401
    """Return the one Core of this process.

    A Core sets a stack for signals and, when it goes, puts back the one that it found. Two that go
    in the order in which they came leave a freed one behind, and the next Ctrl-C is a crash.

    Raises:
        BackendError: openvino is not installed.
    """
    return import_openvino().Core()


def _read(core: Any, artifact: Artifact) -> Any:  # noqa: ANN401 - openvino's own types
    """Parse the model; nothing but the bytes that were hashed is looked at."""
    file = artifact.manifest.file
    where = str(artifact.folder / file.name)
    if file.format == "onnx":
        refuse_foreign_parts(artifact.model, where)
        return core.read_model(io.BytesIO(artifact.model))
    if not artifact.model.lstrip().startswith(b"<"):  # it would try its other readers
        raise BackendError(f"{where}: OpenVINO refuses it: no XML")
    return core.read_model(artifact.model, artifact.weights or b"")


def _check(model: Any, manifest: Manifest, where: str) -> None:  # noqa: ANN401
    """Compare the graph with the manifest.

    Raises:
        BackendError: they differ, or the manifest wants what this backend does not do.
    """
    for output in manifest.outputs:
        if output.dtype != "float32" or output.layout == "nhwk":
            raise BackendError(
                f"{where}: output '{output.name}' is {output.dtype} {output.layout}, OpenVINO's"
                " have to be float32 nkhw or nkc"
            )
    if model.is_dynamic():
        raise BackendError(f"{where}: the graph has shapes that are not fixed")
    check_graph(manifest, _described(model.inputs), _described(model.outputs), where)


def _described(ports: Iterable[Any]) -> list[str]:
    """Return OpenVINO's tensors in the words of `described`."""
    return [
        described(port.any_name, list(port.shape), port.element_type.to_dtype().name)
        for port in ports
    ]


def _compile(
    core: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    options: BackendOptions,
    where: str,
    version: str,
) -> tuple[Any, str]:
    """Return the compiled model and the device that it runs on."""
    available = core.available_devices
    cache = options.cache_folder()
    device = present(options.device, options, available)
    while True:
        try:
            settings = properties(device, options.threads, available)
            if cache is not None:
                settings["CACHE_DIR"] = str(cache)
            compiled = core.compile_model(model, device, settings)
        except (RuntimeError, TypeError) as error:
            if device == CPU:
                raise BackendError(f"{where}: {one_line(error, version)}") from None
            # It is there, but its driver or this model is not up to it.
            device = options.cpu_instead("openvino", one_line(error, version))
        else:
            running = [name.strip("()") for name in compiled.get_property("EXECUTION_DEVICES")]
            check_running(device, running, options)
            return compiled, ", ".join(running)


def one_line(error: Exception, version: str) -> str:
    """Return what an exception of OpenVINO says in many lines."""
    text = str(error).strip()
    if missing := MISSING_OPERATOR.search(text):
        operator = next(name for name in missing.groups() if name)
        return f"OpenVINO {version} lacks the operator {operator}"
    if SHORT_WEIGHTS in text:
        return "OpenVINO refuses it: weights are missing, the file for them is too short"
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if line and not line.startswith(PLACES)]
    said = telling[0] if telling else (lines[-1] or type(error).__name__)
    return f"OpenVINO refuses it: {said}"


class OpenVinoBackend:
    """See edge_pose.backends.base.Backend."""

    name = "openvino"

    def __init__(self, compiled: Any, device: str, version: str, declared: InputTensor) -> None:  # noqa: ANN401
        self.version = version
        self.device = device
        self._request = compiled.create_infer_request()
        self._shape = tuple(compiled.inputs[0].shape)
        self._dtype = np.dtype(compiled.inputs[0].element_type.to_dtype())
        self._count = len(compiled.outputs)
        self._table = signed_pixels(declared) if self._dtype == np.int8 else None

    def run(self, tensor: NDArray[np.float32] | NDArray[np.uint8]) -> list[FloatArray]:
        """Run one batch; see Backend.run."""
        if self._request is None:
            raise closed(self.name)
        given: NDArray[Any] = tensor
        if self._table is not None and tensor.dtype == np.uint8:
            given = self._table[tensor]
        # OpenVINO would convert or reshape what does not fit, silently.
        if given.shape != self._shape or given.dtype != self._dtype:
            raise BackendError(
                f"openvino: input {tensor.shape} refused, it is {tensor.dtype}, expected"
                f" {self._shape} {self._dtype}"
            )
        try:
            # The input is only lent, so it is not copied; the outputs are, they are the caller's.
            self._request.infer([given], share_inputs=True)
            outputs = [self._request.get_output_tensor(i).data for i in range(self._count)]
        except RuntimeError as error:
            reason = one_line(error, self.version)
            raise BackendError(f"openvino: input {tensor.shape} refused: {reason}") from None
        return [np.array(output, np.float32) for output in outputs]

    def close(self) -> None:
        """Release the compiled model."""
        self._request = None


def signed_pixels(declared: InputTensor) -> NDArray[np.int8]:
    """Return what an int8 input stores for each pixel value, (256,).

    Raises:
        BackendError: the manifest does not say what they mean, or not the same for all channels.
    """
    stored, mean, std = declared.quantization, set(declared.mean), set(declared.std)
    if stored is None or len(mean) != 1 or len(std) != 1:
        raise BackendError(
            f"openvino: input '{declared.name}' is int8, its quantization, mean and std have to be"
            " the same for all channels"
        )
    values = (np.arange(256) - mean.pop()) / std.pop() / stored.scale
    return np.asarray((np.rint(values) + stored.zero_point).clip(-128, 127), np.int8)
