"""Messages of the MQTT contract, schema 1, as plain JSON objects, and the topics they go to.

The shapes are in edge_pose/schemas. Nothing here opens a connection or reads a clock except for the
default of `at`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_pose.errors import PublisherError
from edge_pose.types import FrameResult, Pose, utc_now

if TYPE_CHECKING:  # listeners read messages without any runtime
    from edge_pose.backends.base import Runtime

DeviceState: TypeAlias = Literal["online", "offline"]
CameraState: TypeAlias = Literal["running", "stale", "no_source", "paused"]
JsonObject: TypeAlias = dict[str, object]

PX_DECIMALS = 1
SCORE_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class MessageContext:
    """What every message of one run has in common.

    Attributes:
        device: name of this machine, one topic level.
        camera: name of the camera, one topic level.
        model_name: name from the artifact's manifest.
        model_sha256: hash of the model file, 64 hexadecimal digits.
        keypoint_format: "mpii16", "coco17", …
        version: version of edge_pose.
        runtime: what the model runs in; None where that is not told.
    """

    device: str
    camera: str
    model_name: str
    model_sha256: str
    keypoint_format: str
    version: str
    runtime: Runtime | None = None


@dataclass(frozen=True, slots=True)
class PowerFigures:
    """Electrical power over one statistics interval.

    Attributes:
        watts: mean power, W.
        joules_per_frame: energy per finished frame, J; None before the first frame.
        source: "measured" or "estimated".
        meter: name of the meter.
    """

    watts: float
    joules_per_frame: float | None
    source: Literal["measured", "estimated"]
    meter: str


def poses_message(result: FrameResult, context: MessageContext) -> JsonObject:
    """Build one `edge_pose.poses/1` message.

    Coordinates are rounded to 0.1 px and scores to 0.001. A keypoint whose position is not finite
    is sent as [0, 0, 0]: JSON has no NaN, and a score of 0 says that there is nothing to see.
    """
    frame = result.frame
    height, width = frame.image.shape[:2]
    return {
        "schema": "edge_pose.poses/1",
        "device": context.device,
        "camera": context.camera,
        "frame": frame.index,
        "captured_at": rfc3339(frame.captured_at),
        "latency_ms": _rounded(result.latency_s * 1e3, 2),
        "image": {"width": width, "height": height},
        "keypoint_format": context.keypoint_format,
        "model": _model(context),
        "dropped": result.dropped,
        "poses": [_pose(pose) for pose in result.poses],
    }


def status_message(
    context: MessageContext, state: DeviceState, at: datetime | None = None
) -> JsonObject:
    """Build one `edge_pose.status/1` message."""
    message: JsonObject = {
        "schema": "edge_pose.status/1",
        "device": context.device,
        "state": state,
        "version": context.version,
        "model": _model(context),
        "at": rfc3339(at or utc_now()),
    }
    if context.runtime is not None:
        message["runtime"] = asdict(context.runtime)
    return message


def state_message(
    context: MessageContext,
    state: CameraState,
    reason: str | None = None,
    at: datetime | None = None,
) -> JsonObject:
    """Build one `edge_pose.state/1` message; `reason` is one line for a human."""
    message: JsonObject = {
        "schema": "edge_pose.state/1",
        "device": context.device,
        "camera": context.camera,
        "state": state,
        "at": rfc3339(at or utc_now()),
    }
    if reason:
        message["reason"] = reason
    return message


def stats_message(
    context: MessageContext,
    *,
    uptime_s: float,
    frames: int,
    fps: float,
    latency_ms: Mapping[str, Mapping[str, float]],
    dropped_source: int,
    dropped_mqtt: int,
    power: PowerFigures | None = None,
    temperature_c: float | None = None,
    throttled: bool | None = None,
    at: datetime | None = None,
) -> JsonObject:
    """Build one `edge_pose.stats/1` message.

    Args:
        context: what all messages share.
        uptime_s: since the start of the run.
        frames: finished since the start.
        fps: finished frames per second, capture and decoding included.
        latency_ms: "p50", "p95" and "p99" by stage name; stages without samples (NaN) are left out.
        dropped_source: frames dropped before inference.
        dropped_mqtt: pose messages that were not sent.
        power: None where no meter is read.
        temperature_c: None where it is unknown.
        throttled: None where it is unknown.
        at: now by default.
    """
    stages = {
        stage: {name: _rounded(values[name], 2) for name in ("p50", "p95", "p99")}
        for stage, values in latency_ms.items()
        if all(math.isfinite(values[name]) for name in ("p50", "p95", "p99"))
    }
    return {
        "schema": "edge_pose.stats/1",
        "device": context.device,
        "camera": context.camera,
        "at": rfc3339(at or utc_now()),
        "uptime_s": _rounded(uptime_s, 1),
        "frames": frames,
        "fps": _rounded(fps, 2),
        "latency_ms": stages,
        "dropped": {"source": dropped_source, "mqtt": dropped_mqtt},
        "power": None if power is None else _power(power),
        "temperature_c": _optional(temperature_c, 1),
        "throttled": throttled,
    }


def encode(message: Mapping[str, object]) -> bytes:
    """Return a message as compact UTF-8 JSON.

    Raises:
        PublisherError: it holds something that JSON cannot, for example NaN.
    """
    try:
        text = json.dumps(message, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise PublisherError(f"message: cannot be written as JSON: {error}") from None


def rfc3339(moment: datetime) -> str:
    """Return "2026-11-20T08:15:30.123Z"."""
    utc = moment.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"


def poses_topic(prefix: str, device: str, camera: str) -> str:
    """Return the topic of the camera's pose messages."""
    return f"{prefix}/{device}/{camera}/poses"


