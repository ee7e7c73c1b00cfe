"""Device profiles: what is known of the hardware that edge_pose runs on."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

import device_configs
from edge_pose.config import NAME_PATTERN, Section, check_keys, first_error, read_toml
from edge_pose.errors import ConfigError
from edge_pose.lookup import lookup

SCHEMA = "edge_pose.device/1"

# `uname -m` -> generic profile; macOS and Windows have names of their own for the same machines.
GENERIC = {
    "x86_64": "generic_x86_64",
    "amd64": "generic_x86_64",
    "aarch64": "generic_aarch64",
    "arm64": "generic_aarch64",
}


class RuntimeFacts(Section):
    """How inference runs on the device."""

    backend: str = Field(pattern=NAME_PATTERN, description="name of a runtime backend")
    threads: int = Field(0, ge=0, le=1024, description="inference threads; 0 leaves one core free")


class PowerFacts(Section):
    """How its power is known."""

    meter: str = Field(pattern=NAME_PATTERN, description="name of a power meter")
    idle_w: float = Field(ge=0, le=10_000, description="W at rest, for the estimate")
    max_w: float = Field(ge=0, le=10_000, description="W with all cores busy, for the estimate")

    @model_validator(mode="after")
    def _ordered(self) -> PowerFacts:
        if self.max_w < self.idle_w:
            raise ValueError(f"max_w {self.max_w:g} is below idle_w {self.idle_w:g}")
        return self


class DeviceProfile(Section):
    """One device; hardware facts only. None means that they differ within this profile."""

    name: str = Field(pattern=NAME_PATTERN)
    description: str = ""
    arch: str = Field(pattern=NAME_PATTERN, description="as `uname -m` says it")
    cores: int | None = Field(None, ge=1, le=4096)
    memory_mib: int | None = Field(None, ge=1)
    precisions: Annotated[tuple[Literal["fp32", "fp16", "bf16", "int8"], ...], Field(min_length=1)]
    runtime: RuntimeFacts
    power: PowerFacts


def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    return device_configs.profile_names()


def load_profile(name: str) -> DeviceProfile:
    """Read a profile.

    Args:
        name: a shipped profile, a TOML file of your own (ending in .toml), or "auto" for the one
            that fits this machine.

    Raises:
        UsageError: no profile of this name.
        ConfigError: the file is missing or wrong; one line with file, key and what is allowed.
    """
    if name == "auto":
        return detect_profile()
    if name.endswith(".toml"):
        return _read(Path(name))
    paths = {known: device_configs.profile_path(known) for known in profile_names()}
    return _read(lookup(paths, name, "device profile"))


def detect_profile(root: Path = Path("/"), machine: str | None = None) -> DeviceProfile:
    """Return the profile of this machine: its board's where it is known, else a generic one.

    Args:
        root: root of the file system, for <root>/proc/device-tree/model.
        machine: processor architecture; `platform.machine()` by default.

    Raises:
        ConfigError: there is no profile for this architecture.
    """
    machine = machine or platform.machine()
    generic = GENERIC.get(machine.lower())
    if generic is None:
        raise ConfigError(
            f"profile 'auto': none for machine '{machine}' (known: {', '.join(GENERIC)}): "
            "give the path of a profile of your own"
        )
    board = re.match(r"Raspberry Pi ([45])\b", _device_tree_model(root))
    return load_profile(f"raspberry_pi_{board[1]}" if board else generic)


def _device_tree_model(root: Path) -> str:
    """Return the board's name, for example "Raspberry Pi 5 Model B Rev 1.0", or ""."""
    try:
        data = (root / "proc/device-tree/model").read_bytes()
    except OSError:  # no device tree: an x86 computer, a container
        return ""
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _read(file: Path) -> DeviceProfile:
    values: dict[str, Any] = read_toml(file)
    schema = values.pop("schema", None)
    if schema != SCHEMA:
        raise ConfigError(f"{file}: schema is {schema!r}, this version reads {SCHEMA!r}")
    check_keys(values, DeviceProfile, str(file))
    try:
        return DeviceProfile.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{file}: {first_error(error)}") from None
