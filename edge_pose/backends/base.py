"""What every inference runtime offers."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_pose.errors import BackendError
from edge_pose.manifest import Manifest
from edge_pose.types import FloatArray

logger = logging.getLogger(__name__)

CPU = "CPU"


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """How a runtime shall run a model.

    Attributes:
        threads: inference threads on the CPU, at least one.
        device: what to run on, in the runtime's own words, upper case; "CPU" is always there.
        strict: a device that is not there is an error instead of a reason to take the CPU.
        cache: folder for what the runtime compiles from this very model, see `cache_folder`; None
            compiles anew each time.
    """

    threads: int = 1
    device: str = CPU
    strict: bool = False
    cache: Path | None = None

    def cpu_instead(self, runtime: str, reason: str) -> str:
        """Return "CPU" after a warning that names the reason; raise it where `strict` is set.

        Raises:
            BackendError: `strict` is set.
        """
        self.warn(runtime, reason, "the CPU")
        return CPU

    def warn(self, runtime: str, reason: str, instead: str) -> None:
        """Tell that a device cannot be used and what is run on instead.

        Raises:
            BackendError: `strict` is set.
        """
        message = f"{runtime}: {self.device} cannot be used: {reason}"
        if self.strict:
            raise BackendError(f"{message}; leave out --strict to run on {instead} instead")
        logger.warning("%s; running on %s instead", message, instead)

    def cache_folder(self) -> Path | None:
        """Return `cache` after creating it, or None where it cannot be written: a run goes on."""
        if self.cache is None:
            return None
        try:
            # Compiled models are programs: nobody else may put one there.
            self.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            writable = os.access(self.cache, os.W_OK)
            reason = "" if writable else "permission denied"
        except OSError as error:
            reason = error.strerror or type(error).__name__
        if reason:
            logger.warning("compile cache %s: cannot be written: %s", self.cache, reason)
            return None
        return self.cache


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a model runs in, as it is told to people and subscribers.

    Attributes:
        backend: registry name, for example "openvino".
        version: of the runtime.
        device: what it runs on in fact, after a fallback perhaps.
        threads: inference threads on the CPU.
    """

    backend: str
    version: str
    device: str
    threads: int

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.backend} {self.version} on {self.device}, {threads}"


class Backend(Protocol):
    """A loaded model that maps one input tensor to its output tensors.

    Attributes:
        name: registry name of the runtime, for example "onnxruntime".
        version: version of the runtime.
        device: what it runs on, for example "CPU".
    """

    name: str
    version: str
    device: str

    def run(self, tensor: NDArray[np.float32] | NDArray[np.uint8]) -> list[FloatArray]:
        """Run one batch.

        Raises:
            BackendError: the tensor does not have the model's shape or dtype, or the model was
                closed.
        """
        ...

    def close(self) -> None:
        """Release the runtime's resources."""
        ...


def closed(runtime: str) -> BackendError:
    """Return the refusal to run after `close`."""
    return BackendError(f"{runtime}: the model was closed, load it again")


def described(name: str, shape: Sequence[object], dtype: str) -> str:
    """Return what a tensor is, in words to compare and to show."""
    return f"{name} {list(shape)} {dtype}"


def check_graph(
    manifest: Manifest, inputs: Sequence[str], outputs: Sequence[str], where: object
) -> None:
    """Compare a graph's tensors with the manifest, before one of the manifest's size is made.

    Args:
        manifest: of the artifact.
        inputs: each as `described` words it, in the order in which they are given.
        outputs: likewise, in the order in which they are returned.
        where: named in errors.

    Raises:
        BackendError: they differ.
    """
    declared, (width, height) = manifest.input, manifest.input.size
    shape = (1, 3, height, width) if declared.layout == "nchw" else (1, height, width, 3)
    expected = [described(declared.name, shape, declared.dtype)]
    returned = [described(o.name, o.shape, o.dtype) for o in manifest.outputs]
    if list(inputs) != expected or list(outputs) != returned:
        raise BackendError(
            f"{where}: the graph has inputs {list(inputs)} and outputs {list(outputs)}, the"
            f" manifest says {expected} and {returned}"
        )
