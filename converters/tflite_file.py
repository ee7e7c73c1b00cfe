"""The content of a TFLite file: names of tensors, operators, and what its integers mean.

The converter names tensors after Python modules and its own counters. Here they get short names
that say what they are, because the manifest, the recipes of quantization and people refer to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.litert import SIGNATURE, load
from edge_pose.manifest import Quantization

TOOLS = "ai_edge_litert.tools.flatbuffer_utils"
SCHEMA = "ai_edge_litert.schema_py_generated"


WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
"""Operators that have weights."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One step of a graph.

    Attributes:
        name: of its first output tensor.
        kind: for example "CONV_2D".
        integer: whether it computes in 8-bit integers.
        head: whether it lies between the last weights and an output, those weights included, or
            reads an output.
    """

    name: str
    kind: str
    integer: bool
    head: bool


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a graph.

    Attributes:
        name: of the tensor.
        shape: fixed.
        dtype: as numpy says it.
        quantization: None where it holds no integers, or integers that mean themselves.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None


def named(model: bytes, image: str, outputs: Sequence[str]) -> bytes:
    """Return the file with these names of its input and outputs, and neutral ones in between.

    Outputs are put into the order of the names, which is that of the torch module; tensors become
    `<operator>_<number>`, for example "conv_2d_12". What the converter notes on itself is dropped.
    """
    content = unpack(model)
    graph, signature = content.subgraphs[0], content.signatureDefs[0]
    for index, tensor in enumerate(graph.tensors):
        tensor.name = f"constant_{index}"
    for index, operator in enumerate(graph.operators):
        word = kind(content, operator).lower()
        for place, output in enumerate(operator.outputs):
            graph.tensors[output].name = f"{word}_{index}" + (f"_{place}" if place else "")
        if word == "transpose_conv":
            # The converter leaves a folded bias as (1, 1, 1, k); with a scale for each channel the
            # runtime takes it as (k,) only.
            for bias in (i for i in operator.inputs[3:] if i >= 0):
                graph.tensors[bias].shape = [int(np.prod(graph.tensors[bias].shape))]
    # Listed by name, and output_10 would come before output_2.
    found = sorted(signature.outputs, key=lambda entry: (len(entry.name), entry.name))
    signature.signatureKey, signature.outputs = SIGNATURE, found
    for entries, names in ((signature.inputs, (image,)), (found, outputs)):
        for entry, name in zip(entries, names, strict=True):
            entry.name = graph.tensors[entry.tensorIndex].name = name
    graph.inputs = [entry.tensorIndex for entry in signature.inputs]
    graph.outputs = [entry.tensorIndex for entry in signature.outputs]
    content.description, content.metadata, content.metadataBuffer = "edge_pose", None, None
    return pack(content)


def renamed(model: bytes, image: str, outputs: Sequence[str]) -> bytes:
    """Return a quantized file with these names: the quantizer gives new ones to what it inserts.

    Where a layer joins an output with features, the quantizer returns it in their scale, in
    bottom-up networks thirty times its own. It gets its own back.
    """
    content = unpack(model)
    graph = content.subgraphs[0]
    _keep_own_scales(content)
    for indices, names in ((graph.inputs, (image,)), (graph.outputs, outputs)):
        for index, name in zip(indices, names, strict=True):
            for tensor in graph.tensors:
                if _text(tensor.name) == name:
                    tensor.name = f"{name}_stored"
            graph.tensors[index].name = name
    return pack(content)


def _keep_own_scales(content: Any) -> None:  # noqa: ANN401 - the schema ships no types
    """Take as outputs what was there before integers were given another scale."""
    graph, outputs = content.subgraphs[0], content.signatureDefs[0].outputs
    makers = {output: operator for operator in graph.operators for output in operator.outputs}
    for entry in outputs:
        maker = makers[entry.tensorIndex]
        before, after = graph.tensors[maker.inputs[0]], graph.tensors[entry.tensorIndex]
        if kind(content, maker) == "QUANTIZE" and before.type == after.type:
            entry.tensorIndex = maker.inputs[0]
    graph.outputs = [entry.tensorIndex for entry in outputs]


def operators(model: bytes) -> list[Operator]:
    """Return the steps of the graph, in their order."""
    content = unpack(model)
    graph, integer = content.subgraphs[0], load(SCHEMA).TensorType.INT8
    head = _head(content)
    found = []
    for operator in graph.operators:
        tensor = graph.tensors[operator.outputs[0]]
        # Not always the first input: that of a transposed convolution is a shape.
        given = (graph.tensors[index].type for index in operator.inputs if index >= 0)
        integers = tensor.type == integer and integer in given
        name, in_head = _text(tensor.name), operator.outputs[0] in head
        found.append(Operator(name, kind(content, operator), integers, in_head))
    return found


def _head(content: Any) -> set[int]:  # noqa: ANN401 - the schema ships no types
    """Return the first outputs of the operators that are part of a head.

    One that reads an output joins it with features, as bottom-up networks do: with integers both
    would share one scale, and tags or sizes reach much farther than features do.
    """
    graph = content.subgraphs[0]
    makers = {output: operator for operator in graph.operators for output in operator.outputs}
    outputs = set(graph.outputs)
    readers = [o for o in graph.operators if outputs.intersection(o.inputs)]
    seen: set[int] = set()
    left = list(graph.outputs)
    while left:
        maker = makers.get(left.pop())
        if maker is None or maker.outputs[0] in seen:
            continue
        seen.add(maker.outputs[0])
        if kind(content, maker) not in WEIGHTED:
            left += list(maker.inputs)
    return seen.union(reader.outputs[0] for reader in readers)


def tensors(model: bytes) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs, in the file's order."""
    content = unpack(model)
    graph = content.subgraphs[0]
    inputs, outputs = (
        [_tensor(graph.tensors[index]) for index in indices]
        for indices in (graph.inputs, graph.outputs)
    )
    return inputs, outputs


def unpack(model: bytes) -> Any:  # noqa: ANN401 - the schema ships no types
    """Return the file as the schema's object."""
    content = load(TOOLS).read_model_from_bytearray(bytearray(model))
    for buffer in content.buffers:
        if buffer.data is not None:  # arrays are packed at once, anything else byte by byte
            buffer.data = np.frombuffer(buffer.data, np.uint8)
    return content


def pack(content: Any) -> bytes:  # noqa: ANN401
    """Return the schema's object as a file."""
    return bytes(load(TOOLS).convert_object_to_bytearray(content))


def kind(content: Any, operator: Any) -> str:  # noqa: ANN401
    """Return what an operator does, for example "CONV_2D"."""
    return str(load(TOOLS).opcode_to_name(content, operator.opcodeIndex))


def _tensor(tensor: Any) -> Tensor:  # noqa: ANN401
    stored = tensor.quantization
    quantization = None
    if stored is not None and stored.scale is not None and len(stored.scale):
        scale, zero_point = float(stored.scale[0]), int(stored.zeroPoint[0])
        quantization = Quantization(scale=scale, zero_point=zero_point)
    dtype = str(load(TOOLS).type_to_name(tensor.type)).lower()
    return Tensor(_text(tensor.name), tuple(map(int, tensor.shape)), dtype, quantization)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
