"""Inference runtimes by name; each is imported when it is opened."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from edge_pose.artifact import Artifact
from edge_pose.backends.base import CPU, Backend, BackendOptions
from edge_pose.backends.cache import cache_key, drop_damaged, drop_unused, seal
from edge_pose.errors import BackendError, UsageError
from edge_pose.lookup import lookup
from edge_pose.manifest import ModelFile
from edge_pose.models import DEFAULTS, shipped

logger = logging.getLogger(__name__)

BACKENDS: dict[str, str] = {
    "onnxruntime": "edge_pose.backends.onnxruntime",
    "openvino": "edge_pose.backends.openvino",
    "tflite": "edge_pose.backends.tflite",
}

READS: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("onnx",),
    "openvino": ("onnx", "openvino"),
    "tflite": ("tflite",),
}
"""File formats by backend."""

MODULES: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "tflite": ("ai_edge_litert", "tflite_runtime"),
}
"""What the runtime itself is imported as; one of them is enough."""

MAX_THREADS = 1024


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
        name: a key of BACKENDS; by default the one that the manifest names, or, where that is not
            installed, another one that reads the file.
        threads: inference threads; 0 leaves one core to capture, at least one.
        device: what to run on, see the runtime's module.
        strict: a device that is not there is an error instead of a reason to take the CPU.
        cache: folder for what runtimes compile; each model, runtime and device gets one of its
            own in it. None compiles anew each time.

    Raises:
        UsageError: the name is unknown, the runtime knows no such device, or threads out of range.
        BackendError: the runtime is not installed, reads other formats or refuses the model.
    """
    name = name or own_backend(artifact.manifest.file)
    module_name = lookup(BACKENDS, name, "backend")
    check_readable(artifact, name)
    module = import_module(module_name)
    load = cast("Callable[[Artifact, BackendOptions], Backend]", module.load)
    device = device.upper()
    if cache is None:
        return load(artifact, BackendOptions(thread_count(threads), device, strict))
    cache = cache / cache_key(artifact.manifest, name, runtime_version(name), device)
    drop_damaged(cache)
    backend = load(artifact, BackendOptions(thread_count(threads), device, strict, cache))
    seal(cache)
    drop_unused(cache)
    return backend


def check_readable(artifact: Artifact, name: str) -> None:
    """Raise BackendError unless the backend reads the artifact's format; say which ones do."""
    found = artifact.manifest.file.format
    if found not in READS[name]:
        able = " or ".join(readers(found))
        raise BackendError(
            f"{artifact.folder}: format {found}, expected {' or '.join(READS[name])} for backend"
            f" {name}; it can be read by {able}"
        )


def own_backend(file: ModelFile) -> str:
    """Return the backend that a file was made for, or, where that is not there, one that reads it.

    With none of them installed it is the file's own, which says how to install it.
    """
    able = [file.backend, *readers(file.format)]
    return next((name for name in able if name in BACKENDS and installed(name)), file.backend)


def resolve_model(
    model: str | Path, *, asked: str | None = None, preferred: str | None = None
) -> str | Path:
    """Turn "default" into the folder of the shipped default that suits the runtime.

    Args:
        model: any other name or folder is returned as it is.
        asked: backend that is asked for, there or not.
        preferred: backend that is taken where it is installed; after it any other one that is.
    """
    if model != "default":
        return model
    there = [name for name in (preferred, *BACKENDS) if name in BACKENDS and installed(name)]
    backend = asked if asked in BACKENDS else next(iter(there), next(iter(BACKENDS)))
    return next(
        shipped()[name] for file_format, name in DEFAULTS.items() if file_format in READS[backend]
    )


def readers(file_format: str) -> list[str]:
    """Return the backends that read a format."""
    return [name for name, formats in READS.items() if file_format in formats]


def installed(name: str) -> bool:
    """True where the runtime of a backend can be imported; it is not imported for that."""
    return any(find_spec(module) is not None for module in MODULES[name])


def runtime_version(name: str) -> str:
    """Return the version of an installed runtime, "" where it tells none or is not there."""
    for module in MODULES[name]:
        try:
            # Vendors ship the same module in packages of other names, so the module is asked first.
            found = getattr(import_module(module), "__version__", None)
            return str(found or metadata.version(module.replace("_", "-")))
        except ImportError:  # PackageNotFoundError is one, too
            continue
    return ""


def thread_count(asked: int) -> int:
    """Return the inference threads for a wish: 0 leaves one core to capture, at least one.

    Raises:
        UsageError: it is negative or beyond MAX_THREADS.
    """
    cores = available_cores()
    if not 0 <= asked <= MAX_THREADS:
        raise UsageError(f"threads {asked}: expected 0 (leaves one core free) to {MAX_THREADS}")
    if asked > cores:
        logger.warning("threads %d: there are only %d cores, more threads are slower", asked, cores)
    return asked or default_threads()


def default_threads() -> int:
    """Return the threads that leave one core to capture, at least one."""
    return max(1, available_cores() - 1)


def available_cores() -> int:
    """Return the number of cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
