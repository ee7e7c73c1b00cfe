"""Numbers and names below /sys, for meters: what cannot be read is one PowerError."""

from __future__ import annotations

from pathlib import Path

from edge_pose.errors import PowerError


def read_text(meter: str, file: Path, *, if_denied: str = "run as root") -> str:
    """Return a file's text without blanks at its ends.

    Args:
        meter: its name, for the message.
        file: of sysfs.
        if_denied: what helps where this user may not read it.

    Raises:
        PowerError: it is missing or unreadable.
    """
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except PermissionError:
        raise PowerError(f"{meter}: {file}: permission denied: {if_denied}") from None
    except OSError as error:  # ENODATA, for example, from a sensor that is switched off
        raise PowerError(f"{meter}: {file}: cannot be read: {error.strerror}") from None


def read_int(meter: str, file: Path, *, if_denied: str = "run as root") -> int:
    """Return a file's whole number.

    Raises:
        PowerError: it is missing, unreadable or no whole number.
    """
    text = read_text(meter, file, if_denied=if_denied)
    if not text.removeprefix("-").isdecimal():
        raise PowerError(f"{meter}: {file}: found {text[:40]!r}, expected a whole number")
    return int(text)
