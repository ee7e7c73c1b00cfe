"""Engines through TensorRT's Python package, where `trtexec` is not installed."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from edge_pose.engines.base import EngineRequest
from edge_pose.errors import BackendError

MIB = 2**20
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")  # "8.2", "8.5.2.2", "10.0.0b6"


def open_builder() -> TensorRtBuilder:
    """Import the package.

    Raises:
        BackendError: it is not installed, or does not start.
    """
    try:
        tensorrt: Any = import_module("tensorrt")
    except ImportError:
        raise BackendError("tensorrt: the Python package is not installed") from None
    except Exception as error:  # noqa: BLE001 - CUDA's libraries fail in ways of their own
        raise BackendError(f"tensorrt: cannot be imported: {_first_line(error)}") from None
    return TensorRtBuilder(tensorrt)


class TensorRtBuilder:
    """See edge_pose.engines.base.EngineBuilder; TensorRT 8.4 to 10.

    Args:
        tensorrt: the package.

    Raises:
        BackendError: it does not tell its version.
    """

    name = "tensorrt"

    def __init__(self, tensorrt: Any) -> None:  # noqa: ANN401 - its package ships no types
        self._trt = tensorrt
        told = getattr(tensorrt, "__version__", None)
        found = _VERSION.match(str(told))
        if found is None:
            raise BackendError(f"tensorrt: says that its version is {told!r}, expected as 8.5.2")
        major, minor, patch = (int(part or 0) for part in found.groups())
        # As TensorRT counts: 8.5.2 is 8502, 10.3.0 is 100300.
        thousands = 10_000 if major >= 10 else 1000
        self.version = str(major * thousands + minor * 100 + patch)

    def build(self, request: EngineRequest) -> None:
        """Write the engine; see EngineBuilder.build."""
        log = _log(self._trt)
        try:
            plan = self._plan(request, log)
        except BackendError:
            raise
        except Exception as error:  # noqa: BLE001 - its exceptions share no base class
            raise BackendError(f"tensorrt: {_first_line(error)}") from None
        if plan is None:
            reason = log.errors[0] if log.errors else "the engine could not be built"
            raise BackendError(f"tensorrt: {reason}")
        request.engine.write_bytes(plan)

    def _plan(self, request: EngineRequest, log: Any) -> bytes | None:  # noqa: ANN401
        trt = self._trt
        builder = trt.Builder(log)
        explicit = getattr(trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
        network = builder.create_network(0 if explicit is None else 1 << int(explicit))
        parser = trt.OnnxParser(network, log)
        if not parser.parse(request.onnx.read_bytes()):
            raise BackendError(f"tensorrt: refuses the model: {parser.get_error(0).desc()}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace_mib * MIB)
        if request.precision != "fp32" and hasattr(trt.BuilderFlag, "FP16"):
            config.set_flag(trt.BuilderFlag.FP16)
        if request.precision == "int8":
            if request.calibration_cache is None or not hasattr(trt, "IInt8EntropyCalibrator2"):
                message = f"tensorrt: version {trt.__version__} takes no calibration cache any more"
                raise BackendError(f"{message}, build with fp16")
            config.set_flag(trt.BuilderFlag.INT8)
            config.int8_calibrator = _calibrator(trt, request.calibration_cache.read_bytes())
        plan = builder.build_serialized_network(network, config)
        return None if plan is None else bytes(plan)


def _log(trt: Any) -> Any:  # noqa: ANN401
    """Return a logger of TensorRT that keeps its errors."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:  # noqa: ANN401
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message.strip())

    return Log()


def _calibrator(trt: Any, cache: bytes) -> Any:  # noqa: ANN401
    """Return a calibrator of TensorRT that has seen all pictures already."""

    class Calibrator(trt.IInt8EntropyCalibrator2):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IInt8EntropyCalibrator2.__init__(self)

        def get_batch_size(self) -> int:
            return 1

        def get_batch(self, names: list[str]) -> None:
            """Give none: the cache says all."""

        def read_calibration_cache(self) -> bytes:
            return cache

        def write_calibration_cache(self, content: bytes) -> None:
            """Keep the one that there is."""

    return Calibrator()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
