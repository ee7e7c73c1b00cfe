"""Which nodes of an exported graph stay float in 8 and 16 bits."""

from __future__ import annotations

import onnx

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators that hold nearly all weights and all the work."""


def float_nodes(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return the names of the nodes that stay float, in the graph's order.

    The first: what normalises pixels, where that is folded. Its numbers go up to 255 and have
    to come out as they do in `edge_pose.preprocess`.

    The last: the layers whose results are the outputs, and all that follows them, such as a folded
    decoder. They cost little, and fewer steps would blur the peaks.
    """
    first = _until_weighted(graph, forward=True)
    last = _until_weighted(graph, forward=False)
    return tuple(node.name for node in graph.node if node.name in first | last)


def _until_weighted(graph: onnx.GraphProto, *, forward: bool) -> set[str]:
    """Walk from the inputs or outputs to the next weights; behind the last of them inclusively."""
    edge = {tensor.name for tensor in (graph.input if forward else graph.output)}
    reached: set[str] = set()
    # Nodes come sorted: every one behind those whose results it uses.
    for node in graph.node if forward else reversed(graph.node):
        near, far = (node.input, node.output) if forward else (node.output, node.input)
        if not edge.intersection(near):
            continue
        weighted = node.op_type in WEIGHTED
        if not (weighted and forward):
            reached.add(node.name)
        if not weighted:
            edge.update(far)
    return reached
