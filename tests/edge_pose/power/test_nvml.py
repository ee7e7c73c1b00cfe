"""NVML, by a module that answers as the library does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_pose.errors import PowerError, UsageError
from edge_pose.power import open_meter
from edge_pose.power.nvml import NvmlMeter
from edge_pose.power.recorder import EnergyRecorder
from edge_pose.profile import load_profile

NOT_SUPPORTED, UNKNOWN, GPU_IS_LOST = 3, 999, 15
PROFILE = load_profile("generic_x86_64")


class FakeError(Exception):
    """As NVMLError: `value`, and a text."""

    def __init__(self, value: int, text: str) -> None:
        super().__init__(text)
        self.value = value


class FakeNvml:
    """The functions of pynvml that are used, with counters that a test sets."""

    NVMLError = FakeError
    NVML_ERROR_NOT_SUPPORTED = NOT_SUPPORTED

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.energy_mj: list[Any] = [1_000_000] * len(names)
        self.power_mw = [30_000] * len(names)
        self.reasons: list[Any] = [1] * len(names)  # idle
        self.opened = self.closed = 0

    def nvmlInit(self) -> None:  # noqa: N802 - the library's names, here and below
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.closed += 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:  # noqa: N802
        return self.names[handle]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        return self._answer(self.energy_mj[handle])

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:  # noqa: N802
        return self._answer(self.power_mw[handle])

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:  # noqa: N802
        return self._answer(self.reasons[handle])

    def _answer(self, value: Any) -> int:
        if isinstance(value, Exception):
            raise value
        return value


def meter(library: FakeNvml, time: SimpleNamespace, *indices: int) -> NvmlMeter:
    return NvmlMeter(library, indices, clock=time.clock, sleep=time.sleep)


def test_energy_counter_of_all_boards(fake_time: SimpleNamespace) -> None:
    library = FakeNvml(["RTX A2000", "T4"])
    nvml = meter(library, fake_time)
    assert (nvml.name, nvml.source, nvml.scope, nvml.averages) == ("nvml", "measured", "gpu", True)
    assert "energy counter of the GPU board 0 (RTX A2000), 1 (T4), without the rest" in nvml.detail
    library.energy_mj = [1_000_000 + 60_000, 1_000_000 + 20_000]
    fake_time.now_s += 2.0
    assert nvml.read_w() == pytest.approx(40.0)
    assert nvml.rails_w == {"0 (RTX A2000)": pytest.approx(30.0), "1 (T4)": pytest.approx(10.0)}
    assert nvml.counted_j == pytest.approx(80.0)
    nvml.close()
    nvml.close()
    assert (library.opened, library.closed) == (1, 1)


def test_one_board_of_two(fake_time: SimpleNamespace) -> None:
    library = FakeNvml(["a", "b"])
    nvml = meter(library, fake_time, 1)
    library.energy_mj = [9_000_000, 1_005_000]
    fake_time.now_s += 1.0
    assert nvml.read_w() == pytest.approx(5.0)


def test_waits_until_the_counter_has_moved(fake_time: SimpleNamespace) -> None:
    nvml = meter(FakeNvml(["a"]), fake_time)
    nvml.read_w()
    assert fake_time.slept_s == pytest.approx(0.2)


def test_power_of_the_moment_before_volta(fake_time: SimpleNamespace) -> None:
    library = FakeNvml(["GTX 1080", "T4"])
    library.energy_mj[0] = FakeError(NOT_SUPPORTED, "Not Supported")
    nvml = meter(library, fake_time)
    assert (nvml.averages, nvml.counted_j) == (False, None)
    library.power_mw = [31_000, 12_500]
    assert nvml.read_w() == pytest.approx(43.5)
    assert fake_time.slept_s == 0


def test_what_holds_the_clock_back(fake_time: SimpleNamespace) -> None:
    library = FakeNvml(["a"])
    nvml = meter(library, fake_time)
    nvml.read_w()
    assert nvml.throttled == ()
    library.reasons = [0x04 | 0x20]
    nvml.read_w()
    assert nvml.throttled == ("GPU: power cap", "GPU: software thermal")
    library.reasons = [FakeError(NOT_SUPPORTED, "Not Supported")]
    nvml.read_w()
    assert nvml.throttled == ()


def test_recorder_believes_the_counter_and_keeps_the_reasons(fake_time: SimpleNamespace) -> None:
    library = FakeNvml(["a"])
    with EnergyRecorder(meter(library, fake_time), 3600, clock=fake_time.clock) as recorder:
        library.energy_mj = [1_000_000 + 7_000]
        library.reasons = [0x40]
        fake_time.now_s += 1.0
        recorder.sample()
        library.reasons = [1]
    summary = recorder.summary()
    assert summary.energy_j == pytest.approx(7.0)
    assert summary.throttled == ("GPU: hardware thermal",)
    assert summary.sensor_known


def test_rest_after_the_end_of_a_run_is_not_counted(fake_time: SimpleNamespace) -> None:
    library = FakeNvml(["a"])
    nvml = meter(library, fake_time)
    fake_time.now_s += 1.0
    with EnergyRecorder(nvml, 3600, clock=fake_time.clock) as recorder:
        for step_s, step_mj in ((1.0, 40_000), (0.05, 2_000)):
            library.energy_mj[0] += step_mj
            fake_time.now_s += step_s
            if step_s == 1.0:
                recorder.sample()
    summary = recorder.summary()
    assert fake_time.slept_s == 0
    assert (summary.duration_s, summary.mean_w) == (pytest.approx(1.05), pytest.approx(40.0))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (FakeError(GPU_IS_LOST, "GPU is lost"), "nvml: GPU is lost"),
        (5, "its energy counter began"),
    ],
)
def test_gpu_that_is_lost(value: object, text: str, fake_time: SimpleNamespace) -> None:
    library = FakeNvml(["a"])
    nvml = meter(library, fake_time)
    library.energy_mj = [value]
    with pytest.raises(PowerError, match=text):
        nvml.read_w()


def test_nothing_to_measure(fake_time: SimpleNamespace) -> None:
    library = FakeNvml(["a"])
    with pytest.raises(PowerError, match="nvml: no GPU 3, the driver knows 1"):
        meter(library, fake_time, 3)
    assert (library.opened, library.closed) == (1, 1)
    with pytest.raises(PowerError, match="nvml: no GPU, the driver knows 0"):
        meter(FakeNvml([]), fake_time)
    library.energy_mj = [FakeError(UNKNOWN, "Unknown Error")]
    with pytest.raises(PowerError, match="nvml: Unknown Error"):
        meter(library, fake_time)


def test_no_driver(fake_time: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeNvml(["a"])

    def fail() -> None:
        raise FakeError(12, "NVML Shared Library Not Found")

    monkeypatch.setattr(library, "nvmlInit", fail)
    with pytest.raises(PowerError, match="nvml: NVML Shared Library Not Found"):
        meter(library, fake_time)
    assert library.closed == 0


def test_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(PowerError, match="nvml: not installed: pip install nvidia-ml-py"):
        open_meter("nvml", PROFILE)
    library = FakeNvml(["a", "b"])
    monkeypatch.setitem(sys.modules, "pynvml", library)
    opened = open_meter("nvml:1", PROFILE)
    assert "1 (b)" in opened.detail
    opened.close()
    with pytest.raises(UsageError, match="nvml:first: expected the numbers of GPUs"):
        open_meter("nvml:first", PROFILE)
    with pytest.raises(PowerError, match="the driver is asked, not files below"):
        open_meter("nvml", PROFILE, tmp_path)


def test_the_library_has_these_names(need: Callable[[str], Any]) -> None:
    pynvml = need("pynvml")
    used = [name for name in dir(FakeNvml) if name.startswith(("nvml", "NVML"))]
    assert len(used) == 10
    assert [name for name in used if not hasattr(pynvml, name)] == []
    assert pynvml.NVML_ERROR_NOT_SUPPORTED == NOT_SUPPORTED
    assert pynvml.NVMLError(GPU_IS_LOST).value == GPU_IS_LOST
