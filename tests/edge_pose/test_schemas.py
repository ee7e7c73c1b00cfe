from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from edge_pose.errors import PublisherError, UsageError
from edge_pose.schemas import SCHEMAS, load_schema, validate_message, validator

MODEL = {"name": "m", "sha256": "ab" * 32}
NOW = "2026-11-20T08:00:00.123Z"
WHERE = {"device": "d", "camera": "c"}
EXAMPLES = {
    "edge_pose.poses/1": {
        **WHERE, "frame": 0, "captured_at": NOW, "latency_ms": 1.5,
        "image": {"width": 640, "height": 480}, "keypoint_format": "mpii16", "model": MODEL,
        "dropped": 0,
        "poses": [{"id": None, "score": 1, "bbox": [0, 0, -5.5, 1e6], "keypoints": [[1, 2, 0.5]]}],
    },
    "edge_pose.status/1": {
        "device": "d", "state": "online", "version": "0.1", "model": MODEL, "at": NOW,
    },
    "edge_pose.state/1": {**WHERE, "state": "running", "at": NOW},
    "edge_pose.stats/1": {
        **WHERE, "at": NOW, "uptime_s": 1, "frames": 1, "fps": 25,
        "latency_ms": {"infer": {"p50": 1, "p95": 2, "p99": 3}},
        "dropped": {"source": 0, "mqtt": 0},
        "power": {"watts": 3, "joules_per_frame": 0.1, "source": "measured", "meter": "hwmon"},
        "temperature_c": 50.5, "throttled": False,
    },
    "edge_pose.power/1": {"watts": 23.4},
}  # fmt: skip


def example(schema_id: str) -> dict:
    return {"schema": schema_id, **copy.deepcopy(EXAMPLES[schema_id])}


def objects(schema: object) -> Iterator[dict[str, Any]]:
    """Yield every object description within a schema."""
    if isinstance(schema, dict):
        if "object" in schema.get("type", ()):
            yield schema
        for value in schema.values():
            yield from objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects(value)


@pytest.mark.parametrize("schema_id", SCHEMAS)
def test_a_complete_message_is_valid_and_the_validator_is_kept(schema_id: str) -> None:
    message = example(schema_id)
    assert validate_message(json.dumps(message)) == message
    assert validate_message(json.dumps(message).encode()) == message
    assert validator(schema_id) is validator(schema_id)


@pytest.mark.parametrize("schema_id", SCHEMAS)
def test_every_object_is_closed(schema_id: str) -> None:
    described = list(objects(load_schema(schema_id)))
    assert described
    for schema in described:
        assert schema.get("additionalProperties") is not None
        assert schema["additionalProperties"] is not True


@pytest.mark.parametrize("schema_id", SCHEMAS)
def test_no_key_may_be_missing_or_added(schema_id: str) -> None:
    for key in EXAMPLES[schema_id]:
        message = example(schema_id)
        del message[key]
        with pytest.raises(PublisherError, match=f"must contain \\['{key}'\\]"):
            validate_message(json.dumps(message))
    with pytest.raises(PublisherError, match=r"must not contain \{'extra'\}"):
        validate_message(json.dumps({**example(schema_id), "extra": 1}))


@pytest.mark.parametrize(
    ("schema_id", "path", "value"),
    [
        ("edge_pose.poses/1", "poses[0].keypoints[0][2]", 1.5),
        ("edge_pose.poses/1", "poses[0].keypoints[0]", [1, 2]),
        ("edge_pose.poses/1", "poses[0].keypoints[0]", [1, 2, 0.5, 4]),
        ("edge_pose.poses/1", "poses[0].bbox", [1, 2, 3]),
        ("edge_pose.poses/1", "poses[0].id", "one"),
        ("edge_pose.poses/1", "image.width", 0),
        ("edge_pose.poses/1", "frame", -1),
        ("edge_pose.poses/1", "frame", True),
        ("edge_pose.poses/1", "captured_at", "2026-11-20T08:00:00Z"),
        ("edge_pose.poses/1", "captured_at", "2026-11-20T08:00:00.123+01:00"),
        ("edge_pose.poses/1", "model.sha256", "abc"),
        ("edge_pose.status/1", "state", "running"),
        ("edge_pose.status/1", "device", "a/b"),
        ("edge_pose.state/1", "state", "online"),
        ("edge_pose.stats/1", "power.source", "guessed"),
        ("edge_pose.stats/1", "power", 5),
        ("edge_pose.stats/1", "latency_ms.infer.p95", None),
        ("edge_pose.stats/1", "dropped.mqtt", -1),
        ("edge_pose.stats/1", "throttled", 1),
        ("edge_pose.power/1", "watts", -1),
        ("edge_pose.power/1", "watts", "23"),
    ],
)
def test_a_violation_is_named_with_its_path_in_one_line(
    schema_id: str, path: str, value: object
) -> None:
    message = example(schema_id)
    steps = path.replace("[", ".").replace("]", "").split(".")
    target = message
    for step in steps[:-1]:
        target = target[int(step) if step.isdigit() else step]
    target[int(steps[-1]) if steps[-1].isdigit() else steps[-1]] = value
    with pytest.raises(PublisherError) as caught:
        validate_message(json.dumps(message))
    assert str(caught.value).startswith(f"{schema_id}: {path}: must ")
    assert "\n" not in str(caught.value)


def test_a_status_may_tell_its_runtime() -> None:
    runtime = {"backend": "openvino", "version": "2026.4", "device": "CPU", "threads": 1}
    message = {**example("edge_pose.status/1"), "runtime": runtime}
    assert validate_message(json.dumps(message)) == message
    for wrong in ({**runtime, "threads": 0}, {**runtime, "device": ""}, {**runtime, "cores": 4}):
        with pytest.raises(PublisherError, match=r"status/1: runtime\S* must "):
            validate_message(json.dumps({**message, "runtime": wrong}))


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "not valid JSON"),
        (b'{"schema":', "not valid JSON"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"[1]", "found a JSON array, expected an object"),
        (b'"text"', "found a JSON string"),
        (b"null", "found a JSON null"),
        (b"1", "found a JSON number"),
        (b"{}", "no schema"),
        (b'{"schema":null}', "no schema"),
        (b'{"schema":"edge_pose.poses/2"}', 'unknown schema "edge_pose.poses/2"'),
        (b'{"schema":["' + b"x" * 500 + b'"]}', "unknown schema"),
        (b'{"a":NaN}', "NaN is not a finite number"),
        (b'{"a":-Infinity}', "-Infinity is not a finite number"),
        (b'{"a":1e999}', "1e999 is not a finite number"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5000, "not valid JSON"),
    ],
)
def test_what_is_no_message(payload: bytes, problem: str) -> None:
    with pytest.raises(PublisherError) as caught:
        validate_message(payload)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    if "schema" in problem:
        assert "supported: edge_pose.poses/1" in str(caught.value)


def test_unknown_schema_name() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'edge_pose\.poses/1'"):
        load_schema("edge_pose.pose/1")


def test_what_is_unknown_may_be_null() -> None:
    message = {**example("edge_pose.stats/1"), "power": None, "temperature_c": None}
    assert validate_message(json.dumps(message))["power"] is None


def test_the_keypoint_count_is_free() -> None:
    message = example("edge_pose.poses/1")
    message["poses"][0]["keypoints"] = [[1.0, 2.0, 0.1]] * 133
    validate_message(json.dumps(message))
