"""The files of one training run."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Paths:
    """Files of one run."""

    folder: Path

    @property
    def log(self) -> Path:
        """One JSON object per epoch."""
        return self.folder / "log.jsonl"

    @property
    def resume(self) -> Path:
        """State to go on from."""
        return self.folder / "resume.pt"

    @property
    def weights(self) -> Path:
        """The averaged weights of the last finished epoch."""
        return self.folder / "checkpoint.safetensors"

    @property
    def events(self) -> Path:
        """Folder of the event files that TensorBoard reads."""
        return self.folder / "events"


def trim_log(file: Path, epochs: int) -> None:
    """Keep one line for each of the finished epochs: a killed run repeats what came after them.

    Args:
        file: log.jsonl; it need not exist.
        epochs: finished epochs, as the state knows them.
    """
    if not file.exists():
        return
    text = file.read_text("utf-8")
    lines = {}
    for line in text.splitlines(keepends=True):
        try:
            lines[int(json.loads(line)["epoch"])] = line
        except (KeyError, TypeError, ValueError):
            log.warning("%s: dropping a damaged line", file)
    kept = "".join(line for epoch, line in lines.items() if epoch <= epochs)
    if kept != text:
        temporary = file.with_suffix(".partial")
        temporary.write_text(kept, "utf-8")
        temporary.replace(file)
