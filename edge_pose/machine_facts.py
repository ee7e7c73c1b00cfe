"""What a machine says about itself: device tree, DMI, processor, PCI, USB, Android.

Everything is read below a root, and what is missing or unreadable is simply not known: containers
hide most of it, and an application on Android may read next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEVICE_TREE = ("proc/device-tree", "sys/firmware/devicetree/base")
CPUINFO = "proc/cpuinfo"
ARCH = "proc/sys/kernel/arch"  # as `uname -m` says it, since Linux 6.1
DMI = "sys/class/dmi/id"
PCI = "sys/bus/pci/devices"
USB = "sys/bus/usb/devices"
BUILD_PROP = "system/build.prop"
GETPROP = "system/bin/getprop"
MAX_BYTES = 1 << 20  # /proc/cpuinfo of a large server; no file of interest is larger


@dataclass(frozen=True, slots=True)
class Fact:
    """Something read.

    Attributes:
        where: the file or folder, below the root.
        value: what it says.
    """

    where: str
    value: str

    def __str__(self) -> str:
        return f"{self.where}: {self.value}"


@dataclass(frozen=True, slots=True)
class BusDevice:
    """A device on PCI or USB.

    Attributes:
        where: its folder, below the root.
        vendor: number in hexadecimal, four digits.
        product: likewise.
        kind: PCI class, six digits (class, subclass, interface); empty on USB.
    """

    where: str
    vendor: str
    product: str
    kind: str = ""

    @property
    def id(self) -> str:
        """As lspci and lsusb show it."""
        return f"{self.vendor}:{self.product}"

    @property
    def fact(self) -> Fact:
        """For explanations."""
        return Fact(self.where, f"{self.id}, class {self.kind}" if self.kind else self.id)


class Machine:
    """The machine whose file system begins at `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def compatible(self) -> tuple[Fact, ...]:
        """Return the device tree's names of board and processor, the most exact first."""
        for folder in DEVICE_TREE:
            where = f"{folder}/compatible"
            if names := self.read(where):
                return tuple(Fact(where, name) for name in names.split("\0"))
        return ()

    def model(self) -> Fact | None:
        """Return the board's name, for example "Raspberry Pi 5 Model B Rev 1.0".

        The kernel of Raspberry Pi OS repeats it in /proc/cpuinfo, which containers can read.
        """
        for folder in DEVICE_TREE:
            if name := self.read(f"{folder}/model"):
                return Fact(f"{folder}/model", name)
        name = self.cpuinfo().get("Model", "")
        return Fact(CPUINFO, name) if name else None

    def cpuinfo(self) -> dict[str, str]:
        """Return the fields of /proc/cpuinfo, each as it is said first."""
        fields: dict[str, str] = {}
        for line in self.read(CPUINFO).splitlines():
            key, colon, value = line.partition(":")
            if colon:
                fields.setdefault(key.strip(), value.strip())
        return fields

    def arch(self) -> Fact | None:
        """Return the processor architecture as `uname -m` would say it."""
        if name := self.read(ARCH):
            return Fact(ARCH, name)
        fields = self.cpuinfo()
        if "lm" in fields.get("flags", "").split():  # long mode: proc/cpuinfo of x86
            return Fact(CPUINFO, "x86_64")
        if fields.get("CPU architecture") == "8":  # arch/arm64/kernel/cpuinfo.c
            return Fact(CPUINFO, "aarch64")
        return None

    def dmi(self) -> str:
        """Return maker and product of a PC, "" where there is no DMI."""
        parts = (self.read(f"{DMI}/sys_vendor"), self.read(f"{DMI}/product_name"))
        return " ".join(part for part in parts if part)

    def pci(self) -> Iterator[BusDevice]:
        """Yield the devices on PCI."""
        for folder in self._folders(PCI):
            vendor, product, kind = (
                self.read(f"{folder}/{name}").removeprefix("0x").lower()
                for name in ("vendor", "device", "class")
            )
            if vendor and product:
                yield BusDevice(folder, vendor, product, kind)

    def usb(self) -> Iterator[BusDevice]:
        """Yield the devices on USB."""
        for folder in self._folders(USB):
            vendor = self.read(f"{folder}/idVendor").lower()
            product = self.read(f"{folder}/idProduct").lower()
            if vendor and product:
                yield BusDevice(folder, vendor, product)

    def android(self) -> Fact | None:
        """Return what shows that this is Android: its model where applications may read that."""
        for line in self.read(BUILD_PROP).splitlines():
            key, equals, value = line.partition("=")
            if equals and key.strip() in ("ro.product.model", "ro.product.system.model"):
                return Fact(BUILD_PROP, value.strip())
        for where in (BUILD_PROP, GETPROP):
            if self._exists(where):
                return Fact(where, "is there")
        return None

    def read(self, where: str) -> str:
        """Return a text file without its ends' blanks and zeros, "" where it cannot be read."""
        try:
            with (self.root / where).open("rb") as stream:
                data = stream.read(MAX_BYTES)
        except (OSError, ValueError):
            return ""
        return data.decode("utf-8", "replace").strip("\0 \t\r\n")

    def _exists(self, where: str) -> bool:
        try:
            return (self.root / where).exists()
        except OSError:
            return False

    def _folders(self, where: str) -> list[str]:
        try:
            return sorted(f"{where}/{entry.name}" for entry in (self.root / where).iterdir())
        except OSError:
            return []
