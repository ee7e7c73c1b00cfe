"""The INA3221 of Jetson boards: three rails per chip, one to three chips.

Linux documentation: Documentation/hwmon/ina3221.rst (inN_label, inN_input in mV, currN_input in mA,
update_interval in ms: how long the samples of one reading take; JetPack 5 and later). JetPack 4 had
NVIDIA's own driver: rail_name_N and in_powerN_input in mW below /sys/bus/i2c/drivers/ina3221x
(Jetson Linux Developer Guide 32.x, "Power Monitor").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.power.base import Accuracy, MeterSetupError, PowerMeter
from edge_pose.power.sysfs import read_int, read_text
from edge_pose.profile import DeviceProfile

HWMON = "sys/class/hwmon"
DRIVER = "sys/bus/i2c/drivers/ina3221x"
TOTALS = ("VDD_IN", "POM_5V_IN")  # the module's input; all other rails are parts of it
# Rails that are parts of another one (Jetson Linux Developer Guide, INA3221, AGX Orin).
PART_OF = {"VDDQ_VDD2_1V8AO": "VIN_SYS_5V0"}
UNUSED = "NC"  # what device trees call a channel that nothing is connected to
# Data sheet SBOS576: gain errors of 0.25 % each for current and voltage, 80 µV offset and 40 µV
# steps of the shunt voltage. ASSUMPTION: the board's shunts are within 1 %.
RELATIVE, OFFSET_V, STEP_V = 0.015, 80e-6, 40e-6


@dataclass(frozen=True, slots=True)
class _Rail:
    """One channel: mV and mA, or mW; shunt and time between readings where the driver says them.

    `switch` is the file that would switch it on, where it is off.
    """

    label: str
    files: tuple[Path, ...]
    shunt_ohm: float | None = None
    update_s: float = 0.0
    switch: Path | None = None

    def read_w(self) -> float:
        values = [read_int("ina3221", file) for file in self.files]
        return values[0] * values[1] * 1e-6 if len(values) == 2 else values[0] * 1e-3

    def shunt_error_w(self, error_v: float) -> float:
        """Return what an error of the shunt's voltage makes of the power at present."""
        if self.shunt_ohm is None:
            return 0.0
        return error_v / self.shunt_ohm * read_int("ina3221", self.files[0]) * 1e-3


class Ina3221Meter(PowerMeter):
    """Power of a Jetson module, and of each rail.

    The total is, in this order: the rails of the profile, the module's input where it has a rail of
    its own, the sum of all rails. No rail is counted that is a part of another counted one.

    Args:
        root: root of the file system.
        rails: labels whose sum is the total; empty for what the labels say.

    Raises:
        PowerError: there is no such sensor.
        MeterSetupError: it has not all of these rails, one that is needed is switched off, or one
            of them is a part of another one.
    """

    name = "ina3221"

    def __init__(self, root: Path = Path("/"), rails: Iterable[str] = ()) -> None:
        every = (*_hwmon_rails(root), *_driver_rails(root))
        found = {rail.label: rail for rail in every if rail.switch is None}
        off = {rail.label: rail.switch for rail in every if rail.switch is not None}
        if not every:
            raise PowerError(
                f"ina3221: no such sensor in {root / HWMON} or {root / DRIVER}: not a Jetson, or a"
                " container that does not see /sys"
            )
        self._rails = found
        self._total = _total(found, off, tuple(rails))
        self.rails_w: Mapping[str, float] = {}
        labels = " + ".join(self._total)
        self.detail = f"{labels} of {len(found)} rails"
        counted = [found[label] for label in self._total]
        self.accuracy = Accuracy(
            RELATIVE,
            offset_w=sum(rail.shunt_error_w(OFFSET_V) for rail in counted),
            resolution_w=sum(rail.shunt_error_w(STEP_V) for rail in counted),
            update_s=max(rail.update_s for rail in counted),
        )

    def read_w(self) -> float:
        """Return the power of this moment in W.

        Raises:
            PowerError: a rail vanished.
        """
        self.rails_w = {label: rail.read_w() for label, rail in self._rails.items()}
        return sum(self.rails_w[label] for label in self._total)


def open_ina3221(profile: DeviceProfile, root: Path, options: str = "") -> Ina3221Meter:  # noqa: ARG001 - common signature
    """Return the meter; see Ina3221Meter."""
    return Ina3221Meter(root, profile.power.rails)


def _total(
    found: Mapping[str, _Rail], off: Mapping[str, Path], rails: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the labels of the rails whose sum is the total."""
    total = rails or _usual(found, off)
    for label in total:
        if label in found:
            continue
        if label in off:
            raise MeterSetupError(f"ina3221: rail {label} is switched off: write 1 to {off[label]}")
        raise MeterSetupError(
            f"ina3221: rail {label} of the profile is not there (found: {', '.join(found)})"
        )
    _refuse_twice(rails)
    return total


def _usual(found: Mapping[str, _Rail], off: Mapping[str, Path]) -> tuple[str, ...]:
    """Return the module's input, switched off or not: the sum of its parts is far less."""
    inputs = [x for x in TOTALS if x in found] or [x for x in TOTALS if x in off]
    return tuple(inputs[:1] or [x for x in found if PART_OF.get(x) not in found] or off)


def _refuse_twice(rails: tuple[str, ...]) -> None:
    for label in rails:
        wholes = [w for w in (*TOTALS, PART_OF.get(label)) if w in rails and w != label]
        if rails.count(label) == 1 and not wholes:
            continue
        problem = f"beside {wholes[0]}, which holds it" if wholes else "twice"
        raise MeterSetupError(
            f"ina3221: the profile counts rail {label} {problem}: leave one out of [power] rails"
        )


def _hwmon_rails(root: Path) -> Iterable[_Rail]:
    for chip in sorted((root / HWMON).glob("hwmon*")):
        if not (chip / "name").is_file() or read_text("ina3221", chip / "name") != "ina3221":
            continue
        update_s = _optional(chip / "update_interval") * 1e-3
        for label_file in sorted(chip.glob("in[123]_label")):
            number = label_file.name[2]
            label = read_text("ina3221", label_file)
            if label == UNUSED:
                continue
            enable = chip / f"in{number}_enable"
            shunt_uohm = _optional(chip / f"shunt{number}_resistor")
            yield _Rail(
                label,
                files=(chip / f"in{number}_input", chip / f"curr{number}_input"),
                shunt_ohm=shunt_uohm * 1e-6 if shunt_uohm > 0 else None,
                update_s=max(update_s, 0.0),
                switch=enable if _optional(enable, 1) == 0 else None,
            )


def _driver_rails(root: Path) -> Iterable[_Rail]:
    for pattern in ("*/iio:device*", "*/iio_device"):
        for chip in sorted((root / DRIVER).glob(pattern)):
            for label_file in sorted(chip.glob("rail_name_[0-9]")):
                label = read_text("ina3221", label_file)
                if label != UNUSED:
                    yield _Rail(label, (chip / f"in_power{label_file.name[-1]}_input",))


def _optional(file: Path, default: int = 0) -> int:
    """Return a number that not every kernel has, and that no reading depends on."""
    try:
        return read_int("ina3221", file)
    except PowerError:
        return default
