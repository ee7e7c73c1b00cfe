"""Whether a device profile is of the machine that this runs on."""

from __future__ import annotations

import platform
from pathlib import Path

from edge_pose.detect import GENERIC, detect
from edge_pose.errors import ConfigError
from edge_pose.profile import DeviceProfile, profile_names


def fits_here(profile: DeviceProfile, root: Path = Path("/"), machine: str | None = None) -> bool:
    """Return whether this machine may be what a profile describes.

    A shipped profile has to be among those that `edge-pose devices --detect` finds; of one's own
    only the processor is known.

    Args:
        profile: a device.
        root: root of the file system.
        machine: processor architecture; `platform.machine()` by default.
    """
    here = machine or platform.machine()
    if profile.arch and _generic(profile.arch) != _generic(here):
        return False
    if profile.name not in profile_names():
        return True
    try:
        found = detect(root, here)
    except ConfigError:
        return False
    return profile.name in (found.profile, *(other.profile for other in found.others))


def _generic(arch: str) -> str:
    """Return one name for the names of an architecture."""
    return GENERIC.get(arch.lower(), arch.lower())
