"""OpenVINO's words for devices: which are allowed, which are here, and how each is set.

    CPU   GPU   GPU.1   NPU   AUTO   AUTO:NPU,CPU   HETERO:GPU,CPU

AUTO takes the first device of its list that is there and able, HETERO spreads one model over all
of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from edge_pose.backends.base import CPU, BackendOptions
from edge_pose.errors import UsageError
from edge_pose.lookup import suggestion

AUTO, HETERO = "AUTO", "HETERO"
KNOWN = (CPU, "GPU", "GPU.n", "NPU", AUTO, "AUTO:NPU,CPU", "HETERO:GPU,CPU")
DEVICE = re.compile(r"CPU|GPU(\.\d+)?|NPU")
NAME = "openvino"


def members(device: str) -> tuple[str, ...]:
    """Return the devices of a list, or the only one; none where AUTO chooses among all.

    Raises:
        UsageError: a word is none of OpenVINO's, or a device is named twice.
    """
    kind, colon, rest = device.partition(":")
    if device == AUTO:
        return ()
    names = rest.split(",") if colon and kind in (AUTO, HETERO) else [device]
    for name in names:
        if not DEVICE.fullmatch(name):
            hint, known = suggestion(name, KNOWN), ", ".join(KNOWN)
            raise UsageError(
                f"device of openvino '{name or device}': unknown{hint} (known: {known})"
            )
    if len(set(names)) < len(names):
        raise UsageError(f"device of openvino '{device}': names a device twice")
    return tuple(names)


def present(device: str, options: BackendOptions, available: Sequence[str]) -> str:
    """Return the device to compile for: what is there of the wish, or the CPU.

    Args:
        device: checked by `members`.
        options: say whether the CPU will do instead.
        available: what OpenVINO finds here, such as CPU, GPU.0, GPU.1.

    Raises:
        BackendError: it, or the first of AUTO's list, is not there, and the options are strict.
    """
    wished = members(device)
    missing = [name for name in wished if not _is_there(name, available)]
    if not missing:
        return device
    plural = "are" if len(missing) > 1 else "is"
    here = ", ".join(available)
    reason = f"{', '.join(missing)} {plural} not there, OpenVINO finds only {here}"
    left = [name for name in wished if name not in missing]
    if not (device.startswith(AUTO) and left):
        return options.cpu_instead(NAME, reason)
    if wished[0] in missing:  # what is missing further behind would not have been taken
        if left == [CPU]:
            return options.cpu_instead(NAME, reason)
        options.warn(NAME, reason, left[0])
    # OpenVINO would do the same, but fails where a driver of what is missing is missing, too.
    return f"{AUTO}:{','.join(left)}"


def _is_there(name: str, available: Sequence[str]) -> bool:
    """GPU is the first one, whatever its number."""
    return name in available or any(found.startswith(f"{name}.") for found in available)


def check_running(device: str, running: Sequence[str], options: BackendOptions) -> None:
    """Tell where AUTO passed over the first device of its list: its driver may be missing.

    Args:
        device: what the model was compiled for.
        running: what it runs on.
        options: say whether that will do.

    Raises:
        BackendError: the options are strict.
    """
    if not device.startswith(f"{AUTO}:"):
        return
    first = members(device)[0]
    # Of the only GPU OpenVINO says now GPU, now GPU.0.
    if _kind(first) not in map(_kind, running):
        options.warn(NAME, f"OpenVINO passed over {first}", ", ".join(running))


def _kind(name: str) -> str:
    return name.partition(".")[0]


def properties(device: str, threads: int, available: Sequence[str]) -> dict[str, Any]:
    """Return what a model is compiled with: the least latency of one picture at a time."""
    common: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    names = members(device)
    if names == (device,):
        return common | _own(device, threads)
    if device.startswith(AUTO):
        # Else the CPU answers until an accelerator has compiled, and results change under way.
        common["ENABLE_STARTUP_FALLBACK"] = False
    chosen = [name for name in names or available if _is_there(name, available)]
    return common | {"DEVICE_PROPERTIES": {name: _own(name, threads) for name in chosen}}


def _own(device: str, threads: int) -> dict[str, Any]:
    if device != CPU:
        return {"INFERENCE_PRECISION_HINT": "f16"}
    # Left alone the CPU computes in bfloat16 where it can, and keypoints drift; 8-bit layers stay.
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
    }
