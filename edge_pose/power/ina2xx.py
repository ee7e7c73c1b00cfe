"""INA219 and INA260 on i2c, by the library smbus2: meters for a few euros in a board's supply line.

Data sheets of Texas Instruments: SBOS448 (INA219), SBOS656 (INA260). Registers are 16 bits, the
high byte first.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from edge_pose.errors import PowerError, UsageError
from edge_pose.power.base import Accuracy, PowerMeter
from edge_pose.profile import DeviceProfile

T = TypeVar("T")

SHUNT_OHM = 0.1  # R100 on the usual INA219 boards
SHUNT_TOLERANCE = 0.01  # of these resistors
NOISE_W = 0.1
USUAL_V = 5.0  # to say the error in W before there is a reading


class Bus(Protocol):
    """What is used of smbus2.SMBus."""

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        """Return `length` bytes."""
        ...

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: list[int]) -> None:
        """Write bytes."""
        ...

    def close(self) -> None:
        """Close the bus."""
        ...


class _Ina(PowerMeter):
    """A chip of this family.

    Args:
        bus: that it is on.
        address: of the chip, 0x40 to 0x4F.
    """

    def __init__(self, bus: Bus, address: int) -> None:
        self._bus = bus
        self._address = address

    def close(self) -> None:
        """Close the bus; the chip goes on measuring."""
        self._bus.close()

    def _read(self, register: int) -> int:
        data = self._talk(lambda: self._bus.read_i2c_block_data(self._address, register, 2))
        return data[0] << 8 | data[1]

    def _write(self, register: int, value: int) -> None:
        data = [value >> 8, value & 0xFF]
        self._talk(lambda: self._bus.write_i2c_block_data(self._address, register, data))

    def _forward(self, watts: float) -> float:
        """Return W; the noise around a current of 0 is not below 0."""
        if watts < -NOISE_W:
            raise PowerError(
                f"{self.name}: {watts:.2f} W: the current flows back: swap IN+ and IN-"
            )
        return max(watts, 0.0)

    def _talk(self, transfer: Callable[[], T]) -> T:
        try:
            return transfer()
        except OSError as error:
            raise PowerError(
                f"{self.name}: no answer at address 0x{self._address:02x}: {error.strerror}: check"
                " the wiring, `i2cdetect -y BUS` shows the addresses in use"
            ) from None


class Ina219Meter(_Ina):
    """Supply voltage times the current through a shunt, each the mean of 128 samples (68 ms).

    Args:
        bus: that it is on.
        address: of the chip.
        shunt_ohm: of the resistor between IN+ and IN-.

    Raises:
        PowerError: no INA219 answers there.
    """

    name = "ina219"
    CONFIG = 0x3FFF  # 32 V, shunt ±320 mV, 128 samples of each in turn, without a pause
    STEP_V, VOLTAGE_STEP_V = 10e-6, 4e-3
    FULL_SCALE = 32_000  # 320 mV

    def __init__(self, bus: Bus, address: int, shunt_ohm: float = SHUNT_OHM) -> None:
        super().__init__(bus, address)
        self._shunt_ohm = shunt_ohm
        self._write(0x00, self.CONFIG)
        found = self._read(0x00)
        if found != self.CONFIG:
            raise PowerError(
                f"ina219: address 0x{address:02x}: its configuration reads 0x{found:04x} after"
                f" 0x{self.CONFIG:04x} was written: not an INA219"
            )
        # INA219A over temperature: 1 % of current and of voltage; 100 µV offset.
        self.accuracy = Accuracy(
            0.02 + SHUNT_TOLERANCE,
            offset_w=100e-6 / shunt_ohm * USUAL_V,
            resolution_w=self.STEP_V / shunt_ohm * USUAL_V,
            update_s=0.136,
        )
        self.detail = f"supply at i2c address 0x{address:02x}, shunt {shunt_ohm:g} Ω"

    def read_w(self) -> float:
        """Return the power in W.

        Raises:
            PowerError: the chip does not answer, or the current is beyond its range or flows back.
        """
        steps = _signed(self._read(0x01))
        if abs(steps) >= self.FULL_SCALE:
            limit_a = self.FULL_SCALE * self.STEP_V / self._shunt_ohm
            raise PowerError(
                f"ina219: the current is beyond ±{limit_a:g} A, the range with a shunt of"
                f" {self._shunt_ohm:g} Ω: take a smaller one"
            )
        current_a = steps * self.STEP_V / self._shunt_ohm
        return self._forward((self._read(0x02) >> 3) * self.VOLTAGE_STEP_V * current_a)


class Ina260Meter(_Ina):
    """Supply voltage times current; the chip has its shunt inside (±15 A).

    Args:
        bus: that it is on.
        address: of the chip.

    Raises:
        PowerError: no INA260 answers there.
    """

    name = "ina260"
    CONFIG = 0x6727  # 64 samples of 1.1 ms, current and voltage, without a pause
    STEP_A, STEP_V = 1.25e-3, 1.25e-3
    TEXAS, DIE = 0x5449, 0x227  # manufacturer and device

    def __init__(self, bus: Bus, address: int) -> None:
        super().__init__(bus, address)
        maker, die = self._read(0xFE), self._read(0xFF)
        if (maker, die >> 4) != (self.TEXAS, self.DIE):
            raise PowerError(
                f"ina260: address 0x{address:02x}: found maker 0x{maker:04x} and die 0x{die:04x},"
                " expected 0x5449 and 0x227x"
            )
        self._write(0x00, self.CONFIG)
        # The data sheet's first page: 0.15 % gain error and 5 mA offset at most, at 25 °C.
        self.accuracy = Accuracy(0.0015, 5e-3 * USUAL_V, self.STEP_A * USUAL_V, update_s=0.141)
        self.detail = f"supply at i2c address 0x{address:02x}"

    def read_w(self) -> float:
        """Return the power in W.

        Raises:
            PowerError: the chip does not answer, or the current flows back.
        """
        current_a = _signed(self._read(0x01)) * self.STEP_A
        return self._forward(self._read(0x02) * self.STEP_V * current_a)


def open_ina219(profile: DeviceProfile, root: Path, options: str = "") -> Ina219Meter:  # noqa: ARG001 - common signature
    """Return the meter; options are BUS,ADDRESS[,SHUNT_OHM], for example "1,0x40,0.01".

    Raises:
        PowerError: no such bus, no permission, no library, or no such chip.
        UsageError: the options have another form.
    """
    bus, address, shunt = _parse("ina219", options, most=3)
    return _on(_open_bus("ina219", root, bus), lambda on: Ina219Meter(on, address, shunt))


def open_ina260(profile: DeviceProfile, root: Path, options: str = "") -> Ina260Meter:  # noqa: ARG001 - common signature
    """Return the meter; options are BUS,ADDRESS, for example "1,0x40". Raises as open_ina219."""
    bus, address, _ = _parse("ina260", options, most=2)
    return _on(_open_bus("ina260", root, bus), lambda on: Ina260Meter(on, address))


def _on(bus: Bus, meter: Callable[[Bus], T]) -> T:
    """Return a meter on a bus, which is closed where there is none."""
    try:
        return meter(bus)
    except BaseException:
        bus.close()
        raise


def _parse(name: str, options: str, most: int) -> tuple[int, int, float]:
    form = "BUS,ADDRESS" + ("[,SHUNT_OHM]" if most == 3 else "")
    parts = options.split(",")
    try:
        bus, address = int(parts[0], 0), int(parts[1], 0)
        shunt = float(parts[2]) if len(parts) > 2 else SHUNT_OHM
        if len(parts) > most or bus < 0 or not (0x40 <= address <= 0x4F and 0 < shunt < 10):
            raise ValueError(options)
    except (IndexError, ValueError):
        raise UsageError(
            f"{name}:{options}: expected {name}:{form}, the address from 0x40 to 0x4f"
            + (", the shunt in Ω" if most == 3 else "")
        ) from None
    return bus, address, shunt


def _open_bus(name: str, root: Path, number: int) -> Bus:
    device = root / f"dev/i2c-{number}"
    if not device.exists():
        raise PowerError(f"{name}: {device}: not there: is i2c enabled, and the bus the right one?")
    try:
        library = importlib.import_module("smbus2")
    except ImportError:
        raise PowerError(f"{name}: not installed: pip install smbus2") from None
    try:
        bus: Bus = library.SMBus(str(device))
    except PermissionError:
        raise PowerError(
            f"{name}: {device}: permission denied: add this user to the group i2c"
        ) from None
    except OSError as error:
        raise PowerError(f"{name}: {device}: cannot be opened: {error.strerror}") from None
    return bus


def _signed(value: int) -> int:
    """Return a register in two's complement as a number."""
    return value - 0x10000 if value & 0x8000 else value
