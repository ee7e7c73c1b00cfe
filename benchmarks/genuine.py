"""Whether a run took place on the hardware that its result names."""

from __future__ import annotations

import platform
from pathlib import Path

from edge_pose.detect import detect
from edge_pose.errors import ConfigError
from edge_pose.machine_facts import CPUINFO, Machine

# `uname -m` of the same processors: a 32-bit system on a 64-bit kernel is no emulation.
FAMILIES = {"x86": ("x86_64", "amd64", "i686", "i586", "i386"), "arm": ("aarch64", "arm64", "arm")}


def fitting_profiles(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the device profiles that fit this machine, the best first; none where none does.

    Args:
        root: root of the file system.
    """
    try:
        found = detect(root)
    except ConfigError:
        return ()
    return tuple(dict.fromkeys((found.profile, *(other.profile for other in found.others))))


def emulation(root: Path = Path("/"), arch: str | None = None) -> tuple[str, ...]:
    """Return one line for everything that is emulated or recorded here; empty: nothing shows it.

    qemu-user answers uname with the emulated architecture, while the kernel's own file
    (/proc/sys/kernel/arch, Linux 6.1) still has the real one. QEMU without KVM names its processor
    (target/i386/cpu.c: "QEMU TCG CPU").

    Args:
        root: root of the file system.
        arch: processor architecture; `platform.machine()` by default.
    """
    found = []
    machine = Machine(root)
    if root != Path("/"):
        found.append("meter and machine were read below another root: a recording")
    arch = arch or platform.machine()
    kernel = machine.read("proc/sys/kernel/arch")
    if kernel and not same_processor(kernel, arch):
        found.append(f"processor: {arch} on a kernel for {kernel}")
    if "TCG" in machine.cpuinfo().get("model name", "").split():
        found.append(f"processor: {CPUINFO} names QEMU's own")
    return tuple(found)


def same_processor(one: str, other: str) -> bool:
    """Return whether two architectures are those of the same processors."""
    return _family(one) == _family(other)


def _family(arch: str) -> str:
    for family, names in FAMILIES.items():
        if arch.lower().startswith(names):
            return family
    return arch
