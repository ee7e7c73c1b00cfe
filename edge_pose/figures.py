"""Counts and times of one run: since its start, and since the last statistics message."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edge_pose.messages import JsonObject, MessageContext, PowerFigures, stats_message
from edge_pose.metrics.latency import LatencyRecorder
from edge_pose.power import PowerSummary
from edge_pose.types import FrameResult


@dataclass(slots=True)
class _Mark:
    """Where the last interval ended."""

    time_s: float
    frames: int = 0
    energy_j: float = 0.0
    metered_s: float = 0.0


class RunFigures:
    """Figures of a run, in bounded memory."""

    def __init__(self) -> None:
        self.latency = LatencyRecorder()
        self.frames = self.frames_with_people = self.dropped = 0
        self.started_s = self.finished_s = time.monotonic()
        self._mark = _Mark(self.started_s)

    def add(self, result: FrameResult, publish_s: float) -> None:
        """Count a frame that has just been published."""
        self.finished_s = time.monotonic()
        for stage, seconds in result.stage_s.items():
            self.latency.add(stage, seconds)
        self.latency.add("publish", publish_s)
        self.latency.add("end_to_end", self.finished_s - result.frame.captured_s)
        self.frames += 1
        self.frames_with_people += bool(result.poses)
        self.dropped = result.dropped

    @property
    def duration_s(self) -> float:
        """From the start to the last frame published."""
        return self.finished_s - self.started_s

    def interval_message(
        self, context: MessageContext, power: PowerSummary, dropped_mqtt: int
    ) -> JsonObject:
        """Build the statistics message of the time since the last one, and start a new interval."""
        before, now_s = self._mark, time.monotonic()
        frames = self.frames - before.frames
        self._mark = _Mark(now_s, self.frames, power.energy_j, power.duration_s)
        return stats_message(
            context,
            uptime_s=now_s - self.started_s,
            frames=self.frames,
            fps=frames / max(now_s - before.time_s, 1e-9),
            latency_ms={name: stage.to_ms() for name, stage in self.latency.summary().items()},
            dropped_source=self.dropped,
            dropped_mqtt=dropped_mqtt,
            power=_power(power, before, frames),
        )


def _power(power: PowerSummary, before: _Mark, frames: int) -> PowerFigures | None:
    """Return the power since `before`; None where the meter, being lost, gave nothing new."""
    energy_j, metered_s = power.energy_j - before.energy_j, power.duration_s - before.metered_s
    if metered_s <= 0:
        return None
    per_frame = energy_j / frames if frames else None
    return PowerFigures(energy_j / metered_s, per_frame, power.source, power.meter)
