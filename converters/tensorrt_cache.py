"""A calibration cache for TensorRT, whose 8-bit integers are chosen on the device.

TensorRT takes a float ONNX file and one scale per tensor. The scales are found here, on the
calibration pictures, and the engine is built on the device without them (edge_pose.engines).
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from converters.calibration import CalibrationSet
from converters.failure import reason
from converters.onnx_ranges import Feed, collect_ranges
from converters.quiet import quiet
from converters.steps import Tick, silent
from edge_pose.artifact import Artifact
from edge_pose.engines.calibration_cache import format_cache
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.preprocess import to_tensor

METHOD = "Entropy"
"""TensorRT's own method: its scales are symmetric, so it has few steps to lose to outliers."""


def check_float_onnx(artifact: Artifact) -> None:
    """Make sure that a cache can be made of an artifact.

    Raises:
        UsageError: it is of another kind.
    """
    file = artifact.manifest.file
    if file.format != "onnx" or file.precision not in ("fp32", "fp16"):
        raise UsageError(
            f"{artifact.folder}: is {file.format} {file.precision}, a calibration cache is made of"
            " onnx fp32 or fp16"
        )


def calibration_cache(
    artifact: Artifact, calibration: CalibrationSet, method: str = METHOD, tick: Tick = silent
) -> str:
    """Return the cache of a float ONNX artifact: its tensor names are those of this very file.

    Args:
        artifact: in ONNX fp32 or fp16.
        calibration: crops of the artifact's input size.
        method: one of converters.onnx_ranges.METHODS.
        tick: told of each picture, twice by methods that look twice.

    Raises:
        UsageError: the artifact is of another kind, or the method unknown.
        EdgePoseError: the graph does not run on the crops.
    """
    check_float_onnx(artifact)
    tensor = artifact.manifest.input

    def feeds() -> Iterator[Feed]:
        crops = calibration.crops
        for i in range(len(crops)):
            tick(i, len(crops))
            yield {tensor.name: to_tensor(crops[i : i + 1], tensor.spec)}

    try:
        with quiet():
            model = onnx.load_from_string(artifact.model)
            return format_cache(collect_ranges(model, feeds, method))
    except EdgePoseError:
        raise
    except Exception as error:  # noqa: BLE001 - the runtime's exceptions share no base class
        raise EdgePoseError(f"calibration cache: cannot run the graph: {reason(error)}") from None
