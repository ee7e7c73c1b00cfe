"""Device profiles: one TOML file per device, hardware facts only.

This package imports nothing of edge_pose; `edge_pose.profile` reads and checks the files.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles that are shipped, sorted."""
    names = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def profile_path(name: str) -> Path:
    """Return the TOML file of a profile.

    Raises:
        KeyError: there is no profile of this name.
    """
    if name not in profile_names():
        raise KeyError(name)
    return Path(str(files(__name__) / f"{name}.toml"))
