"""Google's Edge TPU (Coral) under LiteRT: a delegate, and files that were compiled for it.

A compiled file holds one operator that only the delegate knows; it runs nowhere else, and the
delegate does nothing for other files.
"""

from __future__ import annotations

import ctypes
from typing import Any

from edge_pose.backends.base import CPU, BackendOptions
from edge_pose.errors import BackendError

DEVICE = "EDGETPU"
LIBRARY = "libedgetpu.so.1"
OPERATOR = b"edgetpu-custom-op"


def is_compiled(model: bytes) -> bool:
    """Whether a TFLite file was compiled for the Edge TPU."""
    return OPERATOR in model


def delegates(
    interpreter: Any,  # noqa: ANN401 - a module without types
    model: bytes,
    options: BackendOptions,
    where: str,
) -> tuple[str, list[Any]]:
    """Return the device that a file will run on and the delegates for it.

    Args:
        interpreter: LiteRT's module.
        model: content of the file.
        options: the device that is asked for.
        where: names the file in errors.

    Raises:
        BackendError: the file can run on the Edge TPU only and it was not asked for or is not
            there; or `options.strict` and it cannot be used.
    """
    compiled = is_compiled(model)
    if options.device == CPU:
        if compiled:
            raise BackendError(
                f"{where}: was compiled for the Edge TPU and runs nowhere else: pass --device"
                f" {DEVICE.lower()}, or take the artifact that it was compiled from"
            )
        return CPU, []
    if not compiled:
        reason = "the file was not compiled for it, run edgetpu_compiler on it"
        return options.cpu_instead("tflite", reason), []
    try:
        # LiteRT itself prints a traceback where the library is missing.
        ctypes.CDLL(LIBRARY)
        return DEVICE, [interpreter.load_delegate(LIBRARY)]
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or "the library found none"
        raise BackendError(
            f"{where}: needs an Edge TPU and {LIBRARY}: {reason}; to run on the CPU take the"
            " artifact that it was compiled from"
        ) from None
