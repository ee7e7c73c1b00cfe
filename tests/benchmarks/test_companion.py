from __future__ import annotations

import pytest

from benchmarks.companion import Companion
from edge_pose.errors import EdgePoseError


def test_leaving_a_process_that_has_ended_does_not_hide_why() -> None:
    # `this` prints and ends; the task is larger than what a pipe holds, so that some is left.
    with (
        pytest.raises(EdgePoseError, match="test: the real error"),
        Companion("this", {}, "test") as one,
    ):
        one._process.wait()  # noqa: SLF001 - only then what is told cannot be heard
        one.tell({"x": "y" * 100})
        raise EdgePoseError("test: the real error")
