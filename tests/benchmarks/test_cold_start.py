from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.cold_start import cold_start_benchmark
from benchmarks.environment import Environment
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError
from edge_pose.session import RESULTS_AHEAD


def test_the_parts_add_up_to_the_whole(
    config: Callable[..., RunConfig], environment: Environment
) -> None:
    said: list[int] = []
    report = cold_start_benchmark(config(8), 2, environment, lambda n, _: said.append(n))
    assert said == [1, 2]
    for done in report.rounds:
        parts = (done.interpreter_s, done.imports_s, done.model_load_s, done.first_pose_s)
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(done.total_s)
        # It stops as soon as someone is found; what is in work by then is published, too.
        assert 1 <= done.frames <= 1 + RESULTS_AHEAD + 1
    summary = report.summary
    assert summary.total_s.min == min(r.total_s for r in report.rounds)
    assert summary.target_met == (summary.total_s.median < 1.5)


def test_the_command(
    bench: Callable[..., tuple[int, str, str]], tiny_artifact: Path, make_clip: Callable[..., Path]
) -> None:
    known = ("cold-start", "--model", tiny_artifact, "--source", make_clip(4), "--rounds", 1)
    code, out, _ = bench(*known, "--json")
    assert code == 0
    assert json.loads(out)["kind"] == "cold_start"
    code, out, err = bench(*known)
    assert code == 0
    assert "process start to first pose" in out
    assert "round 1 of 1" in err


def test_a_source_without_anybody(
    config: Callable[..., RunConfig], environment: Environment, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((120, 160, 3), 40, np.uint8))
    run = config(source=str(tmp_path / "gray.png"))
    with pytest.raises(EdgePoseError, match="nobody found"):
        cold_start_benchmark(run, 1, environment)


def test_an_interpreter_that_dies_is_one_line(
    monkeypatch: pytest.MonkeyPatch, config: Callable[..., RunConfig], environment: Environment
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(EdgePoseError, match="cold start: /bin/false: exit code 1, no answer"):
        cold_start_benchmark(config(3), 1, environment)
