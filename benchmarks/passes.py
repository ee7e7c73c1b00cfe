"""One pass of the shipped frame loop over the clip, fed in one of three ways.

The loop is the one of `edge-pose run`: the same Session drives the same Pipeline and publishers.
Only the source is wrapped, and the power meter stays open between passes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.camera import Camera, OneAtATime
from benchmarks.measures import check_clock
from benchmarks.no_meter import NoMeter
from benchmarks.plan import ModeName
from benchmarks.repeated import Repeated
from benchmarks.workload import Workload, open_clip
from edge_pose.errors import EdgePoseError, PowerError
from edge_pose.power import EnergyRecorder, MachineState, PowerMeter, PowerSummary
from edge_pose.session import Session
from edge_pose.sources.base import Source
from edge_pose.types import FrameResult

INTERVAL_S = 0.25  # between power samples: some meters do not know more
UPDATES = 10  # of the meter, within a pass: its first and last one are only partly of the pass


@dataclass(slots=True)
class Instruments:
    """What watches while a pass runs.

    Attributes:
        meter: open.
        read_state: clocks, temperatures and throttling of the machine.
        idle: the baseline, where one was measured.
        lost: why the meter is gone; from then on passes run without.
    """

    meter: PowerMeter
    read_state: Callable[[], MachineState]
    idle: PowerSummary | None = None
    lost: str | None = None

    def watch(self, stack: ExitStack) -> EnergyRecorder:
        """Record power until the stack ends; without a meter where it is gone."""
        if self.lost is None:
            try:
                return stack.enter_context(self._recorder(self.meter))
            except PowerError as error:
                self.lost = str(error)
        return stack.enter_context(self._recorder(NoMeter(self.meter)))

    def power(self, recorder: EnergyRecorder) -> PowerSummary:
        """Return what was recorded, and remember where the meter was lost meanwhile."""
        summary = recorder.summary()
        if self.lost is not None:
            lost = f"before it began: {self.lost}"
            return replace(summary, samples=0, idle_w=None, uncertainty_w=None, lost=lost)
        if summary.lost is not None:
            self.lost = summary.lost.partition(": ")[2]  # why, without when
        return summary

    def least_s(self, min_s: float) -> float:
        """Return how long a pass lasts at least, so that the meter sees enough of it."""
        return max(min_s, UPDATES * self.meter.accuracy.update_s) if min_s > 0 else 0.0

    def _recorder(self, meter: PowerMeter) -> EnergyRecorder:
        return EnergyRecorder(
            meter,
            INTERVAL_S,
            read_state=self.read_state,
            idle=self.idle,
            keep_trace=True,
        )


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
    def metered(self) -> bool:
        """False where the meter was gone before it began: then the power is no figure."""
        return self.power.samples > 0

    @property
    def joules_per_frame(self) -> float:
        """Of all the power."""
        return self.power.mean_w * self.duration_s / self.frames

    def efficiency(self, accuracy_percent: float) -> float | None:
        """Return accuracy × FPS / W, the AE of EfficientHRNet's authors; None without power."""
        watts = self.power.mean_w if self.metered else 0.0
        return accuracy_percent * self.fps / watts if watts > 0 else None


def run_pass(
    work: Workload,
    mode: ModeName,
    instruments: Instruments,
    folder: Path,
    rate_hz: float = 0.0,
    *,
    min_s: float = 0.0,
    at_most: int | None = None,
) -> Pass:
    """Run the loop once.

    Args:
        work: clip and model.
        mode: "offline" reads as fast as it goes, "single_stream" reads a frame when the one before
            is published, "fixed_rate" plays like a camera.
        instruments: watch.
        folder: the messages are written there.
        rate_hz: of the camera, for "fixed_rate".
        min_s: the clip is played again until so many seconds have passed, longer where the meter
            is slow; 0: once.
        at_most: frames of one play; None: the whole clip.

    Raises:
        EdgePoseError: the pass failed, or lost frames that it had time for.
    """
    length = min(work.frames, at_most or work.frames)
    with open_clip(work.config) as inner:
        clip = Repeated(inner, length, instruments.least_s(min_s))
        if mode == "single_stream":
            turn = OneAtATime(clip)
            return _run(work, mode, instruments, folder, clip, turn, lambda _: turn.published())
        source = Camera(clip, rate_hz) if mode == "fixed_rate" else clip
        return _run(work, mode, instruments, folder, clip, source, lambda _: None)


def _run(
    work: Workload,
    mode: ModeName,
    instruments: Instruments,
    folder: Path,
    clip: Repeated,
    source: Source,
    on_result: Callable[[FrameResult], None],
) -> Pass:
    # How many frames there are is for the clip to say, which may be played more than once.
    update = {"jsonl": folder / "poses.jsonl", "max_frames": None}
    config = work.config.model_copy(update=update)
    with closing(Session(config, work.model, source)) as session:
        session.open()
        with ExitStack() as stack:
            energy = instruments.watch(stack)
            started_s, cpu_s = time.monotonic(), time.process_time()
            session.loop(threading.Event(), on_result, energy)
            cpu_s = time.process_time() - cpu_s
        figures = session.figures
        if session.error is not None:
            raise session.error
    offered = source.offered if isinstance(source, Camera) else clip.expected
    if figures.frames == 0 or (mode != "fixed_rate" and figures.frames != offered):
        raise EdgePoseError(f"{config.source}: {figures.frames} of {offered} frames came through")
    durations_s = figures.latency.recent_s()
    check_clock(min(figures.duration_s, *(float(all_s.min()) for all_s in durations_s.values())))
    power = instruments.power(energy)
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
        power=power,
        trace=energy.trace if power.samples else [],
    )
