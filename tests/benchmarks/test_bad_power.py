"""Meters that are not there, that go away, and clocks that step back: one clear line each."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from rich.console import Console

from benchmarks.device_files import Named
from benchmarks.environment import Environment
from benchmarks.named_figures import named_figures
from benchmarks.overview import overview
from benchmarks.plan import MODES, Plan
from benchmarks.read_report import parse_report
from benchmarks.report_page.power_time import power_over_time
from benchmarks.result import DeviceResult
from benchmarks.run import run_benchmark
from benchmarks.tables import tables
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError, PowerError
from edge_pose.power import METERS, PowerMeter, PowerSummary

Make = Callable[..., RunConfig]
Plans = Callable[..., Plan]


class SlowBackend(Protocol):
    """What conftest.py's fixture returns."""

    takes_s: float


class Vanishing(PowerMeter):
    """Works for some readings."""

    name, detail = "vanishing", "a cable"
    left = 0

    def read_w(self) -> float:
        Vanishing.left -= 1
        if Vanishing.left < 0:
            raise PowerError("vanishing: /dev/i2c-1: no such device")
        return 5.0


@pytest.fixture
def vanishing(monkeypatch: pytest.MonkeyPatch) -> type[Vanishing]:
    """Offer the meter "vanishing", which works for `left` readings."""
    monkeypatch.setitem(METERS, "vanishing", f"{__name__}:open_vanishing")
    monkeypatch.setattr(Vanishing, "left", 0)
    # The test module has no name that import_module finds, hence the factory itself.
    monkeypatch.setattr("edge_pose.power._open", lambda *_: Vanishing())
    return Vanishing


def test_a_named_meter_that_is_not_there(
    errors: Callable[..., str], config: Make, tmp_path: Path
) -> None:
    run = config(3)
    known = ("run", "--artifact", run.model, "--source", run.source)
    log = tmp_path / "absent.csv"
    assert f"{log}" in errors(*known, "--power", f"file:{log}")


def test_auto_without_any_meter_is_an_estimate_that_says_so(
    config: Make, plan: Plans, environment: Environment, tmp_path: Path
) -> None:
    stat = tmp_path / "proc/stat"
    stat.parent.mkdir()
    stat.write_text("cpu 10 0 10 100 0 0 0 0\n", "ascii")
    found = run_benchmark(config(3, power="auto"), plan(root=tmp_path), environment)
    assert (found.meter.name, found.meter.source) == ("estimate", "estimated")
    assert found.meter.uncertainty_w is None
    assert "power is estimated" in found.warnings[-1]


def test_a_named_meter_on_a_machine_without_it(
    config: Make, plan: Plans, environment: Environment, tmp_path: Path
) -> None:
    with pytest.raises(PowerError, match="rapl: no package domain"):
        run_benchmark(config(3, power="rapl"), plan(root=tmp_path), environment)


def test_a_meter_that_vanishes_in_the_middle(
    vanishing: type[Vanishing],
    config: Make,
    plan: Plans,
    environment: Environment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    vanishing.left = 1
    with caplog.at_level(logging.ERROR):
        found = run_benchmark(config(3, power="vanishing"), plan(), environment)
    assert found.offline is not None
    assert found.offline.power.lost is not None
    assert found.offline.power.lost.endswith("vanishing: /dev/i2c-1: no such device")
    lost = [warning for warning in found.warnings if "lost after" in warning]
    assert len(lost) == 1
    assert lost[0].startswith("power meter vanishing: lost after")


def test_a_meter_that_is_gone_before_the_next_repeat(
    vanishing: type[Vanishing], config: Make, plan: Plans, environment: Environment
) -> None:
    vanishing.left = 1
    rules = plan(2, modes=MODES, rate_hz=100.0, closed=True, min_accuracy=50.0)
    found = run_benchmark(config(3, power="vanishing"), rules, environment)
    assert set(found.modes) == set(MODES)
    for mode in found.modes.values():
        assert len(mode.fps.values) == 2
        assert mode.power.lost is not None
        assert mode.power.lost.endswith("vanishing: /dev/i2c-1: no such device")
        assert mode.power.accuracy_fps_per_watt is None
    assert found.offline is not None
    assert found.offline.power.mean_w.values == (5.0,)  # the only repeat that saw the meter
    assert found.single_stream is not None
    assert found.single_stream.power.samples == 0
    assert "lost before it began" in (found.single_stream.power.lost or "")
    assert not found.validity.valid
    assert sum("the meter was lost" in reason for reason in found.validity.reasons) == 3
    assert not {"offline.power", "single_stream.energy", "fixed_rate.ae"} & set(
        named_figures(found)
    )
    assert parse_report(json.loads(found.model_dump_json(by_alias=True)), "here") == found
    console = Console(width=160, record=True, file=io.StringIO())
    for table in tables(found):
        console.print(table)
    assert console.export_text().count("LOST") == 9  # W, mJ and AE of three modes
    assert "LOST" in power_over_time("key", Named("pi", found)).alt
    assert overview([Named("pi", found)])[0].cells.count("LOST") == 3


def test_a_meter_that_is_gone_during_the_idle_baseline(
    vanishing: type[Vanishing], config: Make, plan: Plans, environment: Environment
) -> None:
    vanishing.left = 1
    with pytest.raises(PowerError, match=r"idle baseline: .*no such device"):
        run_benchmark(config(3, power="vanishing"), plan(idle_s=0.05), environment)


def test_a_clock_that_steps_back(
    slow_backend: SlowBackend, config: Make, plan: Plans, environment: Environment
) -> None:
    slow_backend.takes_s = -5.0
    for parts in (True, False):
        with pytest.raises(EdgePoseError, match=r"^clock: stepped back, something took -"):
            run_benchmark(config(3, backend="slow"), plan(parts=parts), environment)


def test_a_wall_clock_that_was_set_is_told(
    result: DeviceResult, told: Callable[..., tuple[str, ...]]
) -> None:
    power = PowerSummary(5.0, 5.0, 1.0, 3, "rapl", "measured", "package-0", clock_step_s=-60.0)
    assert any(line.startswith("the wall clock was set") for line in told(result, [power]))
