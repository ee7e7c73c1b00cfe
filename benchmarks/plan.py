"""What a benchmark of one device shall measure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from benchmarks.steady import AT_MOST
from edge_pose.errors import UsageError

ModeName: TypeAlias = Literal["offline", "single_stream", "fixed_rate"]
MODES: tuple[ModeName, ...] = get_args(ModeName)
MIN_SECONDS = 3.0  # of a pass: power meters are slow
ASSUMED_RATE_HZ = 30.0  # of a camera, where neither the clip nor the caller names one


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure and by which rules.

    Attributes:
        repeats: of everything, interleaved; confidence intervals need two at least.
        modes: ways of feeding frames.
        rate_hz: of the camera; None for the clip's own rate.
        parts: also measure the network, the estimator and the reading of the clip alone.
        threads_sweep: also measure with 1, 2 and all threads.
        min_seconds: a pass lasts at least so long, the clip is played again; 0: once.
        idle_s: how long the idle power is watched before; 0 for not at all.
        warm_up_frames: at most so many are discarded while the machine is not steady.
        min_accuracy: closed division: below it, in percent, the result is not valid.
        measured_power: closed division: an estimate is not valid.
        root: of the file system, for meters and the machine's state.

    Raises:
        UsageError: they do not go together.
    """

    repeats: int = 5
    modes: tuple[ModeName, ...] = MODES
    rate_hz: float | None = None
    parts: bool = True
    threads_sweep: bool = False
    min_seconds: float = MIN_SECONDS
    idle_s: float = 5.0
    warm_up_frames: int = AT_MOST
    closed: bool = False
    min_accuracy: float | None = None
    measured_power: bool = False
    root: Path = Path("/")

    def __post_init__(self) -> None:
        if self.closed and self.min_accuracy is None:
            raise UsageError("--closed: needs --min-accuracy, the accuracy that must be kept")
        if not self.closed and (self.min_accuracy is not None or self.measured_power):
            option = "--measured-power" if self.min_accuracy is None else "--min-accuracy"
            raise UsageError(f"{option}: is a rule of the closed division, add --closed")
        if self.rate_hz is not None and "fixed_rate" not in self.modes:
            raise UsageError("--rate: only the mode fixed_rate has a camera rate")
