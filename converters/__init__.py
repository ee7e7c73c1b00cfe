"""From a float checkpoint to artifacts that devices run: convert, measure, write."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

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
        """Import the converter."""
        return cast("Convert", import_module(self.module).convert)


CONVERTERS: dict[tuple[str, str], Entry] = {
    ("onnx", "fp32"): Entry("converters.torch_onnx", calibrated=False),
    ("onnx", "int8"): Entry("converters.onnx_int8", calibrated=True),
}
"""By format and precision."""

PRECISIONS = tuple(sorted({precision for _, precision in CONVERTERS}))
