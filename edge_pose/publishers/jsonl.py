"""Pose messages in a file, one JSON object per line."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

from edge_pose.errors import PublisherError
from edge_pose.messages import encode
from edge_pose.publishers.base import Message, PublisherReport
from edge_pose.publishers.output_file import prepare_output
from edge_pose.types import FrameResult

logger = logging.getLogger(__name__)


class JsonlPublisher:
    """Writes every pose message as one line, unbuffered: a killed process leaves whole lines.

    Only pose messages are written, so that every line of the file has the same shape. When the disk
    is full, messages are dropped and counted, and a half written line is cut off again.

    Args:
        path: the file; missing parent folders are created.
        overwrite: replace a file that exists.

    Raises:
        PublisherError: the file cannot be written, or exists and may not be replaced.
    """

    name = "jsonl"

    def __init__(self, path: Path, *, overwrite: bool = True) -> None:
        self._path = path
        self._sent = 0
        self._dropped = 0
        self._size = 0  # bytes of whole lines
        self._failing = False
        prepare_output(path, overwrite=overwrite)
        try:
            # No buffer: one write per line, nothing to lose when the process is killed.
            self._file = path.open("wb", buffering=0)
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
