"""One pass of the shipped frame loop over the clip, fed in one of three ways.

The loop is the one of `edge-pose run`: the same Session drives the same Pipeline and publishers.
Only the source is wrapped, and the power meter stays open between passes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.camera import Camera, OneAtATime
from benchmarks.measures import check_clock
from benchmarks.plan import ModeName
from benchmarks.workload import Workload, open_clip
from edge_pose.errors import EdgePoseError
from edge_pose.power import EnergyRecorder, MachineState, PowerMeter, PowerSummary
from edge_pose.session import _Session as Session
from edge_pose.sources.base import Source
from edge_pose.types import FrameResult

INTERVAL_S = 0.25  # between power samples: some meters do not know more


@dataclass(frozen=True, slots=True)
class Instruments:
    """What watches while a pass runs.

    Attributes:
        meter: open.
        read_state: clocks, temperatures and throttling of the machine.
        idle: the baseline, where one was measured.
    """

    meter: PowerMeter
    read_state: Callable[[], MachineState]
    idle: PowerSummary | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass found.

    Attributes:
        mode: how it was fed.
        frames: published.
        frames_with_people: of those.
        started_s: on the monotonic clock.
        duration_s: from the start of the loop to the last frame published.
        durations_s: of every frame, by stage; "end_to_end" is capture to published.
        offered: frames that there were to take.
        late: published after the next frame was due; 0 where nothing is due.
        cpu_s: processor time of this process meanwhile, all threads.
        power: of that time.
        trace: (seconds since its first sample, W).
    """

    mode: ModeName
    frames: int
    frames_with_people: int
    started_s: float
    duration_s: float
    durations_s: dict[str, NDArray[np.float64]]
    offered: int
    late: int
    cpu_s: float
    power: PowerSummary
    trace: list[tuple[float, float]]

    @property
    def fps(self) -> float:
        """Frames published per second."""
        return self.frames / self.duration_s

    @property
    def skipped(self) -> int:
        """Frames that were offered and never looked at."""
        return self.offered - self.frames

    @property
    def joules_per_frame(self) -> float:
        """Of all the power."""
        return self.power.mean_w * self.duration_s / self.frames

    def efficiency(self, accuracy_percent: float) -> float | None:
        """Return accuracy × FPS / W, the AE of EfficientHRNet's authors; None without power."""
        watts = self.power.mean_w
        return accuracy_percent * self.fps / watts if watts > 0 else None


def run_pass(
    work: Workload, mode: ModeName, instruments: Instruments, folder: Path, rate_hz: float = 0.0
) -> Pass:
    """Run the loop once.

    Args:
        work: clip and model.
        mode: "offline" reads as fast as it goes, "single_stream" reads a frame when the one before
            is published, "fixed_rate" plays like a camera.
        instruments: watch.
        folder: the messages are written there.
        rate_hz: of the camera, for "fixed_rate".

    Raises:
        EdgePoseError: the pass failed, or lost frames that it had time for.
    """
    with open_clip(work.config) as clip:
        if mode == "single_stream":
            turn = OneAtATime(clip)
            return _run(work, mode, instruments, folder, turn, lambda _: turn.published())
        if mode == "fixed_rate":
            camera = Camera(clip, rate_hz, work.config.max_frames)
            return _run(work, mode, instruments, folder, camera, lambda _: None)
        return _run(work, mode, instruments, folder, clip, lambda _: None)


def _run(
    work: Workload,
    mode: ModeName,
    instruments: Instruments,
    folder: Path,
    source: Source,
    on_result: Callable[[FrameResult], None],
) -> Pass:
    config = work.config.model_copy(update={"jsonl": folder / "poses.jsonl"})
    recorder = EnergyRecorder(
        instruments.meter,
        INTERVAL_S,
        read_state=instruments.read_state,
        idle=instruments.idle,
        keep_trace=True,
    )
    with closing(Session(config, work.model, source)) as session:
        session.open()
        with recorder as energy:
            started_s, cpu_s = time.monotonic(), time.process_time()
            session.loop(threading.Event(), on_result, energy)
            cpu_s = time.process_time() - cpu_s
        figures = session.figures
        if session.error is not None:
            raise session.error
    offered = source.offered if isinstance(source, Camera) else work.frames
    if figures.frames == 0 or (mode != "fixed_rate" and figures.frames != offered):
        raise EdgePoseError(f"{config.source}: {figures.frames} of {offered} frames came through")
    durations_s = figures.latency.recent_s()
    check_clock(min(figures.duration_s, *(float(all_s.min()) for all_s in durations_s.values())))
    period_s = 1.0 / source.frame_rate if mode == "fixed_rate" and source.frame_rate else None
    return Pass(
        mode=mode,
        frames=figures.frames,
        frames_with_people=figures.frames_with_people,
        started_s=started_s,
        duration_s=figures.duration_s,
        durations_s=durations_s,
        offered=offered,
        late=int((durations_s["end_to_end"] > period_s).sum()) if period_s else 0,
        cpu_s=cpu_s,
        power=energy.summary(),
        trace=recorder.trace,
    )
