"""`edge-pose-bench cold-start`: from the start of a process to the first published pose.

Each round starts a fresh interpreter. Files are in the page cache after the first round; a machine
that was just switched on adds the time that its disk needs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from benchmarks.child import ask_child
from benchmarks.environment import Environment
from benchmarks.report import Report, Spread, Table, spread
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError
from edge_pose.types import utc_now

TARGET_S = 1.5


class ColdStartRound(Table):
    """One process; the parts add up to the total."""

    total_s: float
    interpreter_s: float = Field(description="until the first line of Python runs")
    imports_s: float = Field(description="edge_pose, NumPy, OpenCV; configuration")
    model_load_s: float = Field(description="artifact check, import of the runtime, session")
    first_pose_s: float = Field(description="source, outputs, warm-up, frames, publishing")
    frames: int = Field(description="read until someone was found")


class ColdStartSummary(Table):
    """Over the rounds."""

    total_s: Spread
    interpreter_s: Spread
    imports_s: Spread
    model_load_s: Spread
    first_pose_s: Spread
    target_s: float
    target_met: bool


class ColdStartReport(Report):
    """The whole report."""

    kind: Literal["cold_start"] = "cold_start"
    model: str
    source: str
    rounds: tuple[ColdStartRound, ...] = Field(min_length=1)
    summary: ColdStartSummary


def cold_start_benchmark(
    config: RunConfig,
    rounds: int,
    environment: Environment,
    on_round: Callable[[int, ColdStartRound], None] = lambda _number, _round: None,
) -> ColdStartReport:
    """Measure; arguments as in benchmarks.run.run_benchmark.

    Raises:
        EdgePoseError: a start failed, or nobody is in the clip.
    """
    done = []
    with tempfile.TemporaryDirectory() as folder:
        flags = config.model_dump(mode="json", exclude_unset=True)
        flags["jsonl"] = str(Path(folder) / "poses.jsonl")
        for number in range(1, rounds + 1):
            done.append(_round(flags))
            on_round(number, done[-1])
    return ColdStartReport(
        created_at=utc_now(),
        environment=environment,
        model=config.model,
        source=config.source,
        rounds=tuple(done),
        summary=_summary(done),
    )


def _round(flags: Mapping[str, Any]) -> ColdStartRound:
    command = [sys.executable, "-m", "benchmarks.cold_start_child", json.dumps(flags)]
    spawned_s = time.monotonic()  # the child reads the same clock
    answer = ask_child(command, "cold start")
    if "error" in answer:
        raise EdgePoseError(str(answer["error"]))
    moments = [spawned_s, *(float(answer[f"{k}_s"]) for k in ("started", "load", "loaded", "pose"))]
    parts = [after - before for before, after in pairwise(moments)]
    return ColdStartRound(
        total_s=moments[-1] - moments[0],
        interpreter_s=parts[0],
        imports_s=parts[1],
        model_load_s=parts[2],
        first_pose_s=parts[3],
        frames=int(answer["frames"]),
    )


def _summary(rounds: list[ColdStartRound]) -> ColdStartSummary:
    total = spread(r.total_s for r in rounds)
    return ColdStartSummary(
        total_s=total,
        interpreter_s=spread(r.interpreter_s for r in rounds),
        imports_s=spread(r.imports_s for r in rounds),
        model_load_s=spread(r.model_load_s for r in rounds),
        first_pose_s=spread(r.first_pose_s for r in rounds),
        target_s=TARGET_S,
        target_met=total.median < TARGET_S,
    )
