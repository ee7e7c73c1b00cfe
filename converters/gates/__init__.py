"""The gate: an artifact is good when it does what its float checkpoint does, task by task."""

from __future__ import annotations

from importlib import import_module

from torch import nn

from converters.data import ConversionData
from converters.gates.base import LIMITS, Limits, Yardstick, verdict
from converters.steps import Tick, silent
from edge_pose.lookup import lookup
from training.checkpoint import CheckpointInfo

YARDSTICKS: dict[str, str] = {
    "top_down": "converters.gates.top_down",
    "bottom_up": "converters.gates.bottom_up",
    "detector": "converters.gates.detector",
}
"""By task of the network."""


def open_yardstick(
    model: nn.Module, info: CheckpointInfo, data: ConversionData, tick: Tick = silent
) -> Yardstick:
    """Measure the float checkpoint on pictures that it was not trained on.

    Args:
        model: the checkpoint's network, in evaluation mode.
        info: of the checkpoint.
        data: where the pictures are.
        tick: told of each picture, here and in `Yardstick.gate`.

    Raises:
        EdgePoseError: the checkpoint gives no numbers, or a picture cannot be read.
    """
    module = import_module(lookup(YARDSTICKS, info.entry.task, "task with a gate"))
    yardstick: Yardstick = module.measure_checkpoint(model, info, data, tick)
    return yardstick


__all__ = ["LIMITS", "YARDSTICKS", "Limits", "Yardstick", "open_yardstick", "verdict"]
