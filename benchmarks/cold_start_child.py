"""One cold start: what `edge-pose run CLIP --jsonl FILE` does up to its first pose, with stamps.

Run as `python -m benchmarks.cold_start_child '{"source": …}'` by benchmarks.cold_start. It prints
one JSON object: moments on the monotonic clock in seconds, or {"error": one line}. Only the
standard library is imported before the first stamp.
"""

import time

STARTED_S = time.monotonic()

import json  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from typing import Any  # noqa: E402


def _until_first_pose(flags: dict[str, Any]) -> dict[str, float]:
    import edge_pose.cli  # noqa: F401 - the console script's import, and so part of the start
    from edge_pose import session
    from edge_pose.config import load_config
    from edge_pose.errors import SourceError
    from edge_pose.loaded_model import LoadedModel, load_model
    from edge_pose.types import FrameResult

    moments = {"started_s": STARTED_S}
    stop = threading.Event()

    def stamped_load(*args: Any, **options: Any) -> LoadedModel:  # noqa: ANN401 - passed through
        moments["load_s"] = time.monotonic()
        model = load_model(*args, **options)
        moments["loaded_s"] = time.monotonic()
        return model

    def on_result(result: FrameResult) -> None:
        if result.poses and "pose_s" not in moments:
            moments["pose_s"] = time.monotonic()
            stop.set()

    vars(session)["load_model"] = stamped_load  # the only change to what is shipped: two stamps
    summary = session.run(load_config(flags=flags, env={}), stop=stop, on_result=on_result)
    if summary.error is not None:
        raise SourceError(summary.error)
    if "pose_s" not in moments:
        raise SourceError(f"{summary.source}: nobody found, a cold start ends with a first pose")
    moments["frames"] = summary.frames
    return moments


def main() -> None:
    """Print the stamps of this process."""
    from edge_pose.errors import EdgePoseError

    try:
        answer: dict[str, Any] = dict(_until_first_pose(json.loads(sys.argv[1])))
    except EdgePoseError as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
