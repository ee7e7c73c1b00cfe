"""edge_pose: camera in, body keypoints out.

    import edge_pose

    estimator = edge_pose.load()
    poses = estimator(image_bgr)
    for result in edge_pose.stream("clip.mp4"):
        print(result.frame.index, result.poses)

Names are imported on first use, so that `import edge_pose` itself loads nothing heavy.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from edge_pose._version import __version__
from edge_pose.errors import (
    ArtifactError,
    BackendError,
    ConfigError,
    EdgePoseError,
    PowerError,
    PublisherError,
    SourceError,
    UsageError,
)

# Once imported, ONNX Runtime reports to its maker, with an id that it keeps on the disk, unless
# this is set before. Nothing that watches people may call home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from edge_pose.bottom_up import BottomUpEstimator
    from edge_pose.config import RunConfig, load_config
    from edge_pose.detector import PersonDetector
    from edge_pose.estimator import Estimator, load, load_detector
    from edge_pose.session import run, stream
    from edge_pose.types import Frame, FrameResult, Pose

_LAZY = {
    "BottomUpEstimator": "edge_pose.bottom_up",
    "Estimator": "edge_pose.estimator",
    "Frame": "edge_pose.types",
    "FrameResult": "edge_pose.types",
    "PersonDetector": "edge_pose.detector",
    "Pose": "edge_pose.types",
    "RunConfig": "edge_pose.config",
    "load": "edge_pose.estimator",
    "load_config": "edge_pose.config",
    "load_detector": "edge_pose.estimator",
    "run": "edge_pose.session",
    "stream": "edge_pose.session",
}

__all__ = [
    "ArtifactError",
    "BackendError",
    "BottomUpEstimator",
    "ConfigError",
    "EdgePoseError",
    "Estimator",
    "Frame",
    "FrameResult",
    "PersonDetector",
    "Pose",
    "PowerError",
    "PublisherError",
    "RunConfig",
    "SourceError",
    "UsageError",
    "__version__",
    "load",
    "load_config",
    "load_detector",
    "run",
    "stream",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        value: object = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'edge_pose' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
