"""Builders of device engines by name: what compiles a model for the GPU in front of it.

Such engines are of one GPU and one version of TensorRT. They are built on the device, from an
artifact in ONNX, for programs that run TensorRT themselves; `edge-pose run` lets ONNX Runtime
build its own and keeps them in the compile cache.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from edge_pose.engines.base import EngineBuilder
from edge_pose.errors import BackendError
from edge_pose.lookup import lookup

ENGINE_BUILDERS: dict[str, str] = {
    "trtexec": "edge_pose.engines.trtexec",
    "tensorrt": "edge_pose.engines.tensorrt",
}


def open_builder(name: str | None = None) -> EngineBuilder:
    """Return an engine builder.

    Args:
        name: a key of ENGINE_BUILDERS; the first that is installed by default.

    Raises:
        UsageError: the name is unknown.
        BackendError: it is not installed here, or none is.
    """
    if name is not None:
        return _open(lookup(ENGINE_BUILDERS, name, "engine builder"))
    reasons = []
    for module in ENGINE_BUILDERS.values():
        try:
            return _open(module)
        except BackendError as error:
            reasons.append(str(error))
    raise BackendError(f"no engine builder here: {'; '.join(reasons)}")


def _open(module: str) -> EngineBuilder:
    return cast("EngineBuilder", import_module(module).open_builder())
