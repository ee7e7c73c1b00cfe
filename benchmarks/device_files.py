"""Files with results of `edge-pose-bench run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.read_report import read_report
from benchmarks.result import DeviceResult
from edge_pose.errors import PublisherError, UsageError


class Named(NamedTuple):
    """A result and what to call it."""

    name: str
    result: DeviceResult


def read_device_result(file: Path) -> DeviceResult:
    """Read one result.

    Raises:
        UsageError: it cannot be read, or is a report of another kind.
    """
    report = read_report(file)
    if not isinstance(report, DeviceResult):
        raise UsageError(
            f"{file}: is a report of kind '{report.kind}' in {report.schema_}, expected a result of"
            " `edge-pose-bench run` (kind 'device'): measure it again"
        )
    return report


def read_device_results(files: Sequence[Path]) -> list[Named]:
    """Read results, in the order of the files.

    Each is named as its file without the ending, with the folder where two files have one name.

    Raises:
        UsageError: one cannot be read, or a file is named twice.
    """
    seen: set[Path] = set()
    for file in files:
        if file.resolve() in seen:
            raise UsageError(f"{file}: is given twice")
        seen.add(file.resolve())
    names = unlike_names(files)
    return [Named(name, read_device_result(file)) for name, file in zip(names, files, strict=True)]


def unlike_names(files: Sequence[Path]) -> list[str]:
    """Return each file's name without the ending, with the folder where two have one name."""
    stems = [file.stem for file in files]
    return [
        file.stem if stems.count(file.stem) == 1 else str(file.with_suffix("")) for file in files
    ]


def check_writable(file: Path) -> None:
    """Find out whether a file can be written, and leave it as it is.

    Raises:
        PublisherError: it cannot be.
    """
    there = file.exists()
    try:
        with file.open("a", encoding="utf-8"):
            pass
        if not there:
            file.unlink()
    except OSError as error:
        raise PublisherError(f"{file}: cannot be written: {error.strerror}") from None


def write_text(file: Path, text: str) -> None:
    """Write a file.

    Raises:
        PublisherError: it cannot be written.
    """
    try:
        file.write_text(text, "utf-8", newline="")
    except OSError as error:
        raise PublisherError(f"{file}: cannot be written: {error.strerror}") from None
