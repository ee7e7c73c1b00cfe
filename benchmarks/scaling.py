"""`edge-pose-bench scaling`: FPS against people, threads, resolution and processes side by side.

Every figure comes from processes that run edge_pose.session.run, as `edge-pose run` does: one, or
several at the same time. All combinations are measured in every round, another one first each time,
and compared with the base combination of the same round.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from benchmarks.companion import Answer, Companion
from benchmarks.environment import Environment
from benchmarks.report import Report, Spread, Table, spread
from benchmarks.scenes import cut_out_person, write_scene
from edge_pose.artifact import load_artifact
from edge_pose.config import RunConfig
from edge_pose.detector import check_detector
from edge_pose.errors import EdgePoseError
from edge_pose.manifest import Task
from edge_pose.pipeline import MANY_PEOPLE
from edge_pose.types import Image, utc_now

WARM_UP = 30  # frames: runtimes settle, and the tracker finds everybody
AHEAD = 8  # results that were ready while the process waited for the others
PASS_S = 600.0
HEIGHT_OVER_WIDTH = 9 / 16


class ScalingCase(Table):
    """One combination."""

    people: int = Field(ge=0, le=100, description="in every picture")
    width: int = Field(ge=64, le=7680, description="of the source, px; 16:9")
    threads: int = Field(ge=0, description="inference threads per process; 0 leaves one core")
    processes: int = Field(1, ge=1, description="side by side, each with a source of its own")
    cameras: int = Field(1, ge=1, description="per process")

    def __str__(self) -> str:
        """Its values, for people."""
        size = "×".join(map(str, self.size))
        return (
            f"people {self.people}, {size} px, threads {self.threads or 'default'},"
            f" processes {self.processes}, cameras {self.cameras}"
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px, both even, as video coders want them."""
        return self.width // 2 * 2, round(self.width * HEIGHT_OVER_WIDTH / 2) * 2


class ScalingRound(Table):
    """One combination, once."""

    fps: float = Field(description="of all processes together, while all of them ran")
    slowest_fps: float = Field(description="of the slowest process")
    people_found: float = Field(description="mean per frame")
    cpu_percent: float = Field(description="of one core, all processes together")
    cpu_ms_per_frame: float = Field(
        description="processor time of all threads: other work on the machine hardly changes it"
    )
    ratio: float = Field(description="FPS over those of the base combination in this round")


class ScalingPoint(Table):
    """One combination over the rounds."""

    case: ScalingCase
    threads: int = Field(ge=1, description="that were used")
    rounds: tuple[ScalingRound, ...] = Field(min_length=1)
    fps: Spread
    ratio: Spread
    people_found: Spread
    cpu_percent: Spread
    cpu_ms_per_frame: Spread


class ScalingReport(Report):
    """The whole report."""

    kind: Literal["scaling"] = "scaling"
    model: str
    task: Task
    detector: str | None
    source: str = Field(description="clip that the people were cut out of")
    frames: int = Field(description="per pass and process, the warm-up not counted")
    points: tuple[ScalingPoint, ...] = Field(min_length=1, description="the base comes first")
    axes: dict[str, tuple[int, ...]] = Field(
        description="name of an axis -> the points along it, by their place in `points`"
    )


def scaling_benchmark(
    config: RunConfig,
    axes: dict[str, tuple[ScalingCase, ...]],
    base: ScalingCase,
    frames: int,
    rounds: int,
    environment: Environment,
    on_round: Callable[[int, ScalingCase, float], None] = lambda _number, _case, _fps: None,
) -> ScalingReport:
    """Measure.

    Args:
        config: model, detector and the clip that people are cut out of.
        axes: combinations along each axis.
        base: what all are compared with.
        frames: per pass, after the warm-up.
        rounds: at least 1.
        environment: read before anything was loaded.
        on_round: called after each combination with the number of the round from 1 and the FPS.

    Raises:
        EdgePoseError: something cannot be opened, or a process fails.
    """
    task = load_artifact(config.model, trust_ungated=config.trust_ungated).manifest.task
    if config.detector is not None:  # a wrong one must show before scenes are made
        check_detector(load_artifact(config.detector, trust_ungated=config.trust_ungated))
    cases = list(dict.fromkeys((base, *(case for axis in axes.values() for case in axis))))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flags = [
            _flags(config, case, scene, task)
            for case, scene in zip(cases, _scenes(config, cases, frames, folder), strict=True)
        ]
        done = [_one_round(n, cases, flags, folder, on_round) for n in range(1, rounds + 1)]
    return ScalingReport(
        created_at=utc_now(),
        environment=environment,
        model=config.model,
        task=task,
        detector=config.detector,
        source=config.source,
        frames=frames,
        points=tuple(_point(case, found) for case, *found in zip(cases, *done, strict=True)),
        axes={name: tuple(cases.index(case) for case in axis) for name, axis in axes.items()},
    )


