"""Clocks, temperatures, and whether anything holds the clocks back.

Linux documentation: admin-guide/pm/cpufreq.rst, intel_pstate.rst, driver-api/thermal/sysfs-api.rst.
Throttling shows in the counters thermal_throttle/*_throttle_count of Intel, in cooling devices of
the processor that are not at 0, in oc*_event_cnt of Jetson (Jetson Linux Developer Guide, over-
current throttling), and in `vcgencmd get_throttled` of the Raspberry Pi.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edge_pose.errors import PowerError
from edge_pose.machine_facts import Machine
from edge_pose.power.commands import commands_of

CPU = "sys/devices/system/cpu"
# Types of cooling devices that slow the processor down; fans and the like are none.
SLOWING = re.compile(
    r"processor|cpufreq|(cpu|gpu|soc|cv|dla)\d*[-_](throttle|alert)|hot-surface", re.IGNORECASE
)
# raspberrypi.com documentation, get_throttled: bits of this moment; since the boot 16 higher.
PI_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}


@dataclass(frozen=True, slots=True)
class MachineState:
    """One moment.

    Attributes:
        temperatures_c: by thermal zone, °C.
        clocks_mhz: by frequency domain, MHz.
        governor: of the processor's frequency; several, where cores differ, joined by ",".
        turbo: whether the processor may exceed its nominal frequency; None where nothing says.
        throttled: what holds clocks back at this moment; None where nothing tells.
        events: throttling so far, by counter or flag; compare two moments with `throttled_between`.
    """

    temperatures_c: dict[str, float]
    clocks_mhz: dict[str, float]
    governor: str | None
    turbo: bool | None
    throttled: tuple[str, ...] | None
    events: dict[str, int]


def read_state(root: Path = Path("/")) -> MachineState:
    """Read the state of the machine whose file system begins at `root`, as far as it tells."""
    machine = Machine(root)
    now: dict[str, bool] = {}
    events = _counters(machine)
    _cooling(machine, now)
    _raspberry_pi(machine, now, events)
    known = bool(now or events)
    return MachineState(
        temperatures_c=_temperatures(machine),
        clocks_mhz=_clocks(machine),
        governor=read_governor(root),
        turbo=read_turbo(root),
        throttled=tuple(name for name, active in now.items() if active) if known else None,
        events=events,
    )


def throttled_between(before: MachineState, after: MachineState) -> tuple[str, ...] | None:
    """Return what held clocks back at either moment or in between; None where nothing tells."""
    if before.throttled is None and after.throttled is None:
        return None
    rose = [name for name, n in after.events.items() if n > before.events.get(name, 0)]
    return tuple(dict.fromkeys((*(before.throttled or ()), *(after.throttled or ()), *rose)))


def read_governor(root: Path) -> str | None:
    """Return the frequency governors, joined by ","; None where the kernel has none."""
    machine = Machine(root)
    files = _glob(root, f"{CPU}/cpu[0-9]*/cpufreq/scaling_governor")
    return ",".join(sorted({text for file in files if (text := machine.read(file))})) or None


def read_turbo(root: Path) -> bool | None:
    """Return whether the processor may exceed its nominal frequency; None where nothing says."""
    machine = Machine(root)
    no_turbo = machine.read(f"{CPU}/intel_pstate/no_turbo")
    if no_turbo in ("0", "1"):
        return no_turbo == "0"
    boost = machine.read(f"{CPU}/cpufreq/boost")
    return boost == "1" if boost in ("0", "1") else None


def _temperatures(machine: Machine) -> dict[str, float]:
    found: dict[str, float] = {}
    for folder in _glob(machine.root, "sys/class/thermal/thermal_zone[0-9]*"):
        milli = _int(machine.read(f"{folder}/temp"))
        if milli is not None:  # zones that are switched off answer with an error
            name = machine.read(f"{folder}/type") or Path(folder).name
            found[name if name not in found else f"{name} {Path(folder).name}"] = milli / 1000
    return found


def _clocks(machine: Machine) -> dict[str, float]:
    found: dict[str, float] = {}
    for folder in _glob(machine.root, f"{CPU}/cpufreq/policy[0-9]*"):
        khz = _int(machine.read(f"{folder}/scaling_cur_freq"))
        if khz is not None:
            found[f"cpu {Path(folder).name}"] = khz / 1000
    for folder in _glob(machine.root, "sys/class/devfreq/*"):  # GPU and memory of boards
        hz = _int(machine.read(f"{folder}/cur_freq"))
        if hz is not None:
            found[Path(folder).name] = hz / 1e6
    return found


def _cooling(machine: Machine, now: dict[str, bool]) -> None:
    for folder in _glob(machine.root, "sys/class/thermal/cooling_device[0-9]*"):
        name, state = machine.read(f"{folder}/type"), _int(machine.read(f"{folder}/cur_state"))
        if state is not None and SLOWING.search(name):
            now[name] = now.get(name, False) or state > 0


def _counters(machine: Machine) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in (
        *_glob(machine.root, f"{CPU}/cpu[0-9]*/thermal_throttle/*_throttle_count"),
        *_glob(machine.root, "sys/class/hwmon/hwmon*/oc*_event_cnt"),
    ):
        count, name = _int(machine.read(file)), Path(file).name
        if count is not None:
            found[name] = found.get(name, 0) + count
    return found


def _raspberry_pi(machine: Machine, now: dict[str, bool], events: dict[str, int]) -> None:
    model = machine.model()
    if model is None or "Raspberry Pi" not in model.value:
        return
    try:
        text = commands_of(machine.root)("vcgencmd", "get_throttled")
        bits = int(text.strip().removeprefix("throttled="), 16)
    except (PowerError, ValueError):
        return
    for bit, name in PI_BITS.items():
        now[name] = bool(bits >> bit & 1)
        events[f"{name} since the boot"] = bits >> (bit + 16) & 1


def _glob(root: Path, pattern: str) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.glob(pattern))


def _int(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isdecimal() else None
