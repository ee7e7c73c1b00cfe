"""What the kernel knows about a process: proc(5), Linux only."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path("/proc")
UTIME, STIME = 11, 12  # fields 14 and 15 of `stat`, counted from behind the name


def cpu_s(pid: int, root: Path = ROOT) -> float | None:
    """Return the seconds of processor time that a process has had; None where that is not told."""
    try:
        text = (root / str(pid) / "stat").read_text("ascii", "replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold blanks and brackets
    ticks = int(fields[UTIME]) + int(fields[STIME])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_kib(pid: int, root: Path = ROOT) -> int | None:
    """Return the memory that a process occupies (RSS), KiB; None where that is not told."""
    try:
        text = (root / str(pid) / "status").read_text("ascii", "replace")
    except OSError:
        return None
    found = re.search(r"^VmRSS:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) if found else None