def _one_round(
    number: int,
    cases: Sequence[ScalingCase],
    flags: Sequence[dict[str, Any]],
    folder: Path,
    on_round: Callable[[int, ScalingCase, float], None],
) -> list[tuple[ScalingRound, int]]:
    """Measure every case once, another one first in every round; return also its threads."""
    first = (number - 1) % len(cases)
    passes: dict[int, dict[str, Any]] = {}
    for place in (*range(first, len(cases)), *range(first)):
        passes[place] = _run_side_by_side(flags[place], cases[place].processes, folder)
        on_round(number, cases[place], passes[place]["fps"])
    base_fps = passes[0]["fps"]
    found = []
    for place in range(len(cases)):
        threads = passes[place].pop("threads")
        ratio = passes[place]["fps"] / base_fps
        found.append((ScalingRound(**passes[place], ratio=ratio), threads))
    return found


def _scenes(
    config: RunConfig, cases: Sequence[ScalingCase], frames: int, folder: Path
) -> list[Path]:
    """Write the clips that are needed; return one for each case."""
    cut_outs: list[Image] = cut_out_person(config)
    most = max(1, *(case.people for case in cases))
    files = []
    for case in cases:
        file = folder / f"{case.people}_people_{case.width}.mp4"
        if not file.exists():
            length = WARM_UP + AHEAD + frames
            write_scene(file, cut_outs, case.people, most, case.size, length)
        files.append(file)
    return files


def _flags(config: RunConfig, case: ScalingCase, scene: Path, task: Task) -> dict[str, Any]:
    """Return the flags of `edge-pose run` for one case."""
    flags = config.model_dump(mode="json", exclude_unset=True)
    if config.detector is None and task == "top_down":
        most = max(case.people, 1)  # nobody else is looked for once everybody is followed
    else:
        most = max(case.people, MANY_PEOPLE)
    tracking = {**flags.get("tracking", {}), "max_people": most}
    return {**flags, "source": str(scene), "threads": case.threads, "tracking": tracking}


def _run_side_by_side(flags: dict[str, Any], processes: int, folder: Path) -> dict[str, Any]:
    """Run the same work in several processes at once."""
    with ExitStack() as stack:
        companions = []
        for number in range(processes):
            jsonl = str(folder / f"poses_{number}.jsonl")
            task = {"flags": {**flags, "jsonl": jsonl}, "warm_up": WARM_UP}
            what = f"scaling: process {number + 1} of {processes}"
            companion = Companion("benchmarks.scaling_child", task, what)
            companions.append(stack.enter_context(companion))
        for companion in companions:
            companion.answer(PASS_S)
        for companion in companions:
            companion.tell({})
        return rates([companion.answer(PASS_S) for companion in companions])


def rates(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the figures of the time in which all processes worked.

    Args:
        answers: `published_s`, `cpu_s` and `people` of every frame, and `threads`, by process.

    Raises:
        EdgePoseError: there was no such time.
    """
    stamps = [np.array(answer["published_s"][WARM_UP + AHEAD - 1 :]) for answer in answers]
    start_s = max(float(one[0]) for one in stamps)
    end_s = min(float(one[-1]) for one in stamps)
    if end_s <= start_s:
        raise EdgePoseError("scaling: the processes did not run at the same time: more --frames")
    fps, cpu, people = [], 0.0, []
    for answer, one in zip(answers, stamps, strict=True):
        cpu_s = np.array(answer["cpu_s"][WARM_UP + AHEAD - 1 :])
        # Frames finished by a moment, a frame in work counted by the part that is done.
        done = np.interp((start_s, end_s), one, np.arange(len(one)))
        fps.append(float(done[1] - done[0]) / (end_s - start_s))
        used = np.interp((start_s, end_s), one, cpu_s)
        cpu += float(used[1] - used[0]) / (end_s - start_s)
        people += answer["people"][WARM_UP + AHEAD :]
    return {
        "fps": sum(fps),
        "slowest_fps": min(fps),
        "people_found": float(np.mean(people)),
        "cpu_percent": 100.0 * cpu,
        "cpu_ms_per_frame": 1e3 * cpu / sum(fps),
        "threads": answers[0]["threads"],
    }


def _point(case: ScalingCase, found: Sequence[tuple[ScalingRound, int]]) -> ScalingPoint:
    rounds = tuple(done for done, _ in found)
    return ScalingPoint(
        case=case,
        threads=found[0][1],
        rounds=rounds,
        fps=spread(done.fps for done in rounds),
        ratio=spread(done.ratio for done in rounds),
        people_found=spread(done.people_found for done in rounds),
        cpu_percent=spread(done.cpu_percent for done in rounds),
        cpu_ms_per_frame=spread(done.cpu_ms_per_frame for done in rounds),
    )
