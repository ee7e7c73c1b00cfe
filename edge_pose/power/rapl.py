"""Processor package energy of Intel and AMD, through Linux powercap.

Linux documentation: Documentation/power/powercap/powercap.rst and Documentation/ABI/testing/
sysfs-class-powercap. `energy_uj` counts µJ and wraps at `max_energy_range_uj`. AMD (Zen and later)
has the same files, without `dram` and `psys`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.power.base import Accuracy, PowerMeter, Scope
from edge_pose.power.sysfs import read_int, read_text
from edge_pose.profile import DeviceProfile

POWERCAP = "sys/class/powercap"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Domain:
    name: str
    folder: Path
    range_uj: int
    energy_uj: int

    def advance_uj(self) -> int:
        """Return the µJ since the previous call."""
        now_uj = _number(self.folder / "energy_uj")
        # One wrap at most: 262 kJ, the usual range, last more than ten minutes at 400 W.
        step_uj = now_uj - self.energy_uj
        if step_uj < 0:
            step_uj += self.range_uj
        self.energy_uj = now_uj
        return max(step_uj, 0)


class RaplMeter(PowerMeter):
    """Power of all processor packages; their memory and the rest of the machine are not in it.

    Only domains named package-* are added up. `core` and `uncore` are in the package already, and
    psys, the whole platform where its maker wired it up, holds the package. `dram` is beside the
    package on servers; it shows among the rails, where it can be read.

    Args:
        root: root of the file system.
        clock: monotonic seconds.
        sleep: waits until a window is long enough.

    Raises:
        PowerError: there is no RAPL, or this user may not read it: only root may by default, since
            it leaks secrets (PLATYPUS, CVE-2020-8694).
    """

    name = "rapl"
    scope: Scope = "package"
    accuracy = Accuracy(update_s=0.001)  # Intel SDM 3B, "RAPL Interfaces"; its error is not stated
    averages = True
    min_window_s = 0.02  # the counters advance about every millisecond
    counted_j: float | None = 0.0

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._packages, self._parts = _domains(root / POWERCAP)
        self._since_s = clock()
        self._total_uj = 0
        self.rails_w: Mapping[str, float] = {}
        names = ", ".join(domain.name for domain in self._packages)
        self.detail = f"processor energy counter of {names}"

    def read_w(self) -> float:
        """Return the mean power in W since the previous call, waiting until that is 20 ms ago.

        Raises:
            PowerError: a package's counter vanished.
        """
        elapsed_s = self._clock() - self._since_s
        if elapsed_s < self.min_window_s:
            self._sleep(self.min_window_s - elapsed_s)
        return self.read_at_once_w()

    def read_at_once_w(self) -> float:
        """Return the same without waiting.

        Raises:
            PowerError: a package's counter vanished.
        """
        steps_uj = {domain.name: domain.advance_uj() for domain in self._packages}
        steps_uj |= self._advance_parts()
        now_s, since_s = self._clock(), self._since_s
        self._since_s = now_s
        window_s = max(now_s - since_s, 1e-6)
        step_uj = sum(steps_uj[domain.name] for domain in self._packages)
        self._total_uj += step_uj
        self.counted_j = self._total_uj * 1e-6
        self.rails_w = {name: uj * 1e-6 / window_s for name, uj in steps_uj.items()}
        return step_uj * 1e-6 / window_s

    def _advance_parts(self) -> dict[str, int]:
        """Return the µJ of each part; one that vanished is a part no more."""
        steps_uj = {}
        for domain in list(self._parts):
            try:
                steps_uj[domain.name] = domain.advance_uj()
            except PowerError as error:
                logger.warning("%s is shown no more: %s", domain.name, error)
                self._parts.remove(domain)
        return steps_uj


def open_rapl(profile: DeviceProfile, root: Path, options: str = "") -> RaplMeter:  # noqa: ARG001 - common signature
    """Return the meter; see RaplMeter."""
    return RaplMeter(root)


def _domains(powercap: Path) -> tuple[list[_Domain], list[_Domain]]:
    """Return (packages, their parts), each once: its MSR counter before the same one by MMIO.

    Raises:
        PowerError: there is no package, or one that no counter can be read of.
    """
    folders = sorted(powercap.glob("intel-rapl*:*"), key=lambda path: ("mmio" in path.name, path))
    packages: dict[str, _Domain] = {}
    parts: dict[str, _Domain] = {}
    refused: dict[str, PowerError] = {}
    for folder in folders:
        name = _name(folder)
        parent = _name(powercap / folder.name.rpartition(":")[0])
        if name.startswith("package-"):
            found = packages
        elif folder.name.count(":") == 2 and parent:
            found, name = parts, f"{parent} {name}"
        else:
            continue
        if name not in found:
            try:
                range_uj = _number(folder / "max_energy_range_uj")
                found[name] = _Domain(name, folder, range_uj, _number(folder / "energy_uj"))
            except PowerError as problem:
                logger.debug("%s: %s", name, problem)
                if found is packages:
                    refused.setdefault(name, problem)
    lacking = [refusal for name, refusal in refused.items() if name not in packages]
    if lacking:
        raise lacking[0]
    if not packages:
        raise PowerError(
            f"rapl: no package domain in {powercap}: no Intel or AMD processor, a virtual machine, "
            "or the kernel module intel_rapl_msr is not loaded"
        )
    return list(packages.values()), list(parts.values())


def _name(domain: Path) -> str:
    """Return a domain's name, which anybody may read; "" where it has none."""
    return read_text("rapl", domain / "name") if (domain / "name").is_file() else ""


def _number(file: Path) -> int:
    domain = file.parent
    hint = (
        "run as root, or allow it until the next boot with "
        f"`sudo chmod a+r {domain.parent}/{domain.name.partition(':')[0]}:*/energy_uj`"
    )
    return read_int("rapl", file, if_denied=hint)