def state_topic(prefix: str, device: str, camera: str) -> str:
    """Return the topic of the camera's retained state."""
    return f"{prefix}/{device}/{camera}/state"


def status_topic(prefix: str, device: str) -> str:
    """Return the topic of the device's retained status, which is also its last will's."""
    return f"{prefix}/{device}/status"


def stats_topic(prefix: str, device: str) -> str:
    """Return the topic of the periodic figures."""
    return f"{prefix}/{device}/stats"


def _pose(pose: Pose) -> JsonObject:
    keypoints, scores = pose.keypoints, pose.scores
    seen = np.isfinite(keypoints).all(axis=1) & np.isfinite(scores)
    if not seen.all():
        keypoints = np.where(seen[:, None], keypoints, 0.0)
        scores = np.where(seen, scores, 0.0)
    rows = np.concatenate(
        (_px(keypoints), _decimals(scores.clip(0.0, 1.0), SCORE_DECIMALS)[:, None]), axis=1
    )
    bbox = pose.bbox_xyxy
    if not np.isfinite(bbox).all():
        bbox = np.zeros(4, np.float32)
    return {
        "id": None if pose.id is None else int(pose.id),
        "score": min(max(_rounded(pose.score, SCORE_DECIMALS), 0.0), 1.0),
        "bbox": _px(bbox).tolist(),
        "keypoints": rows.tolist(),
    }


def _px(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return _decimals(values, PX_DECIMALS)


def _decimals(values: NDArray[np.floating], decimals: int) -> NDArray[np.float64]:
    # In float64, so that 12.3 is written as 12.3; adding 0.0 turns -0.0 into 0.0.
    rounded: NDArray[np.float64] = values.astype(np.float64).round(decimals) + 0.0
    return rounded


def _rounded(value: float, decimals: int) -> float:
    """Return a finite Python float; what is not finite becomes 0."""
    value = float(value)
    return round(value, decimals) + 0.0 if math.isfinite(value) else 0.0


def _optional(value: float | None, decimals: int) -> float | None:
    return None if value is None or not math.isfinite(value) else _rounded(value, decimals)


def _power(power: PowerFigures) -> JsonObject:
    return {
        "watts": _rounded(power.watts, 3),
        "joules_per_frame": _optional(power.joules_per_frame, 4),
        "source": power.source,
        "meter": power.meter,
    }


def _model(context: MessageContext) -> JsonObject:
    return {"name": context.model_name, "sha256": context.model_sha256}
