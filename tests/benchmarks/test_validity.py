"""The closed division: what counts, and the exit code of what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.plan import Plan
from benchmarks.result import DeviceResult, Validity
from benchmarks.validity import judge
from edge_pose.power import MachineState, PowerSummary

Judge = Callable[..., Validity]


@pytest.fixture
def verdict(result: DeviceResult) -> Judge:
    """Return a function that judges the result with some of its parts changed."""

    def make(min_accuracy: float = 70.0, *, measured_power: bool = False, **parts: Any) -> Validity:
        plan = Plan(closed=True, min_accuracy=min_accuracy, measured_power=measured_power)
        steady = result.warm_up.model_copy(update={"steady": True})
        given = {
            "artifact": result.artifact,
            "meter": result.meter,
            "machine": result.machine,
            "warm_up": steady,
            "modes": result.modes,
            **parts,
        }
        return judge(plan, **given)

    return make


def test_a_result_that_keeps_the_rules(verdict: Judge) -> None:
    found = verdict()
    assert (found.valid, found.reasons, found.division) == (True, (), "closed")
    assert verdict(80.0).valid  # exactly what is asked for is enough


def test_accuracy_below_the_minimum(verdict: Judge) -> None:
    found = verdict(80.1)
    assert not found.valid
    assert found.reasons == ("accuracy: 80.0 PCKh@0.5 on blobs (n = 100) is below 80.1",)


def test_no_gate_report_or_a_failed_one(verdict: Judge, result: DeviceResult) -> None:
    without = result.artifact.model_copy(update={"accuracy": None, "gate_passed": None})
    assert verdict(artifact=without).reasons == ("accuracy: the artifact has no gate report",)
    failed = result.artifact.model_copy(update={"gate_passed": False})
    assert verdict(artifact=failed).reasons == ("accuracy: the artifact failed its gate",)


def test_estimated_power_where_measured_was_demanded(verdict: Judge, result: DeviceResult) -> None:
    assert verdict(measured_power=True).reasons[0].startswith("power: estimated (from processor")
    real = result.meter.model_copy(update={"source": "measured"})
    assert verdict(measured_power=True, meter=real).valid


def test_throttling(verdict: Judge, result: DeviceResult) -> None:
    hot = result.machine.model_copy(update={"throttled": ("under-voltage", "throttled")})
    found = verdict(machine=hot)
    assert found.reasons == ("clocks were held back: under-voltage, throttled",)
    unknown = result.machine.model_copy(update={"throttled": None})
    assert verdict(machine=unknown).valid


def test_a_machine_that_never_settled(verdict: Judge, result: DeviceResult) -> None:
    warm = result.warm_up.model_copy(update={"steady": False, "discarded_frames": 400})
    assert verdict(warm_up=warm).reasons == ("not steady after 400 frames of warm-up",)


def test_a_lost_meter(verdict: Judge, result: DeviceResult) -> None:
    assert result.offline is not None
    power = result.offline.power.model_copy(update={"lost": "lost after 1.0 s of 2.0 s: gone"})
    modes = {"offline": result.offline.model_copy(update={"power": power})}
    assert verdict(modes=modes).reasons == (
        "power: offline: the meter was lost after 1.0 s of 2.0 s: gone",
    )


def test_reasons_are_all_told(verdict: Judge, result: DeviceResult) -> None:
    hot = result.machine.model_copy(update={"throttled": ("hot",)})
    assert len(verdict(99.0, measured_power=True, machine=hot).reasons) == 3


def test_the_open_division_has_no_rules(result: DeviceResult) -> None:
    hot = result.machine.model_copy(update={"throttled": ("hot",)})
    open_ = judge(Plan(), result.artifact, result.meter, hot, result.warm_up, result.modes)
    assert (open_.division, open_.valid) == ("open", True)


@pytest.mark.parametrize(("minimum", "code"), [("50", 0), ("90", 1)])
def test_the_command_says_it_with_its_exit_code(
    minimum: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    bench: Callable[..., tuple[int, str, str]],
    tiny_artifact: Path,
    make_clip: Callable[..., Path],
) -> None:
    nothing = MachineState({}, {}, None, None, None, {})
    # What the machine does meanwhile must not decide: any two passes are alike.
    monkeypatch.setattr("benchmarks.rounds.SteadyState", AlwaysSteady)
    monkeypatch.setattr("benchmarks.run.read_state", lambda _: nothing)
    known = (
        "run",
        "--artifact",
        tiny_artifact,
        "--source",
        make_clip(3),
        "--rounds",
        1,
        "--min-seconds",
        0,
    )
    quick = ("--mode", "offline", "--idle", 0, "--no-parts", "--json")
    found, out, err = bench(*known, *quick, "--closed", "--min-accuracy", minimum)
    assert found == code
    validity = json.loads(out)["validity"]
    assert (validity["division"], validity["valid"]) == ("closed", code == 0)
    assert ("invalid: accuracy: 80.0 PCKh@0.5" in err) == (code == 1)


def test_the_table_says_invalid(
    bench: Callable[..., tuple[int, str, str]], tiny_artifact: Path, make_clip: Callable[..., Path]
) -> None:
    known = (
        "run",
        "--artifact",
        tiny_artifact,
        "--source",
        make_clip(3),
        "--rounds",
        1,
        "--min-seconds",
        0,
    )
    quick = ("--mode", "offline", "--idle", 0, "--no-parts", "--warm-up", 0)
    code, out, _ = bench(*known, *quick, "--closed", "--min-accuracy", 99)
    assert code == 1
    assert "INVALID" in out


class AlwaysSteady:
    """Settled before the first frame."""

    def __init__(self, window: int, *, at_most: int) -> None:
        self.window, self.tolerance, self.frames = window, 0.02, at_most
        self.medians_s: list[float] = []
        self.steady = self.done = True


def test_a_repeat_that_the_meter_saw_too_little_of(verdict: Judge, result: DeviceResult) -> None:
    window_s = min(mode.power.window_s or 0.0 for mode in result.modes.values())
    slow = result.meter.model_copy(update={"update_s": 20.0})
    assert verdict(meter=result.meter.model_copy(update={"update_s": window_s / 3.01})).valid
    found = verdict(meter=slow)
    assert len(found.reasons) == len(result.modes)
    assert "has a new value every 20 s: give a longer clip or --min-seconds" in found.reasons[0]


def test_it_is_warned_of_in_the_open_division(
    result: DeviceResult, told: Callable[..., tuple[str, ...]]
) -> None:
    slow = result.meter.model_copy(update={"update_s": 20.0})
    power = PowerSummary(5.0, 5.0, 1.0, 3, "rapl", "measured", "package-0")
    lines = told(result, [power], meter=slow)
    assert sum(line.startswith("power of ") for line in lines) == len(result.modes)
