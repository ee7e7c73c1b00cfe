"""Whether a result is of the device that it says it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.genuine import emulation, fitting_profiles
from benchmarks.plan import Plan
from benchmarks.result import DeviceResult
from benchmarks.run import run_benchmark

FIXTURES = Path(__file__).parents[1] / "fixtures" / "devices"


def test_emulation_is_recognised(tmp_path: Path) -> None:
    def machine(name: str, kernel: str, cpu: str) -> Path:
        root = tmp_path / name
        (root / "proc/sys/kernel").mkdir(parents=True)
        (root / "proc/sys/kernel/arch").write_text(f"{kernel}\n")
        (root / "proc/cpuinfo").write_text(f"model name\t: {cpu}\n")
        return root

    recording, *others = emulation(machine("real", "x86_64", "AMD EPYC"), "x86_64")
    assert recording == "meter and machine were read below another root: a recording"
    assert others == []
    assert emulation(machine("i386", "x86_64", "AMD EPYC"), "i686")[1:] == ()
    qemu_user = emulation(machine("user", "x86_64", "none"), "aarch64")
    assert "processor: aarch64 on a kernel for x86_64" in qemu_user
    qemu = emulation(machine("tcg", "x86_64", "QEMU TCG CPU version 2.5+"), "x86_64")
    assert "processor: proc/cpuinfo names QEMU's own" in qemu
    assert fitting_profiles(FIXTURES / "raspberry_pi_5")[0] == "raspberry_pi_5"
    assert fitting_profiles(tmp_path) == ()


def test_a_run_on_a_recording_says_so(config: Any, environment: Any, plan: Any) -> None:
    root = FIXTURES / "raspberry_pi_5"
    short: Plan = plan(1, root=root, parts=False)
    result = run_benchmark(config(4), short, environment)
    assert result.device.detected[0] == "raspberry_pi_5"
    assert result.device.emulated[0].endswith("a recording")
    assert isinstance(result, DeviceResult)
