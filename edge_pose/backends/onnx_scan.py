"""Refuse ONNX files that are not the whole network in plain view, before any runtime reads them.

The artifact's hash covers the model file alone. An ONNX tensor may name another file to take its
values from ("external data"); runtimes resolve such names in ways of their own, older ones also
outside of the folder. A node of type EPContext names or holds what a vendor's compiler made for one
device: a program that nobody has seen. The file is a protobuf message (onnx.proto of the ONNX
project); what has to be found in it needs only the wire format, and so no package that a device
would not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_pose.errors import ArtifactError, BackendError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# Message: field number -> the message in it. Only what leads to a tensor is walked through.
CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
OP_TYPE, COMPILED = 4, b"EPContext"
TENSOR_NAME, EXTERNAL_DATA, DATA_LOCATION = 8, 13, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
MAX_DEPTH = 32
TAG_BITS, VALUE_BITS = 32, 64

Field = tuple[int, int, memoryview]
"""Number, varint value and bytes; of the last two one is empty."""


def refuse_foreign_parts(model: bytes, where: str) -> None:
    """Make sure that an ONNX file contains all of its network, as operators and numbers.

    Args:
        model: content of the file.
        where: its name, for the message.

    Raises:
        ArtifactError: a tensor lies in another file, or a node is compiled code.
        BackendError: it is damaged, or no ONNX file. What cannot be read here must not be read by
            anything else either.
    """
    try:
        found = next(_foreign(memoryview(model), "model", 0), None)
    except (IndexError, ValueError):
        message = f"{where}: the ONNX reader refuses it: damaged, or no ONNX file"
        raise BackendError(message) from None
    if found is not None:
        raise ArtifactError(f"{where}: {found}")


def _foreign(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    """Say of each tensor that lies elsewhere, and of each compiled node, what to do about it."""
    if depth > MAX_DEPTH:
        raise ValueError("graphs in graphs without end")
    if kind == "tensor":
        yield from _external_tensor(message)
        return
    for number, _, content in _fields(message):
        if kind == "node" and number == OP_TYPE and content == COMPILED:
            yield (
                "a node EPContext stands for what was compiled for one device; give the graph that"
                " it was compiled from"
            )
        if number in CHILDREN[kind]:
            yield from _foreign(content, CHILDREN[kind][number], depth + 1)


def _external_tensor(message: memoryview) -> Iterator[str]:
    name, location, elsewhere = "", "", False
    for number, value, content in _fields(message):
        if number == TENSOR_NAME:
            name = _text(content)
        elif number == EXTERNAL_DATA:
            elsewhere = True
            entry = {n: _text(text) for n, _, text in _fields(content)}
            if entry.get(ENTRY_KEY) == "location":
                location = entry.get(ENTRY_VALUE, "")
        elif number == DATA_LOCATION:
            elsewhere = elsewhere or value != 0
    if elsewhere:
        yield (
            f"tensor '{name}' lies in another file, {location!r}; an artifact is one file, export"
            " it with its weights inside"
        )


def _text(content: memoryview) -> str:
    return str(content, "utf-8", "replace")


def _fields(message: memoryview) -> Iterator[Field]:
    """Split a message into its fields.

    Whatever parsers may read in two ways is refused: some drop a tag's bits above the 32nd, and so
    see a tensor in what looks like an unknown field.
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if number == 0 or tag >> TAG_BITS:
            raise ValueError(f"tag {tag}")
        value, content = 0, message[:0]
        if wire == VARINT:
            value, position = _varint(message, position)
        elif wire == BYTES:
            length, position = _varint(message, position)
            content = message[position : position + length]
            position += length
        elif wire in (FIXED64, FIXED32):
            position += 8 if wire == FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if position > len(message):
            raise ValueError("a field reaches beyond the end")
        yield number, value, content


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a number and where it ends; it must be spelled in as few bytes as can be."""
    value = 0
    for shift in range(0, VALUE_BITS, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (shift and not byte) or value >> VALUE_BITS:
                raise ValueError("a number with bytes that say nothing, or too many")
            return value, position
    raise ValueError("a number without end")
