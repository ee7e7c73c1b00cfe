"""Every error that edge_pose raises on purpose.

    EdgePoseError                    exit code 1
    ├── UsageError                   exit code 2: the caller asked for something that does not exist
    │   └── ConfigError              a key, value or file of the configuration
    ├── SourceError                  a camera, video or folder
    ├── ArtifactError                manifest, hash or model file
    ├── BackendError                 a runtime that refuses a model
    ├── PublisherError               a broker, file or message
    └── PowerError                   a meter

Messages are one line: "where: what was found, what is allowed or what to do".
"""

from __future__ import annotations


class EdgePoseError(Exception):
    """Base class; `exit_code` is what a command line returns for it."""

    exit_code = 1


class UsageError(EdgePoseError):
    """The request itself is wrong (exit code 2)."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file, environment variable or flag is wrong."""


class SourceError(EdgePoseError):
    """A frame source cannot be opened or read."""


class ArtifactError(EdgePoseError):
    """A model artifact is missing, damaged or not trusted."""


class BackendError(EdgePoseError):
    """An inference runtime is missing or refuses the model."""


class PublisherError(EdgePoseError):
    """A result cannot be written, sent or validated."""


class PowerError(EdgePoseError):
    """A power meter is absent or unreadable."""
