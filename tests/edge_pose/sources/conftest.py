"""Clips for the tests of the sources, and damaged versions of them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import edge_pose

CLIPS = Path(edge_pose.__file__).parent / "samples"


@pytest.fixture
def walking() -> Path:
    """175 frames, 854x480, 30 per second, its index (moov) at the end of the file."""
    return CLIPS / "one_person_walking.mp4"


@pytest.fixture
def two_people() -> Path:
    """50 frames, 544x960, 30 per second."""
    return CLIPS / "two_people.mp4"


@pytest.fixture
def truncated(
    walking: Path, tmp_path: Path, index_first: Callable[[bytes], bytes]
) -> Callable[[float], Path]:
    """Return a function that keeps a part of a clip whose index comes first."""

    def cut(part: float) -> Path:
        data = index_first(walking.read_bytes())
        file = tmp_path / "clip.mp4"
        file.write_bytes(data[: round(len(data) * part)])
        return file

    return cut


@pytest.fixture
def rotated(walking: Path, tmp_path: Path) -> Path:
    """The clip with a display matrix that turns it by 90°, as phones write it."""
    data = bytearray(walking.read_bytes())
    header = data.index(b"tkhd") + 4
    matrix = header + (40 if data[header] == 0 else 52)
    struct.pack_into(">9i", data, matrix, 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    file = tmp_path / "portrait.mp4"
    file.write_bytes(data)
    return file
