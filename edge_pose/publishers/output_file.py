"""The checks that every publisher to a file makes before it starts."""

from __future__ import annotations

import os
from pathlib import Path

from edge_pose.errors import PublisherError


def prepare_output(path: Path, *, overwrite: bool) -> None:
    """Create the parent folder and make sure that the file can be written there.

    Raises:
        PublisherError: it is a folder, exists and may not be replaced, or may not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{path}: the folder cannot be created: {error.strerror}"
        raise PublisherError(message) from None
    if path.is_dir():
        raise PublisherError(f"{path}: is a folder, expected a file name")
    if path.exists() and not overwrite:
        raise PublisherError(f"{path}: exists already; choose another name or allow overwriting")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PublisherError(f"{path}: cannot be written: permission denied")
