"""All three families of networks are measured through the same frame loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.environment import Environment
from benchmarks.plan import MODES, Plan
from benchmarks.run import run_benchmark
from edge_pose.config import RunConfig

Make = Callable[..., RunConfig]


@pytest.fixture
def everything(plan: Callable[..., Plan]) -> Plan:
    return plan(modes=MODES, rate_hz=100.0, threads_sweep=True)


def test_a_bottom_up_model(
    config: Make, everything: Plan, environment: Environment, crowd_artifact: Path
) -> None:
    found = run_benchmark(config(4, model=str(crowd_artifact)), everything, environment)
    assert (found.artifact.task, found.detector) == ("bottom_up", None)
    assert found.parts is not None
    assert set(found.parts.rounds[0].estimator.latency_ms) == {"preprocess", "infer", "decode"}
    assert found.offline is not None
    assert found.offline.frames_with_people == 4
    assert set(found.modes) == set(MODES)


def test_a_detector_before_a_top_down_model(
    config: Make, everything: Plan, environment: Environment, detector_artifact: Path
) -> None:
    found = run_benchmark(config(4, detector=str(detector_artifact)), everything, environment)
    assert found.artifact.task == "top_down"
    assert found.detector is not None
    assert (found.detector.name, found.detector.task) == ("boxes_fp32", "detector")
    for name in ("offline", "single_stream"):
        latency = found.modes[name].latency
        # It looks at some of the frames only.
        assert 1 <= latency["detect"].frames < latency["infer"].frames == 4


def test_a_detector_alone_finds_no_poses(
    errors: Callable[..., str], detector_artifact: Path
) -> None:
    line = errors("run", "--artifact", detector_artifact)
    assert "is a person detector" in line
