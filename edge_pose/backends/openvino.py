"""OpenVINO: reads ONNX artifacts, too, and is often the quickest runtime on Intel and AMD CPUs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.artifact import Artifact
from edge_pose.backends.base import BackendOptions
from edge_pose.errors import BackendError
from edge_pose.types import FloatArray

FORMATS = ("onnx",)


def load(artifact: Artifact, options: BackendOptions) -> OpenVinoBackend:
    """Compile an artifact for the CPU.

    Raises:
        BackendError: openvino is missing, the artifact is of another format, or it is refused.
    """
    manifest = artifact.manifest
    if manifest.file.format not in FORMATS:
        expected = " or ".join(FORMATS)
        raise BackendError(f"{artifact.folder}: format {manifest.file.format}, expected {expected}")
    try:
        import openvino as ov
    except ImportError:
        message = "openvino: not installed, pip install 'edge-pose[openvino]'"
        raise BackendError(message) from None
    properties = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": options.threads,
        "NUM_STREAMS": 1,
        # Left alone it computes in bfloat16 where the CPU can, and keypoints drift.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = ov.Core()
        compiled = core.compile_model(
            core.read_model(io.BytesIO(artifact.model)), "CPU", properties
        )
    except Exception as error:  # noqa: BLE001 - the runtime's own exceptions share no base class
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise BackendError(f"{artifact.folder}: OpenVINO refuses it: {reason}") from None
    inputs = [tensor.any_name for tensor in compiled.inputs]
    outputs = [tensor.any_name for tensor in compiled.outputs]
    expected_outputs = [output.name for output in manifest.outputs]
    if inputs != [manifest.input.name] or outputs != expected_outputs:
        raise BackendError(
            f"{artifact.folder}: the graph has inputs {inputs} and outputs {outputs}, the manifest"
            f" says {[manifest.input.name]} and {expected_outputs}"
        )
    return OpenVinoBackend(compiled, ov.__version__.split("-")[0])


class OpenVinoBackend:
    """See edge_pose.backends.base.Backend."""

    name = "openvino"
    device = "CPU"

    def __init__(self, compiled: Any, version: str) -> None:  # noqa: ANN401 - openvino's own type
        self.version = version
        self._request = compiled.create_infer_request()
        self._shape = tuple(compiled.inputs[0].shape)
        self._count = len(compiled.outputs)

    def run(self, tensor: NDArray[np.float32] | NDArray[np.uint8]) -> list[FloatArray]:
        """Run one batch; see Backend.run."""
        # OpenVINO would convert or reshape what does not fit, silently.
        if tensor.shape != self._shape:
            message = f"openvino: input {tensor.shape} refused, expected {self._shape}"
            raise BackendError(message)
        try:
            self._request.infer([tensor], share_inputs=True)
            outputs = [self._request.get_output_tensor(i).data for i in range(self._count)]
        except Exception as error:  # noqa: BLE001 - as above
            reason = str(error).strip().splitlines()[0]
            raise BackendError(f"openvino: input {tensor.shape} refused: {reason}") from None
        return [np.array(output, np.float32) for output in outputs]

    def close(self) -> None:
        """Release the compiled model."""
        self._request = None
