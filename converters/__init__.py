"""From a float checkpoint to artifacts that devices run: convert, measure, write."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, cast

from edge_pose.errors import EdgePoseError

if TYPE_CHECKING:
    from converters.base import Convert


@dataclass(frozen=True, slots=True)
class Entry:
    """One way to convert.

    Attributes:
        module: where its `convert` is; imported on use.
        calibrated: it needs calibration pictures.
    """

    module: str
    calibrated: bool

    def load(self) -> Convert:
        """Import the converter.

        Raises:
            EdgePoseError: see `load_module`.
        """
        return cast("Convert", self.load_module().convert)

    def load_module(self) -> ModuleType:
        """Import the module, see converters.base.Convert.

        Raises:
            EdgePoseError: a package that it needs is not installed.
        """
        try:
            return import_module(self.module)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "converters", "training", "edge_pose"):
                raise
            raise EdgePoseError(
                f"{self.module}: {package} is not installed, pip install 'edge-pose[convert]'"
            ) from None


CONVERTERS: dict[tuple[str, str], Entry] = {
    ("onnx", "fp32"): Entry("converters.torch_onnx", calibrated=False),
    ("onnx", "fp16"): Entry("converters.onnx_fp16", calibrated=False),
    ("onnx", "int8"): Entry("converters.onnx_int8", calibrated=True),
    ("openvino", "fp32"): Entry("converters.openvino_fp32", calibrated=False),
    ("openvino", "fp16"): Entry("converters.openvino_fp16", calibrated=False),
    ("openvino", "int8"): Entry("converters.openvino_int8", calibrated=True),
    ("tflite", "fp32"): Entry("converters.torch_tflite", calibrated=False),
    ("tflite", "fp16"): Entry("converters.tflite_fp16", calibrated=False),
    ("tflite", "dynamic_int8"): Entry("converters.tflite_dynamic_int8", calibrated=False),
    ("tflite", "int8"): Entry("converters.tflite_int8", calibrated=True),
}
"""By format and precision."""

PRECISIONS = tuple(sorted({precision for _, precision in CONVERTERS}))
