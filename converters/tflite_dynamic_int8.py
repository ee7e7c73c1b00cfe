"""Checkpoint to TFLite with 8-bit weights whose activations become integers at run time.

A third of the size without calibration. Only ordinary convolutions: the runtime has no quick kernel
for depthwise ones of this kind, five times slower than float where it was measured.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from converters import torch_tflite
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.litert import versions
from converters.tflite_quantizer import TOOL, dynamic_recipe, quantize
from training.checkpoint import CheckpointInfo

OPERATORS = ("CONV_2D", "FULLY_CONNECTED")
SCHEME = "dynamic S8, weights S8 per channel"


def convert(
    model: nn.Module,
    info: CheckpointInfo,
    calibration: CalibrationSet | None,
    options: Options,
) -> Converted:
    """See converters.base.Convert."""
    floating = torch_tflite.convert(model, info, calibration, options)
    return replace(
        floating,
        model=quantize(floating.model, dynamic_recipe(OPERATORS)),
        precision="dynamic_int8",
        scheme=SCHEME,
        tools=floating.tools | versions(TOOL),
    )
