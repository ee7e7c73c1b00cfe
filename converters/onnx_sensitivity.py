"""Which layers of a graph suffer most from 8 bits, by measurement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime

from converters.onnx_nodes import WEIGHTED
from converters.onnx_quantize import Scheme, quantize
from converters.onnx_ranges import Feed, Range
from edge_pose.types import FloatArray

PICTURES = 4
MIXING = ("Add", "Mul", "Concat", "BatchNormalization")
"""Operators that round again; the others hand on the numbers of the layer before them."""


def rank_nodes(
    model: onnx.ModelProto,
    names: Sequence[str],
    feeds: Sequence[Feed],
    ranges: dict[str, Range],
    scheme: Scheme,
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
    """
    chosen = [feeds[i] for i in np.linspace(0, len(feeds) - 1, PICTURES).round().astype(int)]
    expected = _run(model, chosen)
    damage = {}
    for node in model.graph.node:
        if node.name in names and node.op_type in WEIGHTED + MIXING:
            quantized = quantize(model, ranges, scheme, only=(node.name,))
            damage[node.name] = _difference(expected, _run(quantized, chosen))
    return tuple(sorted(damage, key=damage.__getitem__, reverse=True))


def _run(model: onnx.ModelProto, feeds: Sequence[Feed]) -> list[list[FloatArray]]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return [session.run(None, feed) for feed in feeds]


def _difference(expected: list[list[FloatArray]], found: list[list[FloatArray]]) -> float:
    """Return the mean squared error relative to the variance, the mean over outputs."""
    shares = [
        np.square(f - e).mean() / max(float(e.var()), 1e-12)
        for ours, theirs in zip(expected, found, strict=True)
        for e, f in zip(ours, theirs, strict=True)
    ]
    return float(np.mean(shares))
