"""Pose messages in a file, one JSON object per line."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path

from edge_pose.errors import PublisherError
from edge_pose.messages import encode
from edge_pose.publishers.base import Message, PublisherReport
from edge_pose.publishers.output_file import prepare_output
from edge_pose.types import FrameResult

logger = logging.getLogger(__name__)

MAX_LINE_BYTES = 1 << 20  # a message of 100 people has about 100 kB


class JsonlPublisher:
    """Writes every pose message as one line, unbuffered: a killed process leaves whole lines.

    Only pose messages are written, so that every line of the file has the same shape. When the disk
    is full, messages are dropped and counted, and a half written line is cut off again.

    Args:
        path: the file; missing parent folders are created.
        overwrite: replace a file that exists.
        append: keep the lines of a file that exists and go on after them, whatever `overwrite`
            says; half a line at its end (of a machine that lost power) is cut off.

    Raises:
        PublisherError: the file cannot be written, exists and may not be replaced, or ends with
            something that no JSONL publisher has written.
    """

    name = "jsonl"

    def __init__(self, path: Path, *, overwrite: bool = True, append: bool = False) -> None:
        self._path = path
        self._sent = 0
        self._dropped = 0
        self._failing = False
        prepare_output(path, overwrite=overwrite or append)
        try:
            self._size = _repair(path) if append and path.is_file() else 0  # bytes of whole lines
            # No buffer: one write per line, nothing to lose when the process is killed.
            self._file = path.open("ab" if append else "wb", buffering=0)
        except OSError as error:
            raise PublisherError(f"{path}: cannot be written: {error.strerror}") from None

    @property
    def dropped(self) -> int:
        """Pose messages that could not be written so far."""
        return self._dropped

    def poses(self, result: FrameResult, message: Message) -> None:  # noqa: ARG002 - the protocol's
        """Append one line."""
        line = encode(message) + b"\n"
        try:
            whole = self._file.write(line) == len(line)
            reason = "disk full"
        except OSError as error:
            whole, reason = False, error.strerror or str(error)
        if whole:
            self._size += len(line)
            self._sent += 1
            self._failing = False
            return
        self._dropped += 1
        with contextlib.suppress(OSError):
            self._file.truncate(self._size)
            self._file.seek(self._size, os.SEEK_SET)
        if not self._failing:
            self._failing = True
            logger.error("%s: cannot be written: %s; dropping pose messages", self._path, reason)

    def state(self, message: Message) -> None:
        """Not written: the file holds pose messages only."""

    def stats(self, message: Message) -> None:
        """Not written: the file holds pose messages only."""

    def close(self) -> PublisherReport:
        """Close the file; calling it twice is allowed."""
        with contextlib.suppress(OSError):
            self._file.close()
        return PublisherReport(self.name, str(self._path), self._sent, self._dropped)


def _repair(path: Path) -> int:
    """Make a file end with a whole line; return its size in bytes.

    Raises:
        PublisherError: what comes after the last whole line is no part of a message.
        OSError: the file cannot be read or written.
    """
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(size - MAX_LINE_BYTES, 0))
        head, newline, rest = file.read().rpartition(b"\n")
        if not rest:
            return size
        if not rest.startswith(b"{") or (start > 0 and not newline):
            raise PublisherError(f"{path}: does not end with a pose message; choose another file")
        if _is_json(rest):  # only its newline is missing
            return size + file.write(b"\n")
        size = start + len(head) + len(newline)
        file.truncate(size)
    logger.warning("%s: half a line at the end was cut off (%d bytes)", path, len(rest))
    return size


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
