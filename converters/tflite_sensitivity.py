"""Which operators of a TFLite graph suffer most from 8 bits, by measurement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any

from numpy.typing import NDArray

from converters.damage import relative_error, spread, worst_first
from converters.steps import Tick
from converters.tflite_file import WEIGHTED, operators
from converters.tflite_quantizer import quantize, single_recipe
from converters.tflite_ranges import Ranges
from edge_pose.backends.tflite import open_graph

MIXING = ("ADD", "SUB", "MUL", "CONCATENATION", "MEAN", "LOGISTIC", "HARD_SWISH")
"""Operators that round again; the others hand on the numbers of the one before them."""


def rank_operators(
    model: bytes,
    inputs: Sequence[NDArray[Any]],
    ranges: Ranges,
    *,
    without: Collection[str],
    tick: Tick,
) -> tuple[str, ...]:
    """Quantize one operator at a time and order them by the change of the outputs, worst first.

    Args:
        model: float file.
        inputs: calibration inputs; a few of them, evenly spread, are run.
        ranges: of all tensors.
        without: operators that are not in question.
        tick: told of each operator.
    """
    chosen = [inputs[i] for i in spread(len(inputs))]
    expected = _run(model, chosen)

    def damage(name: str) -> float:
        alone = quantize(model, single_recipe(name), ranges)
        return float(relative_error(expected, _run(alone, chosen)).mean())

    asked = (o for o in operators(model) if o.kind in WEIGHTED + MIXING and o.name not in without)
    return worst_first((operator.name for operator in asked), damage, tick)


def _run(model: bytes, inputs: Sequence[NDArray[Any]]) -> list[list[NDArray[Any]]]:
    with closing(open_graph(model, 1, "TFLite")) as graph:
        return [graph.run(tensor) for tensor in inputs]
