"""Which device profile fits a machine, and what shows it.

A board is told by its device tree's `compatible`, whose names are those of the Linux kernel
(Documentation/devicetree/bindings/arm/tegra.yaml and bcm2835.yaml, arch/arm64/boot/dts/nvidia).
`model` is free text that makers of carrier boards change, and is asked only where that is missing.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_pose.errors import ConfigError
from edge_pose.machine_facts import CPUINFO, Fact, Machine

# `uname -m` -> generic profile; macOS and Windows have names of their own for the same machines.
GENERIC = {
    "x86_64": "generic_x86_64",
    "amd64": "generic_x86_64",
    "aarch64": "generic_aarch64",
    "arm64": "generic_aarch64",
}
# The numbers are the modules' (p3448 Nano, p3668 Xavier NX, p3767 Orin Nano and NX, p3701 AGX
# Orin), then the variant: p3448-0003 has 2 GB, p3767-0004 4 GB, p3767-0000 to -0002 are Orin NX.
BOARDS = {
    "jetson_nano": r"p3448-000[02]\b|nvidia,p3450-",
    "jetson_xavier_nx": r"p3668-000[013]\b",
    "jetson_orin_nano": r"p3767-000[35]\b",
    "jetson_agx_orin": r"p3701-",
    "raspberry_pi_4": r"raspberrypi,4-model-b$",
    "raspberry_pi_5": r"raspberrypi,5-model-b$",
    "raspberry_pi_zero_2w": r"raspberrypi,model-zero-2(-w)?$",
}
MODELS = {
    "jetson_nano": r"NVIDIA Jetson Nano Developer Kit",
    "jetson_xavier_nx": r"NVIDIA Jetson Xavier NX\b",
    "jetson_orin_nano": r"NVIDIA Jetson Orin Nano\b",
    "jetson_agx_orin": r"NVIDIA Jetson AGX Orin\b",
    "raspberry_pi_4": r"Raspberry Pi 4 Model B\b",
    "raspberry_pi_5": r"Raspberry Pi 5\b",
    "raspberry_pi_zero_2w": r"Raspberry Pi Zero 2 W\b",
}
# A board without a profile runs what its processor's other boards run; its watts are its own.
PROCESSORS = {
    "nvidia,tegra210": "jetson_nano",
    "nvidia,tegra194": "jetson_xavier_nx",
    "nvidia,tegra234": "jetson_orin_nano",
    "brcm,bcm2711": "raspberry_pi_4",
    "brcm,bcm2712": "raspberry_pi_5",
    "brcm,bcm2837": "raspberry_pi_zero_2w",
}
INTEL, NVIDIA = "8086", "10de"
DISPLAY, ACCELERATOR = "03", "1200"  # PCI Code and ID Assignment Specification, base and sub-class
ON_CHIP = re.compile(r"/0000:00:")  # bus 0: cards are on others
# Before and after libedgetpu loads its firmware (coral.ai, "Get started with the USB Accelerator").
CORAL_USB = ("1a6e:089a", "18d1:9302")
CORAL_PCI = "1ac1:089a"  # coral.ai, "Get started with the M.2 or Mini PCIe Accelerator"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile that fits, and what shows it."""

    profile: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Detection:
    """The result.

    Attributes:
        profile: name of the profile that fits best.
        facts: what decided.
        machine: what the machine calls itself, "" where it does not say.
        arch: as `uname -m` says it.
        others: further profiles that fit, with their facts.
        notes: what is there and has no profile.
    """

    profile: str
    facts: tuple[Fact, ...]
    machine: str
    arch: str
    others: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()


def detect(root: Path = Path("/"), arch: str | None = None) -> Detection:
    """Find the profiles that fit a machine.

    Args:
        root: root of its file system.
        arch: processor architecture; by default the running system's for the root "/", and what
            the files say for another one.

    Raises:
        ConfigError: there is no profile for it, or nothing says what it is.
    """
    machine = Machine(root)
    found = _arch(machine, root, arch)
    fitting = list(_host(machine, found))
    if not fitting:
        raise ConfigError(_no_profile(found, root))
    first, *others = fitting
    others += [*_attached(machine, found), *_relatives(machine)]
    model = machine.model()
    return Detection(
        profile=first.profile,
        facts=first.facts,
        machine=model.value if model else machine.dmi(),
        arch=found.value if found else "",
        others=tuple({other.profile: other for other in others}.values()),
        notes=tuple(_notes(machine)),
    )


def _arch(machine: Machine, root: Path, arch: str | None) -> Fact | None:
    if arch is None and root == Path("/"):
        arch = platform.machine()
    return Fact("uname -m", arch) if arch else machine.arch()


def _no_profile(arch: Fact | None, root: Path) -> str:
    if arch is None:
        return f"profile 'auto': {root}: no file says what machine this is: name its profile"
    return (
        f"profile 'auto': none for machine '{arch.value}' (known: {', '.join(GENERIC)}): "
        "give the path of a profile of your own"
    )


def _host(machine: Machine, arch: Fact | None) -> Iterator[Candidate]:
    """Yield profiles of the machine itself, the most exact first."""
    generic = GENERIC.get(arch.value.lower()) if arch else None
    android = machine.android()
    if arch and android and generic == "generic_aarch64":
        yield Candidate("android_arm64", (arch, android))
    yield from _boards(machine)
    if not arch or not generic:
        return
    vendor = machine.cpuinfo().get("vendor_id", "")  # of x86 only
    facts = (arch, Fact(CPUINFO, f"vendor_id {vendor}")) if vendor else (arch,)
    if generic == "generic_x86_64" and vendor == "GenuineIntel":
        yield Candidate("intel_cpu", facts)
    yield Candidate(generic, facts)


def _boards(machine: Machine) -> Iterator[Candidate]:
    names = machine.compatible()
    model = machine.model()
    rules, asked = (BOARDS, names) if names else (MODELS, (model,) if model else ())
    for fact in asked:
        for profile, rule in rules.items():
            if re.search(rule, fact.value):
                yield Candidate(profile, (fact,))
                return


def _attached(machine: Machine, arch: Fact | None) -> Iterator[Candidate]:
    """Yield profiles of what PCI and USB show."""
    pci = list(machine.pci())
    if arch and GENERIC.get(arch.value.lower()) == "generic_x86_64":
        for device in pci:
            if device.vendor == INTEL and ON_CHIP.search(device.where):
                if device.kind.startswith(DISPLAY):
                    yield Candidate("intel_igpu", (device.fact,))
                elif device.kind.startswith(ACCELERATOR):
                    yield Candidate("intel_npu", (device.fact,))
    corals = [d for d in machine.usb() if d.id in CORAL_USB] + [d for d in pci if d.id == CORAL_PCI]
    if corals:
        yield Candidate("coral_edge_tpu", tuple(device.fact for device in corals))


def _relatives(machine: Machine) -> Iterator[Candidate]:
    """Yield the profile of another board with the same processor, where this one has none."""
    if any(_boards(machine)):
        return
    for fact in machine.compatible():
        if fact.value in PROCESSORS:
            yield Candidate(PROCESSORS[fact.value], (fact,))


def _notes(machine: Machine) -> Iterator[str]:
    for device in machine.pci():
        if device.vendor == NVIDIA and device.kind.startswith(DISPLAY):
            yield f"{device.fact}: an NVIDIA GPU; no profile describes it, one of your own can"
