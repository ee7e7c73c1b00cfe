"""Device profiles: what is known of the hardware that edge_pose runs on."""

from __future__ import annotations

from pathlib import Path

import device_configs
from edge_pose.lookup import lookup
from edge_pose.profile_file import read_profile
from edge_pose.profile_schema import DeviceProfile

__all__ = [
    "AUTO",
    "DeviceProfile",
    "detect_profile",
    "load_profile",
    "profile_file",
    "profile_names",
]

AUTO = "auto"
OWN = ".toml"


def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    return device_configs.profile_names()


def profile_file(name: str) -> Path:
    """Return the file of a profile.

    Args:
        name: a shipped profile, or a TOML file of your own (ending in .toml).

    Raises:
        UsageError: no profile of this name.
    """
    if name.endswith(OWN):
        return Path(name)
    paths = {known: device_configs.profile_path(known) for known in profile_names()}
    return lookup(paths, name, "device profile")


def load_profile(name: str) -> DeviceProfile:
    """Read a profile.

    Args:
        name: a shipped profile, a TOML file of your own (ending in .toml), or "auto" for the one
            that fits this machine.

    Raises:
        UsageError: no profile of this name.
        ConfigError: the file is missing or wrong; one line with file, key and what is allowed.
    """
    return detect_profile() if name == AUTO else read_profile(profile_file(name))


def detect_profile(root: Path = Path("/"), machine: str | None = None) -> DeviceProfile:
    """Return the profile of this machine; see edge_pose.detect.

    Args:
        root: root of the file system.
        machine: processor architecture; `platform.machine()` by default.

    Raises:
        ConfigError: there is no profile for this architecture.
    """
    from edge_pose.detect import detect

    return load_profile(detect(root, machine).profile)
