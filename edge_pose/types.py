"""The values that travel through edge_pose."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
Image: TypeAlias = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR, as OpenCV gives it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        index: number of the frame in its source, from 0; dropped ones keep their number.
        captured_at: UTC time at which the frame was taken (live) or read (file).
        captured_s: the same moment on the monotonic clock (`time.monotonic`), in seconds.
        media_s: position in the clip in seconds; None for a live source.
        capture_s: how long reading and decoding the frame took, in seconds.
    """

    image: Image
    index: int
    captured_at: datetime
    captured_s: float
    media_s: float | None = None
    capture_s: float = 0.0

    @property
    def time_s(self) -> float:
        """The time to reason about motion with: media time where there is one, else the clock."""
        return self.captured_s if self.media_s is None else self.media_s


@dataclass(frozen=True, slots=True)
class Pose:
    """One person.

    Attributes:
        keypoints: (K, 2) float32, x and y in px of the source image, (0, 0) top left.
        scores: (K,) float32 in [0, 1].
        bbox_xyxy: (4,) float32 px, the box around the confident keypoints.
        score: mean keypoint score in [0, 1].
        id: stays the same while one person is followed; None where nothing is followed.
    """

    keypoints: FloatArray
    scores: FloatArray
    bbox_xyxy: FloatArray
    score: float
    id: int | None = None


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What the pipeline hands to publishers for one frame.

    Attributes:
        frame: the picture.
        poses: the people in it, best score first.
        stage_s: seconds per stage, by stage name ("capture", "preprocess", "infer", "decode", …).
        latency_s: seconds from the capture of the frame to its finished poses.
        dropped: frames of this source that were dropped so far.
    """

    frame: Frame
    poses: tuple[Pose, ...]
    stage_s: dict[str, float] = field(default_factory=dict)
    latency_s: float = 0.0
    dropped: int = 0


def utc_now() -> datetime:
    """Return the current time in UTC with its zone set."""
    return datetime.now(timezone.utc)
