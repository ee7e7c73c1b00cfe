"""Power meters: measured where the hardware can, else an estimate that says that it is one."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.lookup import lookup
from edge_pose.power.base import PowerMeter, PowerSource
from edge_pose.power.recorder import EnergyRecorder, PowerSummary
from edge_pose.profile import DeviceProfile

__all__ = [
    "METERS",
    "EnergyRecorder",
    "PowerMeter",
    "PowerSource",
    "PowerSummary",
    "open_meter",
]

logger = logging.getLogger(__name__)

# Name -> module:function, imported on use; `auto` tries them in this order, the estimate last.
METERS: dict[str, str] = {
    "rapl": "edge_pose.power.rapl:open_rapl",
    "estimate": "edge_pose.power.estimate:open_estimate",
}


def open_meter(name: str, profile: DeviceProfile, root: Path = Path("/")) -> PowerMeter:
    """Open a power meter.

    Args:
        name: a key of METERS, or "auto": the first that works, the profile's own before the others
            and the estimate last.
        profile: the device; the estimate takes its watts from it.
        root: root of the file system, for <root>/sys and <root>/proc.

    Raises:
        UsageError: unknown name.
        PowerError: this machine does not have the meter, or it cannot be read.
    """
    if name != "auto":
        return _open(name, profile, root)
    measured = [known for known in METERS if known != "estimate"]
    for candidate in sorted(measured, key=lambda known: known != profile.power.meter):
        try:
            return _open(candidate, profile, root)
        except PowerError as error:
            logger.info("%s", error)
    return _open("estimate", profile, root)


def _open(name: str, profile: DeviceProfile, root: Path) -> PowerMeter:
    module, _, function = lookup(METERS, name, "power meter").partition(":")
    factory: Callable[[DeviceProfile, Path], PowerMeter]
    factory = getattr(importlib.import_module(module), function)
    return factory(profile, root)
