"""Which runtime, device and threads a run gets, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_pose.backends import BACKENDS, READS, default_threads, installed, own_backend
from edge_pose.backends.base import CPU
from edge_pose.lookup import lookup
from edge_pose.manifest import Manifest

if TYPE_CHECKING:
    from edge_pose.profile import DeviceProfile

ASKED = "asked for"


@dataclass(frozen=True, slots=True)
class Choice:
    """What to open, and where each part comes from.

    Attributes:
        backend: a key of BACKENDS.
        device: in the backend's words.
        threads: at least one.
        reasons: why, by part.
    """

    backend: str
    device: str
    threads: int
    reasons: dict[str, str]

    def __str__(self) -> str:
        parts = ("backend", self.backend), ("device", self.device), ("threads", self.threads)
        return ", ".join(f"{name} {value} ({self.reasons[name]})" for name, value in parts)


def choose(
    manifest: Manifest,
    profile: DeviceProfile,
    *,
    backend: str | None = None,
    device: str | None = None,
    threads: int = 0,
    strict: bool = False,
) -> Choice:
    """Choose: what is asked for, else what the device profile says, else the artifact's own.

    Where the artifact's own is not installed it is another one that reads the file.

    Args:
        manifest: of the artifact.
        profile: its runtime is taken where it reads the artifact and is installed.
        backend: asked for by configuration or flag.
        device: likewise.
        threads: likewise; 0 is no wish.
        strict: a profile's runtime that is not installed is taken all the same, to be refused.

    Raises:
        UsageError: a backend is unknown.
    """
    wanted, by_profile = profile.runtime, f"profile {profile.name}"
    if backend is not None:
        chosen, reason = backend, ASKED
    elif missing := _missing(wanted.backend, manifest, strict=strict):
        chosen = own_backend(manifest.file)
        own = "the artifact's own" if chosen == manifest.file.backend else "installed and reads it"
        reason = f"{own}; {by_profile} has {wanted.backend}, which {missing}"
    else:
        chosen, reason = wanted.backend, by_profile
    lookup(BACKENDS, chosen, "backend")
    reasons = {"backend": reason, "device": ASKED, "threads": ASKED}
    if device is None:
        # Each runtime has words of its own for devices.
        same = chosen == wanted.backend
        device, reasons["device"] = (wanted.device, by_profile) if same else (CPU, "the default")
    if threads == 0:
        threads, reasons["threads"] = wanted.threads, by_profile
    if threads == 0:
        threads, reasons["threads"] = default_threads(), "one core stays free"
    return Choice(chosen, device, threads, reasons)


def _missing(backend: str, manifest: Manifest, *, strict: bool) -> str:
    """Return why a profile's runtime cannot be taken, "" where it can."""
    if backend not in BACKENDS:
        return "is unknown here"
    if manifest.file.format not in READS[backend]:
        return f"does not read {manifest.file.format}"
    return "" if strict or installed(backend) else "is not installed"
