from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fleet.pose_messages import PoseMessages, read_messages, record_messages, with_people
from edge_pose.errors import UsageError
from edge_pose.samples import TWO_PEOPLE
from edge_pose.schemas import validate_message


def test_messages_are_real_poses_and_keep_the_contract() -> None:
    messages = record_messages(str(TWO_PEOPLE))
    assert any(message["poses"] for message in messages)
    three = PoseMessages(with_people(messages, 3))
    sizes = []
    for frame in (0, 7, 41):
        payload = three.payload("fleet-12", frame)
        message = validate_message(payload)
        assert (message["device"], message["frame"]) == ("fleet-12", frame)
        assert [pose["id"] for pose in message["poses"]] == [1, 2, 3]
        sizes.append(len(payload))
    nobody = PoseMessages(with_people(messages, 0)).payload("fleet-12", 0)
    assert validate_message(nobody)["poses"] == []
    assert len(nobody) < min(sizes)


def test_messages_that_cannot_be_used(message: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "poses.jsonl"
    with pytest.raises(UsageError, match="cannot be read"):
        read_messages(file)
    file.write_text(json.dumps({**message, "frame": -1}) + "\n")
    with pytest.raises(UsageError, match=r"line 1: edge_pose\.poses/1: frame"):
        read_messages(file)
    file.write_text("")
    with pytest.raises(UsageError, match="holds no message"):
        read_messages(file)
    with pytest.raises(UsageError, match="nobody is in"):
        with_people([{**message, "poses": []}], 1)
