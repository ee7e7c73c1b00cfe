"""The report of `edge-pose-bench run`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from benchmarks.report import Report, Spread, Table

LatencyMs = dict[str, dict[str, float]]
"""mean, p50, p95 and p99 in ms by stage."""


class Settings(Table):
    """What was asked for."""

    model: str
    source: str
    rounds: int = Field(ge=1)
    threads: int = Field(ge=0, description="inference threads; 0 leaves one core to capture")
    profile: str = Field(description="name of the device profile, never 'auto'")
    power: str
    max_frames: int | None = Field(ge=1)


class Accuracy(Table):
    """From the gate report in the artifact's manifest."""

    metric: str
    percent: float
    dataset: str
    n_persons: int


class ArtifactFacts(Table):
    """What was run."""

    name: str
    sha256: str
    precision: str
    backend: str
    backend_version: str
    backend_device: str
    input_size: tuple[int, int] = Field(description="w, h in px")
    params: int
    macs: int
    accuracy: Accuracy | None


class Clip(Table):
    """What it was run on."""

    name: str
    frames: int = Field(ge=1, description="read per round")
    width: int
    height: int
    frame_rate: float | None


class Timing(Table):
    """One measurement of one round; wall clock over all frames, then the parts of it."""

    frames: int = Field(ge=1)
    ms_per_frame: float
    fps: float
    latency_ms: LatencyMs


class PipelineTiming(Timing):
    """The whole pipeline; `latency_ms` also has "end_to_end", from capture to published."""

    frames_with_people: int
    dropped: int
    watts: float
    joules_per_frame: float
    accuracy_fps_per_watt: float | None


class Round(Table):
    """All four measurements, taken one after another."""

    order: tuple[str, ...]
    bare: Timing = Field(description="the network alone on a prepared tensor")
    estimator: Timing = Field(description="preprocess, infer and decode of ready frames")
    read_clip: Timing = Field(description="reading the clip, nothing else")
    pipeline: PipelineTiming = Field(description="edge_pose.session.run, as `edge-pose run`")
    overhead: float = Field(description="pipeline over bare, time per frame")


class Rate(Table):
    """One measurement over all rounds."""

    ms_per_frame: Spread
    fps: Spread


class Power(Table):
    """Watts while the pipeline ran; `source` tells a measurement from an estimate."""

    source: Literal["measured", "estimated"]
    meter: str
    detail: str
    watts: Spread
    joules_per_frame: Spread


class Summary(Table):
    """Medians over the rounds, with the smallest and the largest."""

    bare: Rate
    estimator: Rate
    read_clip: Rate
    pipeline: Rate
    stages_ms: dict[str, dict[str, Spread]] = Field(description="p50, p95, p99 of the pipeline")
    overhead: Spread
    overhead_target: float
    overhead_met: bool
    frames: int
    frames_with_people: Spread
    power: Power
    accuracy_fps_per_watt: Spread | None


class RunReport(Report):
    """The whole report."""

    kind: Literal["run"] = "run"
    settings: Settings
    artifact: ArtifactFacts
    clip: Clip
    rounds: tuple[Round, ...] = Field(min_length=1)
    summary: Summary
