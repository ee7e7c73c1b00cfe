"""INA219 and INA260 on a bus that answers with register bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from edge_pose.errors import PowerError, UsageError
from edge_pose.power import open_meter
from edge_pose.power.ina2xx import Ina219Meter, Ina260Meter
from edge_pose.profile import load_profile

PROFILE = load_profile("raspberry_pi_4")


class FakeBus:
    """Registers of one chip at one address, the high byte first."""

    def __init__(self, registers: dict[int, bytes], address: int = 0x40) -> None:
        self.registers = registers
        self.address = address
        self.closed = False

    def read_i2c_block_data(self, i2c_addr: int, register: int, length: int) -> list[int]:
        self._check(i2c_addr)
        return list(self.registers[register][:length])

    def write_i2c_block_data(self, i2c_addr: int, register: int, data: list[int]) -> None:
        self._check(i2c_addr)
        self.registers[register] = bytes(data)

    def close(self) -> None:
        self.closed = True

    def _check(self, address: int) -> None:
        if address != self.address:
            raise OSError(121, "Remote I/O error")


def ina219(shunt: bytes, voltage: bytes) -> FakeBus:
    return FakeBus({0x00: b"\x39\x9f", 0x01: shunt, 0x02: voltage})


def ina260(current: bytes, voltage: bytes) -> FakeBus:
    ids = {0xFE: b"\x54\x49", 0xFF: b"\x22\x70"}
    return FakeBus({0x00: b"\x61\x27", 0x01: current, 0x02: voltage, **ids})


def test_ina219_example_of_the_data_sheet() -> None:
    # Shunt register 0x0FA0: 4000 steps of 10 µV are 40 mV; bus 1250 steps of 4 mV, shifted: 5 V.
    bus = ina219(b"\x0f\xa0", (1250 << 3 | 0b10).to_bytes(2, "big"))
    meter = Ina219Meter(bus, 0x40)
    assert meter.read_w() == pytest.approx(0.4 * 5.0)
    assert bus.registers[0x00] == b"\x3f\xff"  # 128 samples
    assert (meter.name, meter.source, meter.scope) == ("ina219", "measured", "board")
    assert meter.detail == "supply at i2c address 0x40, shunt 0.1 Ω"
    meter.close()
    assert bus.closed


def test_ina219_with_another_shunt() -> None:
    bus = ina219((1000).to_bytes(2, "big"), (3000 << 3).to_bytes(2, "big"))
    assert Ina219Meter(bus, 0x40, 0.01).read_w() == pytest.approx(1.0 * 12.0)


def test_wires_that_are_swapped() -> None:
    bus = ina219((-1000 & 0xFFFF).to_bytes(2, "big"), (1250 << 3).to_bytes(2, "big"))
    with pytest.raises(PowerError, match=r"ina219: -0\.50 W: the current flows back: swap"):
        Ina219Meter(bus, 0x40).read_w()
    noise = ina219((-3 & 0xFFFF).to_bytes(2, "big"), (1250 << 3).to_bytes(2, "big"))
    assert Ina219Meter(noise, 0x40).read_w() == 0.0


def test_ina219_beyond_its_range() -> None:
    meter = Ina219Meter(ina219(b"\x7d\x00", b"\x27\x10"), 0x40)
    with pytest.raises(PowerError, match=r"ina219: the current is beyond ±3\.2 A.*0\.1 Ω: take"):
        meter.read_w()


def test_ina219_states_its_error() -> None:
    accuracy = Ina219Meter(ina219(b"\0\0", b"\0\0"), 0x40, 0.1).accuracy
    assert accuracy.relative == pytest.approx(0.03)
    assert accuracy.resolution_w == pytest.approx(100e-6 * 5)  # 10 µV at 0.1 Ω are 100 µA


def test_something_else_at_the_address() -> None:
    class Stubborn(FakeBus):
        def write_i2c_block_data(self, i2c_addr: int, register: int, data: list[int]) -> None:
            """Keep what is there."""

    bus = Stubborn({0x00: b"\x41\x27"})
    with pytest.raises(PowerError, match="reads 0x4127 after 0x3fff was written: not an INA219"):
        Ina219Meter(bus, 0x40)
    with pytest.raises(PowerError, match="ina260: address 0x40: found maker 0x5449 and die 0x2260"):
        Ina260Meter(FakeBus({0xFE: b"\x54\x49", 0xFF: b"\x22\x60"}), 0x40)


def test_ina260() -> None:
    # 0x2710: 10,000 steps of 1.25 mA are 12.5 A; 0x2580: 9,600 steps of 1.25 mV are 12 V.
    meter = Ina260Meter(ina260(b"\x27\x10", b"\x25\x80"), 0x40)
    assert meter.read_w() == pytest.approx(150.0)
    assert meter.detail == "supply at i2c address 0x40"
    assert Ina260Meter(ina260(b"\xff\xf8", b"\x0f\xa0"), 0x40).read_w() == 0.0  # -10 mA is noise


def test_chip_that_does_not_answer() -> None:
    with pytest.raises(PowerError, match="ina219: no answer at address 0x41: Remote I/O error: ch"):
        Ina219Meter(ina219(b"\0\0", b"\0\0"), 0x41)
    bus = ina260(b"\0\0", b"\0\0")
    meter = Ina260Meter(bus, 0x40)
    bus.address = 0x4F  # the wire came off
    with pytest.raises(PowerError, match="ina260: no answer at address 0x40"):
        meter.read_w()


@pytest.mark.parametrize(
    "text",
    ["ina219:1", "ina219:a,0x40", "ina219:1,0x10", "ina219:1,0x40,0", "ina219:1,0x40,0.1,2",
     "ina219:1,0x40,nan", "ina219:-1,0x40", "ina260:1,0x40,0.1", "ina260:,"],
)  # fmt: skip
def test_options_of_another_form(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected ina2(19|60):BUS,ADDRESS.* from 0x40 to 0x4f"):
        open_meter(text, PROFILE, tmp_path)


def test_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PowerError, match="i2c-1: not there: is i2c enabled"):
        open_meter("ina219:1,0x40", PROFILE, tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/i2c-1").touch()
    monkeypatch.setitem(sys.modules, "smbus2", None)
    with pytest.raises(PowerError, match="ina219: not installed: pip install smbus2"):
        open_meter("ina219:1,0x40", PROFILE, tmp_path)
    opened: list[str] = []

    def open_bus(device: str) -> FakeBus:
        opened.append(device)
        return ina219(b"\x0f\xa0", b"\x27\x10")

    library = ModuleType("smbus2")
    library.SMBus = open_bus  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "smbus2", library)
    assert open_meter("ina219:1,64,0.05", PROFILE, tmp_path).read_w() == pytest.approx(0.8 * 5.0)
    assert opened == [str(tmp_path / "dev/i2c-1")]


@pytest.mark.parametrize("name", ["ina219", "ina260"])
@pytest.mark.parametrize("error", [OSError(121, "Remote I/O error"), RuntimeError("of smbus2")])
def test_bus_is_closed_where_there_is_no_chip(
    name: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = FakeBus({})

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(bus, "_check", fail)
    library = ModuleType("smbus2")
    library.SMBus = lambda _: bus  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "smbus2", library)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/i2c-1").touch()
    with pytest.raises((PowerError, RuntimeError)):
        open_meter(f"{name}:1,0x40", PROFILE, tmp_path)
    assert bus.closed


@pytest.mark.parametrize(
    ("error", "text"),
    [(PermissionError(13, "Permission denied"), "add this user to the group i2c"),
     (OSError(6, "No such device"), "cannot be opened: No such device")],
)  # fmt: skip
def test_bus_that_cannot_be_opened(
    error: OSError, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(device: str) -> None:
        raise error

    library = ModuleType("smbus2")
    library.SMBus = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "smbus2", library)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/i2c-1").touch()
    with pytest.raises(PowerError, match=text):
        open_meter("ina260:1,0x40", PROFILE, tmp_path)


def test_the_library_has_these_names(need: Callable[[str], ModuleType]) -> None:
    bus = need("smbus2").SMBus
    for name in ("read_i2c_block_data", "write_i2c_block_data", "close"):
        assert callable(getattr(bus, name))
