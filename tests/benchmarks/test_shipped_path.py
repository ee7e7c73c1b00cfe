"""What is timed is what is shipped: the same code, by identity, handles every frame."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import edge_pose.session
from benchmarks import passes
from benchmarks.passes import Instruments, run_pass
from benchmarks.plan import MODES, ModeName
from benchmarks.workload import open_workload
from edge_pose.config import RunConfig
from edge_pose.power import open_meter, read_state
from edge_pose.profile import load_profile

FRAMES = 30
OURS = Path(edge_pose.session.__file__).parent


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Counter[CodeType]]:
    """Return a list that gets, for each frame loop, its calls of edge_pose's functions."""
    loop = passes.Session.loop
    found: list[Counter[CodeType]] = []

    def traced(*arguments: Any) -> None:
        calls: Counter[CodeType] = Counter()
        found.append(calls)

        def count(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and Path(frame.f_code.co_filename).is_relative_to(OURS):
                calls[frame.f_code] += 1

        threading.setprofile(count)
        sys.setprofile(count)
        try:
            loop(*arguments)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    monkeypatch.setattr(passes.Session, "loop", traced)
    return found


@pytest.mark.parametrize("mode", MODES)
def test_every_frame_goes_through_the_code_of_edge_pose_run(
    mode: ModeName,
    calls: list[Counter[CodeType]],
    config: Callable[..., RunConfig],
    tmp_path: Path,
) -> None:
    run = config(FRAMES, jsonl=str(tmp_path / "poses.jsonl"))
    edge_pose.session.run(run)
    with (
        closing(open_meter("estimate", load_profile("auto"))) as meter,
        open_workload(run) as work,
    ):
        run_pass(work, mode, Instruments(meter, read_state), tmp_path, rate_hz=20.0)
    shipped, timed = calls
    no_listener = edge_pose.session.run.__kwdefaults__["on_result"].__code__
    per_frame = {code for code, n in shipped.items() if n >= FRAMES} - {no_listener}
    names = {code.co_name for code in per_frame}
    assert {"poses_message", "_process", "estimate", "poses", "frames", "run"} <= names
    assert per_frame <= set(timed)
    if mode == "offline":  # the other two only add the pace of their source
        assert {code for code, n in timed.items() if n >= FRAMES} <= set(shipped)


def test_the_session_is_the_product_s_own() -> None:
    assert edge_pose.session.run.__globals__[passes.Session.__name__] is passes.Session
