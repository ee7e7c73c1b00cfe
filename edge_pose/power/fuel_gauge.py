"""A battery's own gauge: what the whole device draws while it runs on the battery.

Linux documentation: Documentation/ABI/testing/sysfs-class-power (power_now in µW; current_now in
µA, negative while discharging with some drivers; voltage_now in µV; scope "Device" is a mouse or
the like). How old its values may be: drivers/power/supply/bq27xxx_battery.c asks the gauge again
after 5 s, drivers/acpi/battery.c after 1 s (cache_time).
"""

from __future__ import annotations

from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.power.base import Accuracy, PowerMeter, Scope
from edge_pose.power.sysfs import read_int, read_text
from edge_pose.profile import DeviceProfile

SUPPLIES = "sys/class/power_supply"
UPDATE_S = 5.0  # the slower one of the two drivers


class FuelGaugeMeter(PowerMeter):
    """Sum over the batteries that discharge.

    While a battery is charged, or while mains feeds the device beside it, its gauge says nothing
    about what the device draws: every reading is refused then.

    Args:
        root: root of the file system.

    Raises:
        PowerError: no battery, or it does not discharge.
    """

    name = "fuel_gauge"
    scope: Scope = "battery"
    accuracy = Accuracy(update_s=UPDATE_S)

    def __init__(self, root: Path = Path("/")) -> None:
        folder = root / SUPPLIES
        self._batteries = [path for path in sorted(folder.glob("*")) if _is_battery(path)]
        if not self._batteries:
            raise PowerError(f"fuel_gauge: no battery in {folder}")
        names = ", ".join(path.name for path in self._batteries)
        self.detail = f"discharge of {names}, the display and all else included"
        self.read_w()

    def read_w(self) -> float:
        """Return the power of this moment in W; some gauges renew it every few seconds only.

        Raises:
            PowerError: a battery is charged, or vanished.
        """
        states = {path: read_text("fuel_gauge", path / "status") for path in self._batteries}
        discharging = [path for path, state in states.items() if state == "Discharging"]
        charging = [path for path, state in states.items() if state == "Charging"]
        if charging or not discharging:
            path = (charging or self._batteries)[0]
            raise PowerError(
                f"fuel_gauge: {path.name} is '{states[path]}', expected 'Discharging':"
                " pull the plug"
            )
        return sum(_power_w(path) for path in discharging)


def open_fuel_gauge(profile: DeviceProfile, root: Path, options: str = "") -> FuelGaugeMeter:  # noqa: ARG001 - common signature
    """Return the meter; see FuelGaugeMeter."""
    return FuelGaugeMeter(root)


def _is_battery(supply: Path) -> bool:
    def says(name: str) -> str:
        return read_text("fuel_gauge", supply / name) if (supply / name).is_file() else ""

    return says("type") == "Battery" and says("scope") != "Device" and says("present") != "0"


def _power_w(battery: Path) -> float:
    if (battery / "power_now").is_file():
        return abs(read_int("fuel_gauge", battery / "power_now")) * 1e-6
    current_ua = read_int("fuel_gauge", battery / "current_now")
    return abs(current_ua) * read_int("fuel_gauge", battery / "voltage_now") * 1e-12
