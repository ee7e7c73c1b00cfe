"""What a measurement of power came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_pose.power.base import Accuracy, PowerSource, Scope
from edge_pose.power.integral import Integral
from edge_pose.power.throttling import MachineState


@dataclass(frozen=True, slots=True)
class PowerSummary:
    """What a run used.

    Attributes:
        mean_w: mean power over `duration_s`, W.
        energy_j: energy over `duration_s`, J.
        duration_s: time from the first to the last sample, seconds.
        samples: readings of the meter.
        meter: its name.
        source: "measured" or "estimated".
        detail: what is read; says so where the meter was lost before the end of the run.
        scope: what is in the figure: wall, battery, board, package or gpu.
        min_w: smallest reading, W.
        max_w: largest reading, W.
        uncertainty_w: of `mean_w`, ± W at 95 %, see Integral; None for an estimate, and where
            the run was shorter than one update of the sensor.
        sensor_known: True where the sensor's own error is in `uncertainty_w`; nobody states it for
            many sensors, and then only the sampling is.
        rails_w: mean W of each part that the meter tells apart.
        idle_w: mean W of the idle baseline, None where none was measured.
        started_at: wall clock at the first sample, seconds since 1970.
        clock_step_s: by how much the wall clock was set during the run; 0 where it ran on.
        before: clocks and temperatures at the start, None where they were not read.
        after: the same at the end.
        throttled: why clocks were held back in between; None where nothing tells.
        lost: when and why the meter was lost before the end, None where it was not.
    """

    mean_w: float
    energy_j: float
    duration_s: float
    samples: int
    meter: str
    source: PowerSource
    detail: str
    scope: Scope = "board"
    min_w: float = 0.0
    max_w: float = 0.0
    uncertainty_w: float | None = None
    sensor_known: bool = False
    rails_w: Mapping[str, float] = field(default_factory=dict)
    idle_w: float | None = None
    started_at: float | None = None
    clock_step_s: float = 0.0
    before: MachineState | None = None
    after: MachineState | None = None
    throttled: tuple[str, ...] | None = None
    lost: str | None = None

    @property
    def rate_hz(self) -> float:
        """Samples per second."""
        return (self.samples - 1) / self.duration_s if self.duration_s > 0 else 0.0

    @property
    def above_idle_w(self) -> float | None:
        """What the work added to the idle baseline; None where there is none."""
        return None if self.idle_w is None else self.mean_w - self.idle_w

    @classmethod
    def of(
        cls,
        integral: Integral,
        *,
        meter: str,
        detail: str,
        scope: Scope,
        source: PowerSource = "measured",
        accuracy: Accuracy | None = None,
        **more: Any,  # noqa: ANN401 - the other fields, by name
    ) -> PowerSummary:
        """Put the figures of an integral together; `more` are fields of this class."""
        accuracy = accuracy or Accuracy()
        measured = source == "measured"
        seen = integral.max_w >= integral.min_w
        uncertainty_w = integral.uncertainty_w(accuracy) if measured else None
        return cls(
            mean_w=integral.mean_w,
            energy_j=integral.energy_j,
            duration_s=integral.duration_s,
            samples=integral.samples,
            meter=meter,
            source=source,
            detail=detail,
            scope=scope,
            min_w=integral.min_w if seen else integral.mean_w,
            max_w=integral.max_w if seen else integral.mean_w,
            uncertainty_w=uncertainty_w,
            sensor_known=uncertainty_w is not None and accuracy.relative is not None,
            **more,
        )
