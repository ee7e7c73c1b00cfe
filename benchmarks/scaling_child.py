"""One `edge-pose run` among others: `python -m benchmarks.scaling_child`, see benchmarks.companion.

It is edge_pose.session.run, which publishes to a file. After some frames it waits at the result
that it has just published until all the others have come so far, too; then every result is stamped.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.companion import Answer, serve
from edge_pose.config import load_config
from edge_pose.errors import EdgePoseError
from edge_pose.session import run
from edge_pose.types import FrameResult


def work(task: Answer, ready: Callable[[Answer], Answer]) -> Answer:
    """Run over the clip.

    Args:
        task: `flags` of the run's configuration and `warm_up`, frames before the wait.
        ready: tells that the warm-up is over; the answer says nothing.
    """
    published_s: list[float] = []
    cpu_s: list[float] = []
    people: list[int] = []

    def on_result(result: FrameResult) -> None:
        published_s.append(time.monotonic())
        cpu_s.append(time.process_time())
        people.append(len(result.poses))
        if len(published_s) == task["warm_up"]:
            ready({})

    summary = run(load_config(flags=task["flags"], env={}), on_result=on_result)
    if summary.error is not None:
        raise EdgePoseError(summary.error)
    return {
        "published_s": published_s,
        "cpu_s": cpu_s,
        "people": people,
        "threads": summary.runtime.threads,
    }


if __name__ == "__main__":
    serve(work)
