"""Checkpoint to TFLite with weights in float16: half the size, the same speed on CPUs.

The runtime turns the weights to float32 when it loads the file; GPUs compute in float16.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from converters import torch_tflite
from converters.base import Converted, Options
from converters.calibration import CalibrationSet
from converters.litert import versions
from converters.tflite_quantizer import TOOL, half_recipe, quantize
from training.checkpoint import CheckpointInfo


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
        model=quantize(floating.model, half_recipe()),
        precision="fp16",
        tools=floating.tools | versions(TOOL),
    )
