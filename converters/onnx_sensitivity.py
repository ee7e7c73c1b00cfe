"""Which layers of a graph suffer most from 8 bits, by measurement."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnxruntime

from converters.damage import relative_error, spread, worst_first
from converters.onnx_nodes import WEIGHTED
from converters.onnx_quantize import Scheme, quantize
from converters.onnx_ranges import Feed, Range
from converters.steps import Tick
from edge_pose.types import FloatArray

MIXING = ("Add", "Mul", "Concat", "BatchNormalization")
"""Operators that round again; the others hand on the numbers of the layer before them."""


def rank_nodes(
    model: onnx.ModelProto,
    names: Sequence[str],
    feeds: Sequence[Feed],
    ranges: dict[str, Range],
    scheme: Scheme,
    tick: Tick,
) -> tuple[str, ...]:
    """Quantize one node at a time and order them by the change of the outputs, worst first.

    ONNX Runtime's own debugging tool compares activations where they arise; what an error there
    does to the outputs it cannot say.

    Args:
        model: float graph.
        names: of the nodes in question; those that only hand numbers on are left out.
        feeds: calibration inputs; a few of them, evenly spread, are run.
        ranges: of all tensors.
        scheme: which integers.
        tick: told of each node.
    """
    chosen = [feeds[i] for i in spread(len(feeds))]
    expected = _run(model, chosen)

    def damage(name: str) -> float:
        quantized = quantize(model, ranges, scheme, only=(name,))
        return float(relative_error(expected, _run(quantized, chosen)).mean())

    asked = (n for n in model.graph.node if n.name in names and n.op_type in WEIGHTED + MIXING)
    return worst_first((node.name for node in asked), damage, tick)


def _run(model: onnx.ModelProto, feeds: Sequence[Feed]) -> list[list[FloatArray]]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return [session.run(None, feed) for feed in feeds]
