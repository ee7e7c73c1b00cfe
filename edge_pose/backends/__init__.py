"""Inference runtimes by name; each is imported when it is opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from edge_pose.artifact import Artifact
from edge_pose.backends.base import CPU, Backend, BackendOptions
from edge_pose.lookup import lookup

BACKENDS: dict[str, str] = {
    "onnxruntime": "edge_pose.backends.onnxruntime",
    "openvino": "edge_pose.backends.openvino",
    "tflite": "edge_pose.backends.tflite",
}


def open_backend(
    artifact: Artifact,
    name: str | None = None,
    threads: int = 0,
    *,
    device: str = CPU,
    strict: bool = False,
    cache: Path | None = None,
) -> Backend:
    """Load the artifact into a runtime.

    Args:
        artifact: what to load.
        name: a key of BACKENDS; the one that the manifest names by default.
        threads: inference threads; 0 leaves one core to capture, at least one.
        device: what to run on, see the runtime's module.
        strict: a device that is not there is an error instead of a reason to take the CPU.
        cache: folder for what the runtime compiles.

    Raises:
        UsageError: the name is unknown, or the runtime knows no such device.
        BackendError: the runtime is not installed or refuses the model.
    """
    module = import_module(lookup(BACKENDS, name or artifact.manifest.file.backend, "backend"))
    load = cast("Callable[[Artifact, BackendOptions], Backend]", module.load)
    threads = threads or max(1, available_cores() - 1)
    return load(artifact, BackendOptions(threads, device.upper(), strict, cache))


def available_cores() -> int:
    """Return the number of cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
