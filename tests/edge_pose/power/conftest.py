"""A clock that moves only when told to, and recorded-like trees of /sys and /proc."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def fake_time() -> SimpleNamespace:
    """Return now_s, slept_s, clock() and sleep(seconds)."""
    time = SimpleNamespace(now_s=1000.0, slept_s=0.0)

    def sleep(seconds: float) -> None:
        time.slept_s += seconds
        time.now_s += seconds

    time.clock = lambda: time.now_s
    time.sleep = sleep
    return time


# As a two-socket Xeon server shows it: packages, their parts, psys, and one package again by MMIO.
DOMAINS = {
    "intel-rapl:0": ("package-0", 1_000_000_000),
    "intel-rapl:0:0": ("core", 700_000_000),
    "intel-rapl:0:1": ("dram", 90_000_000),
    "intel-rapl:1": ("package-1", 2_000_000_000),
    "intel-rapl:1:0": ("dram", 80_000_000),
    "intel-rapl:2": ("psys", 5_000_000_000),
    "intel-rapl-mmio:0": ("package-0", 1_000_500_000),
}
RANGE_UJ = 262_143_328_850


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """The folder /sys/class/powercap under tmp_path, with links into /sys/devices as in Linux."""
    folder = tmp_path / "sys/class/powercap"
    folder.mkdir(parents=True)
    (folder / "intel-rapl").mkdir()  # the control type itself
    for entry, (name, energy_uj) in DOMAINS.items():
        device = tmp_path / "sys/devices/virtual/powercap" / entry
        device.mkdir(parents=True)
        (device / "name").write_text(f"{name}\n")
        (device / "energy_uj").write_text(f"{energy_uj}\n")
        (device / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        (folder / entry).symlink_to(device)
    return folder


@pytest.fixture
def write_stat(tmp_path: Path) -> Callable[..., None]:
    """Write <tmp_path>/proc/stat: user nice system idle iowait irq softirq steal, in ticks."""

    def write(*ticks: int) -> None:
        file = tmp_path / "proc/stat"
        file.parent.mkdir(exist_ok=True)
        line = " ".join(str(tick) for tick in ticks)
        file.write_text(f"cpu  {line} 0 0\ncpu0 {line} 0 0\nintr 1 2 3\n")

    return write


TREES = Path(__file__).parents[2] / "fixtures/devices"


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[str], Path]:
    """Copy a machine's tree of tests/fixtures/devices, to be changed."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(TREES / name, tmp_path / name))

    return copy


@pytest.fixture
def tree() -> Callable[[str], Path]:
    """The root of a machine's tree, not to be changed."""
    return lambda name: TREES / name
