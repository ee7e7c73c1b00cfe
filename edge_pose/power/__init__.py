"""Power meters: measured where the hardware can, else an estimate that says that it is one."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from pathlib import Path

from edge_pose.errors import PowerError, UsageError
from edge_pose.lookup import lookup
from edge_pose.power.base import Accuracy, MeterSetupError, PowerMeter, PowerSource, Scope
from edge_pose.power.power_summary import PowerSummary
from edge_pose.power.recorder import EnergyRecorder, measure_idle
from edge_pose.power.throttling import MachineState, read_state
from edge_pose.profile import DeviceProfile

__all__ = [
    "AUTO",
    "METERS",
    "OPTIONS",
    "Accuracy",
    "EnergyRecorder",
    "MachineState",
    "PowerMeter",
    "PowerSource",
    "PowerSummary",
    "Scope",
    "measure_idle",
    "open_meter",
    "read_state",
]

logger = logging.getLogger(__name__)

# Name -> module:function, imported on use.
METERS: dict[str, str] = {
    "ina3221": "edge_pose.power.ina3221:open_ina3221",
    "rpi_pmic": "edge_pose.power.rpi_pmic:open_rpi_pmic",
    "rapl": "edge_pose.power.rapl:open_rapl",
    "fuel_gauge": "edge_pose.power.fuel_gauge:open_fuel_gauge",
    "nvml": "edge_pose.power.nvml:open_nvml",
    "ina219": "edge_pose.power.ina2xx:open_ina219",
    "ina260": "edge_pose.power.ina2xx:open_ina260",
    "smart_plug": "edge_pose.power.smart_plug:open_smart_plug",
    "file": "edge_pose.power.log_meter:open_log",
    "estimate": "edge_pose.power.estimate:open_estimate",
}
# What `auto` tries, after the profile's own meter; the estimate is last. Not nvml: a GPU in the
# machine is no sign that inference runs on it.
AUTO = ("ina3221", "rpi_pmic", "rapl", "fuel_gauge", "estimate")
# Name -> what follows it on the command line; in brackets where it may be left out.
OPTIONS: dict[str, str] = {
    "nvml": "[:GPU,GPU]",
    "ina219": ":BUS,ADDRESS[,SHUNT_OHM]",
    "ina260": ":BUS,ADDRESS",
    "smart_plug": ":mqtt://[USER@]HOST/TOPIC[,path=A.B][,stale_s=90][,password_file=FILE]",
    "file": ":FILE[,stale_s=10]",
}


def open_meter(name: str, profile: DeviceProfile, root: Path = Path("/")) -> PowerMeter:
    """Open a power meter.

    Args:
        name: a key of METERS, with its options after a colon, for example "ina219:1,0x40"; or
            "auto": the first of AUTO that works, the profile's own before the others.
        profile: the device; the estimate takes its watts from it, ina3221 its rails.
        root: root of the file system, for <root>/sys and <root>/proc.

    Raises:
        UsageError: unknown name, or options of another form.
        PowerError: this machine does not have the meter, or it cannot be read.
    """
    if name != "auto":
        return _open(name, profile, root)
    for candidate in sorted(AUTO[:-1], key=lambda known: known != profile.power.meter):
        try:
            return _open(candidate, profile, root)
        except MeterSetupError as error:
            logger.warning("%s; taking the next meter", error)
        except PowerError as error:
            logger.info("%s", error)
    return _open(AUTO[-1], profile, root)


def _open(text: str, profile: DeviceProfile, root: Path) -> PowerMeter:
    name, _, options = text.partition(":")
    module, _, function = lookup(METERS, name, "power meter").partition(":")
    form = OPTIONS.get(name, "")
    if options and not form:
        raise UsageError(f"power meter {name}: takes no options (found {options!r})")
    if not options and form.startswith(":"):
        raise UsageError(f"power meter {name}: expected {name}{form}")
    factory: Callable[[DeviceProfile, Path, str], PowerMeter]
    factory = getattr(importlib.import_module(module), function)
    return factory(profile, root, options)
