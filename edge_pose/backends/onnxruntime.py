"""ONNX Runtime: on the CPU, or on NVIDIA GPUs through CUDA or TensorRT.

Devices: CPU, CUDA, TENSORRT. PyPI's `onnxruntime` has the CPU alone; `onnxruntime-gpu` or, on a
Jetson, the vendor's wheel have the others. TensorRT compiles the graph for the GPU in front of it,
which takes minutes; with a cache folder only once.

The cache holds TensorRT's engines only. On the CPU the optimised graph could be kept, too: it is
bound to one processor, and saves some 40 ms of a start at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.artifact import Artifact
from edge_pose.backends.base import CPU, BackendOptions, check_graph, closed, described
from edge_pose.backends.onnx_scan import refuse_foreign_parts
from edge_pose.errors import BackendError
from edge_pose.lookup import lookup
from edge_pose.types import FloatArray

FATAL_ONLY = 4
DEVICES = {
    CPU: "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "TENSORRT": "TensorrtExecutionProvider",
}
"""What ONNX Runtime calls them."""
DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}

# How ONNX Runtime says that an operator is missing: unknown to it, of no registered domain, or
# known but not for these types.
MISSING_OPERATOR = re.compile(
    r"No Op registered for (\S+)"
    r"|Fatal error: (\S+?)\(-?\d+\) is not a registered function"
    r"|Could not find an implementation for (\w+)"
)
Providers = list[tuple[str, dict[str, str]]]


def load(artifact: Artifact, options: BackendOptions) -> OnnxRuntimeBackend:
    """Load an ONNX artifact.

    Raises:
        UsageError: ONNX Runtime knows no such device.
        ArtifactError: the file is damaged, or points to others.
        BackendError: onnxruntime is missing, the artifact is of another format, or it is refused.
    """
    manifest = artifact.manifest
    if manifest.file.format != "onnx":
        raise BackendError(f"{artifact.folder}: format {manifest.file.format}, expected onnx")
    lookup(DEVICES, options.device, "device of onnxruntime")
    refuse_foreign_parts(artifact.model, str(artifact.folder / manifest.file.name))
    try:
        import onnxruntime as ort
    except ImportError:
        raise BackendError("onnxruntime: not installed, pip install 'edge-pose[onnx]'") from None
    device = _available(ort, options)
    session = _session(ort, artifact, options, device)
    running = session.get_providers()
    if DEVICES[device] not in running:  # built in, but it did not start: ONNX Runtime goes on
        reason = f"{DEVICES[device]} did not start, are its libraries and a GPU there?"
        device = options.cpu_instead("onnxruntime", reason)
    inputs, outputs = map(_described, (session.get_inputs(), session.get_outputs()))
    check_graph(manifest, inputs, outputs, artifact.folder)
    return OnnxRuntimeBackend(session, manifest.input.name, ort.__version__, device)


def _available(ort: Any, options: BackendOptions) -> str:  # noqa: ANN401 - the imported package
    """Return the device that is asked for, or the CPU where this build lacks it."""
    built_in = ort.get_available_providers()
    if DEVICES[options.device] in built_in:
        return options.device
    reason = f"this build of ONNX Runtime has only {', '.join(built_in)}"
    return options.cpu_instead("onnxruntime", reason)


def _session(ort: Any, artifact: Artifact, options: BackendOptions, device: str) -> Any:  # noqa: ANN401
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = FATAL_ONLY
    # A spinning thread pool would take the cores that capture and publishing need.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(
            artifact.model, settings, providers=providers(device, artifact, options)
        )
    except Exception as error:  # noqa: BLE001 - the runtime's own exceptions share no base class
        reason = _reason(error)
        if missing := MISSING_OPERATOR.search(reason):
            operator = next(name for name in missing.groups() if name)
            reason = f"ONNX Runtime {ort.__version__} lacks the operator {operator}"
            raise BackendError(f"{artifact.folder}: {reason}") from None
        raise BackendError(f"{artifact.folder}: ONNX Runtime refuses it: {reason}") from None


def providers(device: str, artifact: Artifact, options: BackendOptions) -> Providers:
    """Return ONNX Runtime's providers and their options: each falls back to the next."""
    cpu: Providers = [(DEVICES[CPU], {})]
    if device == CPU:
        return cpu
    # Searching all algorithms for convolutions takes seconds; this picks nearly the same ones.
    cuda: Providers = [(DEVICES["CUDA"], {"cudnn_conv_algo_search": "HEURISTIC"})]
    if device == "CUDA":
        return cuda + cpu
    precision = artifact.manifest.file.precision
    tensorrt = {
        "trt_fp16_enable": str(precision == "fp16"),
        "trt_int8_enable": str(precision == "int8"),
    }
    if (cache := options.cache_folder()) is not None:
        tensorrt |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(cache),
        }
    return [(DEVICES["TENSORRT"], tensorrt), *cuda, *cpu]


def _described(tensors: Iterable[Any]) -> list[str]:
    """Return ONNX Runtime's tensors in the words of `described`."""
    return [described(t.name, t.shape, DTYPES.get(t.type, t.type)) for t in tensors]


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class OnnxRuntimeBackend:
    """See edge_pose.backends.base.Backend."""

    name = "onnxruntime"

    def __init__(self, session: Any, input_name: str, version: str, device: str) -> None:  # noqa: ANN401
        self.version = version
        self.device = device
        self._session = session
        self._input = input_name
        self._outputs = [output.name for output in session.get_outputs()]

    def run(self, tensor: NDArray[np.float32] | NDArray[np.uint8]) -> list[FloatArray]:
        """Run one batch; see Backend.run."""
        if self._session is None:
            raise closed(self.name)
        try:
            result: list[FloatArray] = self._session.run(self._outputs, {self._input: tensor})
        except Exception as error:  # noqa: BLE001 - as above
            message = f"onnxruntime: input {tensor.shape} refused: {_reason(error)}"
            raise BackendError(message) from None
        return result

    def close(self) -> None:
        """Release the session."""
        self._session = None
