"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.artifact import Artifact
from edge_pose.backends.base import BackendOptions
from edge_pose.errors import BackendError
from edge_pose.types import FloatArray

FATAL_ONLY = 4


def load(artifact: Artifact, options: BackendOptions) -> OnnxRuntimeBackend:
    """Load an ONNX artifact.

    Raises:
        BackendError: onnxruntime is missing, the artifact is of another format, or it is refused.
    """
    manifest = artifact.manifest
    if manifest.file.format != "onnx":
        raise BackendError(f"{artifact.folder}: format {manifest.file.format}, expected onnx")
    try:
        import onnxruntime as ort
    except ImportError:
        raise BackendError("onnxruntime: not installed, pip install 'edge-pose[onnx]'") from None
    session_options = ort.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session_options.inter_op_num_threads = 1
    session_options.log_severity_level = FATAL_ONLY
    # A spinning thread pool would take the cores that capture and publishing need.
    session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(artifact.model, session_options, ["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - the runtime's own exceptions share no base class
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BackendError(f"{artifact.folder}: ONNX Runtime refuses it: {reason}") from None
    backend = OnnxRuntimeBackend(session, manifest.input.name, ort.__version__)
    backend.check_names([output.name for output in manifest.outputs], str(artifact.folder))
    return backend


class OnnxRuntimeBackend:
    """See edge_pose.backends.base.Backend."""

    name = "onnxruntime"
    device = "CPU"

    def __init__(self, session: Any, input_name: str, version: str) -> None:  # noqa: ANN401
        self.version = version
        self._session = session
        self._input = input_name
        self._outputs = [output.name for output in session.get_outputs()]

    def check_names(self, outputs: list[str], where: str) -> None:
        """Compare the graph's tensor names with the manifest's.

        Raises:
            BackendError: they differ.
        """
        inputs = [tensor.name for tensor in self._session.get_inputs()]
        if inputs != [self._input] or self._outputs != outputs:
            raise BackendError(
                f"{where}: the graph has inputs {inputs} and outputs {self._outputs}, the"
                f" manifest says {[self._input]} and {outputs}"
            )

    def run(self, tensor: NDArray[np.float32] | NDArray[np.uint8]) -> list[FloatArray]:
        """Run one batch; see Backend.run."""
        try:
            result: list[FloatArray] = self._session.run(self._outputs, {self._input: tensor})
        except Exception as error:  # noqa: BLE001 - as above
            reason = str(error).splitlines()[0]
            raise BackendError(f"onnxruntime: input {tensor.shape} refused: {reason}") from None
        return result

    def close(self) -> None:
        """Release the session."""
        self._session = None
