"""Processor package energy of Intel and AMD, through Linux powercap.

Linux documentation: Documentation/power/powercap/powercap.rst and Documentation/ABI/testing/
sysfs-class-powercap. `energy_uj` counts µJ and wraps at `max_energy_range_uj`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.power.base import PowerSource
from edge_pose.profile import DeviceProfile

POWERCAP = "sys/class/powercap"
# The counters advance about every millisecond: short windows say nothing. Only root may read them
# by default, since they leak secrets (PLATYPUS, CVE-2020-8694).
MIN_WINDOW_S = 0.02


@dataclass(slots=True)
class _Domain:
    name: str
    folder: Path
    range_uj: int
    energy_uj: int

    def advance_uj(self) -> int:
        """Return the µJ since the previous call."""
        now_uj = _read_int(self.folder / "energy_uj")
        # One wrap at most: 262 kJ, the usual range, last more than ten minutes at 400 W.
        step_uj = now_uj - self.energy_uj
        if step_uj < 0:
            step_uj += self.range_uj
        self.energy_uj = now_uj
        return max(step_uj, 0)


class RaplMeter:
    """Power of all processor packages; their memory and the rest of the machine are not in it.

    Only domains named package-* are added up. Their sub-domains (core, uncore, dram) and psys are
    not: what they count is in the package already, or holds the package.

    Args:
        root: root of the file system.
        clock: monotonic seconds.
        sleep: waits until a window is long enough.

    Raises:
        PowerError: there is no RAPL, or this user may not read it.
    """

    averages = True

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.name = "rapl"
        self.source: PowerSource = "measured"
        self._clock = clock
        self._sleep = sleep
        self._domains = _packages(root / POWERCAP)
        self._since_s = clock()
        self.detail = "processor energy counter of " + ", ".join(d.name for d in self._domains)

    def read_w(self) -> float:
        """Return the mean power in W since the previous call, waiting until that is 20 ms ago.

        Raises:
            PowerError: a counter vanished.
        """
        elapsed_s = self._clock() - self._since_s
        if elapsed_s < MIN_WINDOW_S:
            self._sleep(MIN_WINDOW_S - elapsed_s)
        step_uj = sum(domain.advance_uj() for domain in self._domains)
        now_s, since_s = self._clock(), self._since_s
        self._since_s = now_s
        return step_uj * 1e-6 / max(now_s - since_s, 1e-6)

    def close(self) -> None:
        """Do nothing: every reading opens and closes its files."""


def open_rapl(profile: DeviceProfile, root: Path) -> RaplMeter:  # noqa: ARG001 - common signature
    """Return the meter; see RaplMeter."""
    return RaplMeter(root)


def _packages(powercap: Path) -> list[_Domain]:
    """Return each package once, its MSR counter before the same one through MMIO."""
    folders = sorted(powercap.glob("intel-rapl*:*"), key=lambda path: ("mmio" in path.name, path))
    found: dict[str, _Domain] = {}
    for folder in folders:
        name = _read_text(folder / "name")
        if name.startswith("package-") and name not in found:
            range_uj = _read_int(folder / "max_energy_range_uj")
            found[name] = _Domain(name, folder, range_uj, _read_int(folder / "energy_uj"))
    if not found:
        raise PowerError(
            f"rapl: no package domain in {powercap}: no Intel or AMD processor, a virtual machine, "
            "or the kernel module intel_rapl_msr is not loaded"
        )
    return list(found.values())


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except PermissionError:
        raise PowerError(
            f"rapl: {file}: permission denied: run as root, or allow it until the next boot with "
            f"`sudo chmod a+r {file.parent.parent}/intel-rapl:*/energy_uj`"
        ) from None
    except OSError as error:
        raise PowerError(f"rapl: {file}: cannot be read: {error.strerror}") from None


def _read_int(file: Path) -> int:
    text = _read_text(file)
    if not text.isdigit():
        raise PowerError(f"rapl: {file}: found {text[:40]!r}, expected a whole number")
    return int(text)
