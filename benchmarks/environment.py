"""What machine a figure was measured on, and what may disturb it.

Facts of Linux are read below a root that the caller may replace: proc(5) and the kernel's
admin-guide/pm/cpufreq.rst and intel_pstate.rst. What is not there is None.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edge_pose import __version__
from edge_pose.backends import available_cores
from edge_pose.power.throttling import read_governor, read_turbo

LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "openvino", "ai-edge-litert")
BUSY_PER_CORE = 0.5  # load per core before the start above which other work disturbs


class Environment(BaseModel):
    """One machine.

    Attributes:
        machine: architecture as `uname -m` says it.
        cpu_model: the processor, or the board where the kernel names no processor.
        cores: that the machine has.
        cores_available: that this process may use.
        memory_mib: installed memory.
        system: operating system, for example "Linux".
        kernel: its release.
        governor: of the processor's frequency; several, where cores differ, joined by ",".
        turbo: whether the processor may exceed its nominal frequency.
        load_1min: load average before the benchmark.
        python: version of the interpreter.
        libraries: versions by distribution name, edge-pose included.
        warnings: one line for each thing that may disturb the figures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine: str
    cpu_model: str | None
    cores: int
    cores_available: int
    memory_mib: int | None
    system: str
    kernel: str
    governor: str | None
    turbo: bool | None
    load_1min: float | None
    python: str
    libraries: dict[str, str]
    warnings: tuple[str, ...]


def read_environment(root: Path = Path("/")) -> Environment:
    """Return the facts of this machine; call it before the benchmark loads it.

    Args:
        root: root of the file system, for <root>/proc and <root>/sys.
    """
    cores = os.cpu_count() or 1
    governor, turbo, load = read_governor(root), read_turbo(root), _load(root)
    return Environment(
        machine=platform.machine(),
        cpu_model=_cpu_model(root),
        cores=cores,
        cores_available=available_cores(),
        memory_mib=_memory_mib(root),
        system=platform.system(),
        kernel=_text(root / "proc/sys/kernel/osrelease") or platform.release(),
        governor=governor,
        turbo=turbo,
        load_1min=load,
        python=platform.python_version(),
        libraries=_libraries(),
        warnings=tuple(_warnings(governor, turbo, load, cores)),
    )


def _warnings(
    governor: str | None, turbo: bool | None, load: float | None, cores: int
) -> list[str]:
    found = []
    if load is not None and load > BUSY_PER_CORE * cores:
        found.append(
            f"load average {load:g} on {cores} cores before the start: other work disturbs the"
            " figures, trust ratios more than absolute ones"
        )
    if governor is not None and governor != "performance":
        found.append(
            f"frequency governor '{governor}': the clock follows the load, 'performance' is steady"
        )
    if turbo:
        found.append("turbo is on: the clock falls as the processor warms, without it it is steady")
    if sys.dont_write_bytecode:
        found.append(
            "PYTHONDONTWRITEBYTECODE is set: where no bytecode is cached, every start compiles"
        )
    return found


def _text(file: Path) -> str:
    """Return the file's text, or "" where it cannot be read."""
    try:
        return file.read_bytes().rstrip(b"\0\n").decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _cpu_model(root: Path) -> str | None:
    cpuinfo = _text(root / "proc/cpuinfo")
    # x86 gives every core a "model name"; Arm gives none, but boards have a "Model" at the end.
    for key in ("model name", "Model"):
        if match := re.search(rf"^{key}\s*:\s*(\S.*)$", cpuinfo, re.MULTILINE):
            return match[1].strip()
    return _text(root / "proc/device-tree/model") or None


def _memory_mib(root: Path) -> int | None:
    match = re.search(r"^MemTotal:\s*(\d+) kB$", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(match[1]) // 1024 if match else None


def _load(root: Path) -> float | None:
    match = re.match(r"\d+\.\d+", _text(root / "proc/loadavg"))
    return float(match[0]) if match else None


def _libraries() -> dict[str, str]:
    found = {"edge-pose": __version__}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # an optional runtime that is not installed
            continue
    return found
