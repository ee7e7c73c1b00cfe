"""Event files: what is written can be read back by the format's own rules."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from training.events import scalars, write_events


def events(folder: Path) -> Iterator[Event]:
    for file in sorted(folder.iterdir()):
        data, at = file.read_bytes(), 0
        while at < len(data):  # TFRecord: length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", data, at)
            yield Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length


def test_numbers_arrive_under_their_names_at_their_step(tmp_path: Path) -> None:
    for step, loss in ((3, 0.5), (6, 0.25)):
        record = {"step": step, "loss": loss, "held_out": {"mean14": 40.0}, "note": "x"}
        write_events(tmp_path, record)
    found = {
        (event.step, value.tag): value.simple_value
        for event in events(tmp_path)
        for value in event.summary.value
    }
    assert found == {
        (3, "loss"): 0.5,
        (3, "held_out/mean14"): 40.0,
        (6, "loss"): 0.25,
        (6, "held_out/mean14"): 40.0,
    }


def test_tables_within_tables() -> None:
    assert dict(scalars({"a": {"b": {"c": 1}}, "step": 9})) == {"a/b/c": 1.0}
