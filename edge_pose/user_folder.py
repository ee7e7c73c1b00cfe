"""Where a user's own files lie, by the XDG Base Directory Specification."""

from __future__ import annotations

import os
from pathlib import Path


def user_folder(variable: str, default: str, name: str) -> Path | None:
    """Return `$variable/edge_pose/name`, which need not exist.

    Args:
        variable: such as XDG_DATA_HOME; relative paths in it are ignored, as specified.
        default: used without the variable, relative to the home folder.
        name: of the folder.

    Returns:
        None for a user without a home, as in some containers.
    """
    base = Path(os.environ.get(variable, ""))
    if not base.is_absolute():
        try:
            base = Path.home() / default
        except RuntimeError:
            return None
    return base / "edge_pose" / name
