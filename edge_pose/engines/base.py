"""What every builder of engines offers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

WORKSPACE_MIB = 1024
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What to build.

    Attributes:
        onnx: the model file.
        engine: file to write.
        precision: one of PRECISIONS, the lowest that may be used; TensorRT takes what is fastest.
        calibration_cache: number ranges for "int8", see edge_pose.engines.calibration_cache.
        workspace_mib: memory for trying out algorithms.
    """

    onnx: Path
    engine: Path
    precision: str
    calibration_cache: Path | None = None
    workspace_mib: int = WORKSPACE_MIB


class EngineBuilder(Protocol):
    """Compiles a model for this device.

    Attributes:
        name: a key of edge_pose.engines.ENGINE_BUILDERS.
        version: TensorRT's number, for example "8502" or "100300"; "" where it does not say.
    """

    name: str
    version: str

    def build(self, request: EngineRequest) -> None:
        """Write the engine; this takes minutes.

        Raises:
            BackendError: the builder refuses the model, or cannot build what is asked for.
        """
        ...
