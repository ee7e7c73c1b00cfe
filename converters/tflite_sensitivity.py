"""Which operators of a TFLite graph suffer most from 8 bits, by measurement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.tflite_file import WEIGHTED, operators
from converters.tflite_quantizer import quantize, single_recipe
from converters.tflite_ranges import Ranges
from edge_pose.backends.tflite import open_graph

PICTURES = 4
MIXING = ("ADD", "SUB", "MUL", "CONCATENATION", "MEAN", "LOGISTIC", "HARD_SWISH")
"""Operators that round again; the others hand on the numbers of the one before them."""

Outputs = list[list[NDArray[Any]]]


def rank_operators(
    model: bytes, inputs: Sequence[NDArray[Any]], ranges: Ranges, *, without: Collection[str]
) -> tuple[str, ...]:
    """Quantize one operator at a time and order them by the change of the outputs, worst first.

    Args:
        model: float file.
        inputs: calibration inputs; a few of them, evenly spread, are run.
        ranges: of all tensors.
        without: operators that are not in question.
    """
    spread = np.linspace(0, len(inputs) - 1, PICTURES).round().astype(int)
    chosen = [inputs[index] for index in spread]
    expected = _run(model, chosen)
    damage = {}
    for operator in operators(model):
        if operator.kind in WEIGHTED + MIXING and operator.name not in without:
            alone = quantize(model, single_recipe(operator.name), ranges)
            damage[operator.name] = _difference(expected, _run(alone, chosen))
    return tuple(sorted(damage, key=damage.__getitem__, reverse=True))


def _run(model: bytes, inputs: Sequence[NDArray[Any]]) -> Outputs:
    with closing(open_graph(model, 1, "TFLite")) as graph:
        return [graph.run(tensor) for tensor in inputs]


def _difference(expected: Outputs, found: Outputs) -> float:
    """Return the mean squared error relative to the variance, the mean over outputs."""
    shares = [
        np.square(theirs - ours).mean() / max(float(ours.var()), 1e-12)
        for pair in zip(expected, found, strict=True)
        for ours, theirs in zip(*pair, strict=True)
    ]
    return float(np.mean(shares))
