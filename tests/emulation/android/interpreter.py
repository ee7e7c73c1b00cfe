"""LiteRT for the Kotlin example on a JVM; see Interpreter.kt."""

from __future__ import annotations

import struct
import sys
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main() -> None:
    """Serve one model: its bytes, then a tensor for a tensor, until the pipe ends."""
    (length,) = struct.unpack(">i", sys.stdin.buffer.read(4))
    interpreter = Interpreter(model_content=sys.stdin.buffer.read(length), num_threads=1)
    interpreter.allocate_tensors()
    given, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    size = n_bytes(given)
    write(struct.pack(">ii", size, n_bytes(result)))
    while tensor := sys.stdin.buffer.read(size):
        values = np.frombuffer(tensor, given["dtype"]).reshape(given["shape"])
        interpreter.set_tensor(given["index"], values)
        interpreter.invoke()
        write(interpreter.get_tensor(result["index"]).tobytes())


def n_bytes(tensor: dict[str, Any]) -> int:
    """Return the size of a tensor."""
    return int(np.prod(tensor["shape"])) * np.dtype(tensor["dtype"]).itemsize


def write(data: bytes) -> None:
    """Answer at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
