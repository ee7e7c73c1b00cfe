from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from edge_pose.backends.base import Runtime
from edge_pose.errors import PublisherError
from edge_pose.messages import (
    CameraState,
    DeviceState,
    MessageContext,
    PowerFigures,
    encode,
    poses_message,
    poses_topic,
    rfc3339,
    state_message,
    state_topic,
    stats_message,
    stats_topic,
    status_message,
    status_topic,
)
from edge_pose.schemas import validate_message
from edge_pose.types import Frame, FrameResult, Pose

CONTEXT = MessageContext("device-1", "cam", "hourglass", "0f" * 32, "mpii16", "0.1.0")
AT = datetime(2026, 11, 20, 8, 0, 0, 123999, tzinfo=timezone.utc)


def result_of(*poses: Pose, **values: object) -> FrameResult:
    frame = Frame(np.zeros((120, 160, 3), np.uint8), 7, AT, 1.0)
    return FrameResult(frame, poses, **values)


def pose(
    keypoints: list[list[float]],
    scores: list[float] | None = None,
    bbox: Sequence[float] = (0, 0, 1, 1),
    score: float = 0.5,
    person: int | None = None,
) -> Pose:
    points = np.array(keypoints, np.float32)
    scores = np.full(len(points), 0.5) if scores is None else np.array(scores)
    return Pose(points, scores.astype(np.float32), np.array(bbox, np.float32), score, person)


def test_poses_message_is_exactly_the_contract() -> None:
    person = pose([[12.34, 56.78], [-0.04, 99.96]], [0.12345, 1.0], (1.26, 2, 3, 4), 0.98765, 4)
    message = poses_message(result_of(person, latency_s=0.0123456, dropped=3), CONTEXT)
    assert validate_message(encode(message)) == {
        "schema": "edge_pose.poses/1",
        "device": "device-1",
        "camera": "cam",
        "frame": 7,
        "captured_at": "2026-11-20T08:00:00.123Z",
        "latency_ms": 12.35,
        "image": {"width": 160, "height": 120},
        "keypoint_format": "mpii16",
        "model": {"name": "hourglass", "sha256": "0f" * 32},
        "dropped": 3,
        "poses": [
            {
                "id": 4,
                "score": 0.988,
                "bbox": [1.3, 2.0, 3.0, 4.0],
                "keypoints": [[12.3, 56.8, 0.123], [0.0, 100.0, 1.0]],
            }
        ],
    }
    assert b"-0.0" not in encode(message)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have(bad: float) -> None:
    person = pose([[bad, 5], [5, bad], [5, 5], [6, 6]], [0.9, 0.9, bad, 0.9], [bad] * 4, bad)
    message = poses_message(result_of(person, latency_s=bad), CONTEXT)
    [sent] = validate_message(encode(message))["poses"]
    assert sent["keypoints"] == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [6.0, 6.0, 0.9]]
    assert sent["bbox"] == [0, 0, 0, 0]
    assert sent["score"] == 0
    assert not math.isfinite(person.keypoints[0, 0])  # the caller's arrays are not touched


def test_nobody_in_the_picture() -> None:
    assert validate_message(encode(poses_message(result_of(), CONTEXT)))["poses"] == []


def test_scores_stay_within_their_range() -> None:
    person = pose([[1, 1], [2, 2]], [1.0001, -0.0001], score=1.00004)
    [sent] = validate_message(encode(poses_message(result_of(person), CONTEXT)))["poses"]
    assert [row[2] for row in sent["keypoints"]] == [1.0, 0.0]
    assert sent["score"] == 1.0


def test_numpy_scalars_are_written_as_json() -> None:
    person = pose([[1, 1]], score=np.float32(0.5), person=np.int64(2))
    sent = validate_message(encode(poses_message(result_of(person), CONTEXT)))["poses"]
    assert (sent[0]["id"], sent[0]["score"]) == (2, 0.5)


@pytest.mark.parametrize("state", ["online", "offline"])
def test_status(state: DeviceState) -> None:
    message = validate_message(encode(status_message(CONTEXT, state, AT)))
    assert message["state"] == state
    assert message["version"] == "0.1.0"
    assert message["at"] == "2026-11-20T08:00:00.123Z"
    assert "runtime" not in message


def test_status_tells_what_the_model_runs_in() -> None:
    context = replace(CONTEXT, runtime=Runtime("openvino", "2026.4.1", "NPU", 2))
    message = validate_message(encode(status_message(context, "online", AT)))
    assert message["runtime"] == {
        "backend": "openvino",
        "version": "2026.4.1",
        "device": "NPU",
        "threads": 2,
    }


@pytest.mark.parametrize("state", ["running", "stale", "no_source", "paused"])
def test_state(state: CameraState) -> None:
    assert "reason" not in validate_message(encode(state_message(CONTEXT, state)))
    message = validate_message(encode(state_message(CONTEXT, state, "cable pulled", AT)))
    assert (message["state"], message["reason"]) == (state, "cable pulled")


def test_stats() -> None:
    infer = {"p50": 10.0, "p95": 12.346, "p99": 20.0}
    values = {
        "uptime_s": 12.34,
        "frames": 300,
        "fps": 24.996,
        "latency_ms": {"infer": infer, "track": dict.fromkeys(infer, math.nan)},
        "dropped_source": 1,
        "dropped_mqtt": 2,
    }
    message = validate_message(encode(stats_message(CONTEXT, **values)))
    assert message["latency_ms"] == {"infer": {"p50": 10.0, "p95": 12.35, "p99": 20.0}}
    assert message["dropped"] == {"source": 1, "mqtt": 2}
    assert message["power"] is message["temperature_c"] is message["throttled"] is None
    power = PowerFigures(2.5, None, "measured", "rpi_pmic")
    message = validate_message(
        encode(stats_message(CONTEXT, **values, power=power, temperature_c=61.26, throttled=True))
    )
    assert message["power"] == {
        "watts": 2.5,
        "joules_per_frame": None,
        "source": "measured",
        "meter": "rpi_pmic",
    }
    assert (message["temperature_c"], message["throttled"]) == (61.3, True)


def test_times_are_utc_whatever_the_zone() -> None:
    there = timezone(timedelta(hours=5, minutes=30))
    assert rfc3339(AT.astimezone(there)) == "2026-11-20T08:00:00.123Z"
    assert rfc3339(AT.replace(microsecond=0)) == "2026-11-20T08:00:00.000Z"


def test_topics() -> None:
    assert poses_topic("edge_pose", "d", "c") == "edge_pose/d/c/poses"
    assert state_topic("edge_pose", "d", "c") == "edge_pose/d/c/state"
    assert status_topic("a/b", "d") == "a/b/d/status"
    assert stats_topic("a/b", "d") == "a/b/d/stats"


@pytest.mark.parametrize("value", [math.nan, math.inf, b"bytes", object()])
def test_encode_refuses_what_is_not_json(value: object) -> None:
    with pytest.raises(PublisherError, match="cannot be written as JSON"):
        encode({"value": value})


def test_encode_is_compact_utf8() -> None:
    assert encode({"a": "é", "b": [1, 2]}) == '{"a":"é","b":[1,2]}'.encode()
    assert json.loads(encode({"a": "é"})) == {"a": "é"}


def test_building_messages_imports_nothing_heavy() -> None:
    code = "import sys, edge_pose.messages; print(*{'cv2', 'paho'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
