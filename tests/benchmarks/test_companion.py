from __future__ import annotations

import pytest

from benchmarks.companion import Companion
from edge_pose.errors import EdgePoseError


def fail_beside(one: Companion) -> None:
    with one:
        one._process.wait()  # `this` only prints; from now on nothing that is told can be heard
        one.tell({"never": "heard"})
        raise EdgePoseError("test: the real error")


def test_leaving_a_process_that_has_ended_does_not_hide_why() -> None:
    with pytest.raises(EdgePoseError, match="test: the real error"):
        fail_beside(Companion("this", {}, "test"))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("benchmarks.no_such_module", r"test: ended with 1, it said: .*No module named"),
        ("benchmarks.fleet.receiver", "test: broker address: expected mqtt://"),
    ],
)
def test_a_companion_that_fails_is_one_line(module: str, message: str) -> None:
    task = {"broker": "nonsense", "topic_filter": "#", "file": "none"}
    with Companion(module, task, "test") as one, pytest.raises(EdgePoseError, match=message):
        one.answer()
