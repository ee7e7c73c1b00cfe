"""The result of `edge-pose-bench run`: one artifact on one device, schema `edge_pose.bench/2`.

Every figure that was measured several times is an Interval: mean and 95 % confidence interval over
the repeats. The JSON Schema in benchmarks/schemas is generated from these models, see
`json_schema`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, model_validator

from benchmarks.interval import Interval
from benchmarks.plan import MODES, ModeName
from benchmarks.report import SCHEMA, Report, Table
from benchmarks.run_report import Accuracy, Clip, Round, Summary
from edge_pose.manifest import Format, Precision, Task
from edge_pose.power import PowerSource, Scope

AGREE = 0.02  # figures that follow from each other may differ by this through rounding


class Setup(Table):
    """What was asked for."""

    model: str
    detector: str | None = Field(None, description="that says a top-down model where people are")
    source: str
    profile: str = Field(description="name of the device profile, never 'auto'")
    power: str
    modes: tuple[ModeName, ...]
    repeats: int = Field(ge=1)
    threads: int = Field(ge=1, description="inference threads")
    rate_hz: float | None = Field(None, gt=0, description="camera rate that was asked for")
    max_frames: int | None = Field(None, ge=1)
    min_seconds: float = Field(
        0.0, ge=0, description="the clip was played again until a pass lasted so long; 0: once"
    )


class Device(Table):
    """The device, as its profile describes it."""

    profile: str
    description: str
    accelerator: str = ""
    budget_w: float | None = Field(None, description="W that the profile allows")
    detected: tuple[str, ...] = Field(
        (), description="profiles that fit this machine, the best first; empty: not looked at"
    )
    emulated: tuple[str, ...] = Field(
        (), description="what was emulated or recorded, not the hardware itself"
    )


class Artifact(Table):
    """What was run, and in what."""

    name: str
    sha256: str
    task: Task
    format: Format
    precision: Precision
    size_bytes: int = Field(gt=0)
    input_size: tuple[int, int] = Field(description="w, h in px")
    params: int
    macs: int
    backend: str
    backend_version: str
    backend_device: str
    gate_passed: bool | None = Field(description="None: no gate report")
    accuracy: Accuracy | None = Field(description="of the artifact itself, from its gate report")


class SourceFacts(Clip):
    """What it was run on."""

    sha256: str | None = Field(None, description="of a single file")


class WarmUp(Table):
    """What was discarded before anything counted; see benchmarks.steady."""

    load_s: float = Field(ge=0, description="reading, checking and compiling the artifact")
    first_runs_s: float = Field(ge=0, description="the runtime's first runs, on a grey picture")
    discarded_frames: int = Field(ge=0)
    steady: bool = Field(description="False: it was still changing when patience ended")
    window: int = Field(
        ge=1,
        description="frames per pass, always the same ones; successive ones in results of before"
        " 2026-11-20",
    )
    tolerance: float = Field(gt=0, description="largest shift between passes that counts as none")
    medians_ms: tuple[float, ...] = Field(description="of the passes, in order")


class Latency(Table):
    """One stage; percentiles within each repeat, then over the repeats."""

    frames: int = Field(ge=1, description="of all repeats")
    mean_ms: Interval
    p50_ms: Interval
    p90_ms: Interval
    p95_ms: Interval
    p99_ms: Interval
    max_ms: float = Field(ge=0, description="of all repeats")

    @model_validator(mode="after")
    def _ascending(self) -> Latency:
        intervals = (self.p50_ms, self.p90_ms, self.p95_ms, self.p99_ms)
        ordered = [*(figure.mean for figure in intervals), self.max_ms]
        if any(low > high * (1 + 1e-9) for low, high in pairwise(ordered)):
            raise ValueError("percentiles do not ascend: are their units mixed?")
        return self


class Histogram(Table):
    """Frames by end-to-end latency, for drawing."""

    edges_ms: tuple[float, ...] = Field(min_length=2, description="ascending, one more than counts")
    counts: tuple[NonNegativeInt, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Histogram:
        if len(self.edges_ms) != len(self.counts) + 1:
            raise ValueError(f"{len(self.edges_ms)} edges for {len(self.counts)} counts")
        if any(low > high for low, high in pairwise(self.edges_ms)):
            raise ValueError("edges do not ascend")
        return self


class PowerSeries(Table):
    """Watts over time, for drawing; thinned out where there were many samples."""

    time_s: tuple[float, ...] = Field(description="since the start of the mode's first repeat")
    power_w: tuple[float, ...]

    @model_validator(mode="after")
    def _fits(self) -> PowerSeries:
        if len(self.time_s) != len(self.power_w):
            raise ValueError(f"{len(self.time_s)} times for {len(self.power_w)} powers")
        return self


class ModePower(Table):
    """Power while one mode ran."""

    mean_w: Interval
    joules_per_frame: Interval = Field(description="all of the power, idle included")
    above_idle_joules_per_frame: Interval | None = Field(None, description="None: no idle baseline")
    accuracy_fps_per_watt: Interval | None = Field(description="AE; None without an accuracy")
    rails_w: dict[str, float] = Field(
        default_factory=dict, description="of each part that the meter tells apart"
    )
    samples: int = Field(ge=0, description="0: lost before, then the powers are 0 and no figures")
    window_s: float | None = Field(None, ge=0, description="watched in the shortest repeat")
    lost: str | None = Field(None, description="when and why the meter was lost")
    series: PowerSeries

    @property
    def known(self) -> bool:
        """False where the meter was lost: what is left is of a part of the time, or nothing."""
        return self.lost is None

    @model_validator(mode="after")
    def _metered(self) -> ModePower:
        if not self.samples and self.lost is None:
            raise ValueError("no samples, and no reason why")
        return self


class Mode(Table):
    """One way of feeding frames, over all repeats."""

    frames: int = Field(ge=1, description="of all repeats")
    fps: Interval
    latency: dict[str, Latency] = Field(description="by stage; end_to_end: capture to published")
    histogram: Histogram
    frames_with_people: int = Field(ge=0, description="of all repeats")
    cpu_percent: Interval = Field(description="of one core, all threads of this process")
    power: ModePower

    @model_validator(mode="after")
    def _consistent(self) -> Mode:
        if "end_to_end" not in self.latency:
            raise ValueError("latency: has no end_to_end")
        per_frame_j = self.power.mean_w.mean / max(self.fps.mean, 1e-9)
        if self.power.lost is None and not _agree(self.power.joules_per_frame, per_frame_j):
            raise ValueError(
                f"joules_per_frame {self.power.joules_per_frame.mean:.4g} does not follow from"
                f" {self.power.mean_w.mean:.4g} W and {self.fps.mean:.4g} FPS: mixed units?"
            )
        return self


class FixedRate(Mode):
    """Frames arriving as from a camera; each is due before the next one is taken."""

    rate_hz: float = Field(gt=0)
    offered: int = Field(ge=1, description="frames that the camera took, all repeats")
    skipped: int = Field(ge=0, description="of those, never looked at: a newer one was there")
    late: int = Field(ge=0, description="of those, published after their deadline")
    miss_percent: Interval = Field(description="skipped and late, of those offered")

    @property
    def deadline_misses(self) -> int:
        """Frames without a result in time."""
        return self.skipped + self.late


class ThreadsPoint(Table):
    """Throughput with another number of inference threads."""

    threads: int = Field(ge=1)
    fps: Interval
    network_ms: Interval = Field(description="the network alone, per frame")


class Meter(Table):
    """How power was known."""

    name: str
    source: PowerSource = Field(description="every figure derived from it carries this")
    scope: Scope = Field(description="what is in the figure, from the wall to one chip")
    detail: str
    uncertainty_w: float | None = Field(description="± of the mean, 95 %; None: an estimate")
    update_s: float | None = Field(
        None, ge=0, description="between two new values of the sensor; None: not looked at"
    )
    sensor_known: bool = Field(description="the sensor's own error is in uncertainty_w")
    rate_hz: float = Field(ge=0, description="samples per second")
    idle_w: float | None = Field(
        description="before, the model loaded and waiting; None: not measured"
    )
    idle_s: float = Field(ge=0, description="how long that was watched")


class MachineState(Table):
    """One look at what the machine is doing."""

    temperatures_c: dict[str, float] = Field(description="by thermal zone")
    clocks_mhz: dict[str, float] = Field(description="by frequency domain")
    governor: str | None
    turbo: bool | None


class Machine(Table):
    """The machine before and after, and what the process took."""

    before: MachineState
    after: MachineState
    rss_mib: float = Field(
        ge=0,
        description="largest resident set while warming up, less the frames that are kept ready",
    )
    throttled: tuple[str, ...] | None = Field(
        description="what held the clocks back; None: nothing tells whether anything did"
    )


class Parts(Table):
    """Network alone, estimator, reading and pipeline, interleaved over rounds."""

    rounds: tuple[Round, ...] = Field(min_length=1)
    summary: Summary


class Validity(Table):
    """Whether the result keeps its own rules."""

    division: Literal["open", "closed"]
    min_accuracy: float | None = Field(None, description="percent, of the artifact's metric")
    measured_power: bool = Field(False, description="estimated power was ruled out")
    valid: bool
    reasons: tuple[str, ...] = Field((), description="why it is not valid")

    @model_validator(mode="after")
    def _consistent(self) -> Validity:
        if self.valid == bool(self.reasons):
            raise ValueError("valid without reasons, or invalid with at least one")
        return self


class DeviceResult(Report):
    """The whole result."""

    schema_: Literal["edge_pose.bench/2"] = Field(SCHEMA, alias="schema")
    kind: Literal["device"] = "device"
    setup: Setup
    device: Device
    artifact: Artifact
    detector: Artifact | None = Field(None, description="its accuracy is none of poses")
    source: SourceFacts
    warm_up: WarmUp
    offline: Mode | None = Field(None, description="throughput: as fast as it goes, as `run` does")
    single_stream: Mode | None = Field(None, description="a frame at a time, nothing overlaps")
    fixed_rate: FixedRate | None = Field(None, description="real time, as from a camera")
    threads_sweep: tuple[ThreadsPoint, ...] = ()
    meter: Meter
    machine: Machine
    parts: Parts | None = None
    validity: Validity
    warnings: tuple[str, ...] = ()

    @property
    def modes(self) -> dict[str, Mode]:
        """The modes that were measured, by name."""
        found = {name: getattr(self, name) for name in MODES}
        return {name: mode for name, mode in found.items() if mode is not None}

    @model_validator(mode="after")
    def _consistent(self) -> DeviceResult:
        if not self.modes:
            raise ValueError("no mode was measured")
        accuracy = self.artifact.accuracy
        for name, mode in self.modes.items():
            ae = mode.power.accuracy_fps_per_watt
            if accuracy is None or ae is None or mode.power.mean_w.mean <= 0:
                continue
            expected = accuracy.percent * mode.fps.mean / mode.power.mean_w.mean
            if not _agree(ae, expected):
                raise ValueError(
                    f"{name}: accuracy_fps_per_watt {ae.mean:.4g} does not follow from"
                    f" {accuracy.percent:g} % × {mode.fps.mean:.4g} FPS /"
                    f" {mode.power.mean_w.mean:.4g} W: mixed units?"
                )
        return self


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a device result."""
    return DeviceResult.model_json_schema(by_alias=True, mode="validation")


def _agree(found: Interval, expected: float) -> bool:
    """True where the mean is the expected value.

    Means of ratios over the repeats differ from the ratio of means by about the square of their
    relative spread, hence the repeats' own spread is allowed.
    """
    spread = max(found.values) - min(found.values)
    return abs(found.mean - expected) <= AGREE * abs(expected) + spread + 1e-12
