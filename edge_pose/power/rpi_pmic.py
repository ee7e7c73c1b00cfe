"""The power management chip of the Raspberry Pi 5, through `vcgencmd pmic_read_adc`.

raspberrypi.com documentation, "vcgencmd": current and voltage of twelve rails, one line each, for
example `VDD_CORE_A current(7)=0.65700000A`. EXT5V, the board's input, and BATT are voltages only,
so what USB devices draw and what the converters lose is not in the sum.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.power.base import PowerMeter
from edge_pose.power.commands import Command, commands_of
from edge_pose.profile import DeviceProfile

LINE = re.compile(r"^\s*(\w+)_([AV])\s+(?:current|volt)\(\d+\)=(-?[\d.]+)[AV]\s*$", re.MULTILINE)


class RpiPmicMeter(PowerMeter):
    """Sum of voltage times current over the rails that have both.

    Args:
        command: runs vcgencmd.

    Raises:
        PowerError: no vcgencmd, no such chip (Raspberry Pi 4 and older), or no permission.
    """

    name = "rpi_pmic"

    def __init__(self, command: Command) -> None:
        self._command = command
        self.rails_w: Mapping[str, float] = {}
        self.read_w()
        rails = len(self.rails_w)
        self.detail = f"{rails} rails of the PMIC, without USB devices and its own losses"

    def read_w(self) -> float:
        """Return the power of this moment in W.

        Raises:
            PowerError: vcgencmd failed.
        """
        try:
            text = self._command("vcgencmd", "pmic_read_adc")
        except PowerError as error:
            raise PowerError(f"rpi_pmic: {error}{_hint(str(error))}") from None
        readings: dict[str, dict[str, float]] = {"A": {}, "V": {}}
        for rail, unit, value in LINE.findall(text):
            readings[unit][rail] = _number(value)
        volts = readings["V"]
        self.rails_w = {r: volts[r] * a for r, a in readings["A"].items() if r in volts}
        if not self.rails_w:
            found = " ".join(text.split())[:80]
            raise PowerError(
                f"rpi_pmic: vcgencmd pmic_read_adc: found {found!r}, expected rails with current"
                " and voltage: only the Raspberry Pi 5 has them"
            )
        return sum(self.rails_w.values())


def open_rpi_pmic(profile: DeviceProfile, root: Path, options: str = "") -> RpiPmicMeter:  # noqa: ARG001 - common signature
    """Return the meter; see RpiPmicMeter."""
    return RpiPmicMeter(commands_of(root))


def _hint(problem: str) -> str:
    """Say what helps against the two failures that users meet."""
    if "not installed" in problem:
        return ": not a Raspberry Pi, or a container without it"
    if "vcio" in problem or "VCHI" in problem:
        return ": add this user to the group video"
    return ""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise PowerError(f"rpi_pmic: found {text!r}, expected a number") from None
