"""One pass of MediaPipe Pose over a clip, run by the Python that has mediapipe installed.

    python mediapipe_runner.py CLIP MAX_FRAMES        (MAX_FRAMES 0: all)

Prints one JSON object: frames, frames_with_people, duration_s and versions, or {"error": one line}.
It imports nothing of edge_pose: that lives in another environment. The figures of the API are from
MediaPipe's documentation, docs/solutions/pose.md.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

WARM_UP_FRAMES = 10  # real ones, so that the landmark model, run only on people, is warm too


def measure(clip: Path, max_frames: int) -> dict[str, Any]:
    """Return the figures of one pass, reading and decoding of the file included."""
    mediapipe = importlib.import_module("mediapipe")
    cv2 = importlib.import_module("cv2")
    numpy = importlib.import_module("numpy")
    pose = mediapipe.solutions.pose.Pose(static_image_mode=False, model_complexity=1)
    _one_pass(cv2, pose, clip, WARM_UP_FRAMES)
    for _ in range(2):  # nobody here: the measured pass finds its person anew, as ours does
        pose.process(numpy.zeros((64, 64, 3), numpy.uint8))
    start = time.perf_counter()
    frames, found = _one_pass(cv2, pose, clip, max_frames)
    duration_s = time.perf_counter() - start
    pose.close()
    return {
        "frames": frames,
        "frames_with_people": found,
        "duration_s": duration_s,
        "versions": {
            "mediapipe": mediapipe.__version__,
            "numpy": numpy.__version__,
            "opencv": cv2.__version__,
            "python": platform.python_version(),
        },
    }


def _one_pass(cv2: Any, pose: Any, clip: Path, max_frames: int) -> tuple[int, int]:  # noqa: ANN401
    capture = cv2.VideoCapture(str(clip))
    frames = found = 0
    while not max_frames or frames < max_frames:
        ok, image = capture.read()
        if not ok:
            break
        result = pose.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        frames += 1
        found += result.pose_landmarks is not None
    capture.release()
    return frames, found


def main() -> None:
    """Print the answer as JSON."""
    try:
        answer = measure(Path(sys.argv[1]), int(sys.argv[2]))
    except (ImportError, AttributeError) as error:  # not installed, or another API
        answer = {"error": str(error)}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
