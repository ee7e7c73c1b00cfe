from __future__ import annotations

from typing import Any

import pytest

POSE = {"id": 1, "score": 0.9, "bbox": [1.0, 2.0, 3.0, 4.0], "keypoints": [[1.0, 2.0, 0.5]] * 16}


@pytest.fixture
def message() -> dict[str, Any]:
    """A pose message of one person."""
    return {
        "schema": "edge_pose.poses/1",
        "device": "anyone",
        "camera": "camera0",
        "frame": 0,
        "captured_at": "2026-11-20T08:00:00.000Z",
        "latency_ms": 12.5,
        "image": {"width": 640, "height": 480},
        "keypoint_format": "mpii16",
        "model": {"name": "blobs", "sha256": "ab" * 32},
        "dropped": 0,
        "poses": [POSE],
    }
