"""Statistics of an interval against hand-computed values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_pose import figures as figures_module
from edge_pose.figures import RunFigures
from edge_pose.messages import MessageContext
from edge_pose.power import PowerSummary
from edge_pose.types import Frame, FrameResult, utc_now

CONTEXT = MessageContext("device", "camera", "model", "0" * 64, "mpii16", "1.0.0")
POWER = PowerSummary(5.0, 50.0, 10.0, 20, "rapl", "measured", "package")


def result(captured_s: float) -> FrameResult:
    frame = Frame(np.zeros((4, 4, 3), np.uint8), 0, utc_now(), captured_s)
    return FrameResult(frame, (), {"infer": 0.002}, 0.0, dropped=3)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(figures_module.time, "monotonic", lambda: now[0])
    return now


def test_figures_are_of_the_interval_and_counts_of_the_run(clock: list[float]) -> None:
    figures = RunFigures()
    for _ in range(20):
        clock[0] += 0.5
        figures.add(result(clock[0] - 0.25), publish_s=0.001)
    first = figures.interval_message(CONTEXT, POWER, dropped_mqtt=1)
    assert first["frames"] == 20
    assert first["fps"] == 2.0  # 20 frames in 10 s
    assert first["power"] == {
        "watts": 5.0, "joules_per_frame": 2.5, "source": "measured", "meter": "rapl",
    }  # fmt: skip
    assert first["latency_ms"]["end_to_end"]["p50"] == 250.0  # type: ignore[index]
    assert first["dropped"] == {"source": 3, "mqtt": 1}
    clock[0] += 5.0
    figures.add(result(clock[0]), publish_s=0.001)
    later = replace(POWER, energy_j=90.0, duration_s=15.0)
    second = figures.interval_message(CONTEXT, later, dropped_mqtt=1)
    assert (second["frames"], second["fps"], second["uptime_s"]) == (21, 0.2, 15.0)
    assert second["power"] == {
        "watts": 8.0, "joules_per_frame": 40.0, "source": "measured", "meter": "rapl",
    }  # fmt: skip


def test_a_lost_meter_gives_no_power_and_no_frames_no_energy_per_frame(clock: list[float]) -> None:
    figures = RunFigures()
    clock[0] += 10.0
    first = figures.interval_message(CONTEXT, POWER, dropped_mqtt=0)
    assert first["fps"] == 0.0
    assert first["power"]["joules_per_frame"] is None  # type: ignore[index]
    clock[0] += 10.0
    assert figures.interval_message(CONTEXT, POWER, dropped_mqtt=0)["power"] is None
