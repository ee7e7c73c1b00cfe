from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.environment import read_environment


@pytest.fixture
def root(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Return a function that writes files below a root."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return tmp_path

    return write


def cpu(number: int) -> str:
    return f"sys/devices/system/cpu/cpu{number}/cpufreq/scaling_governor"


def test_an_intel_computer(
    root: Callable[[dict[str, str]], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    found = read_environment(
        root(
            {
                "proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) N100\n\nprocessor\t: 1\n"
                "model name\t: Intel(R) N100\n",
                "proc/meminfo": "MemTotal:        8000000 kB\nMemFree:  1 kB\n",
                "proc/sys/kernel/osrelease": "6.8.0-45-generic\n",
                "proc/loadavg": "0.05 0.10 0.09 1/200 4000\n",
                cpu(0): "performance\n",
                cpu(1): "performance\n",
                "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
            }
        )
    )
    assert found.cpu_model == "Intel(R) N100"
    assert found.memory_mib == 7812
    assert found.kernel == "6.8.0-45-generic"
    assert (found.governor, found.turbo, found.load_1min) == ("performance", False, 0.05)
    assert found.warnings == ()


def test_a_raspberry_pi(root: Callable[[dict[str, str]], Path]) -> None:
    found = read_environment(
        root(
            {
                "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\n\nRevision\t: d04170\n"
                "Model\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
                cpu(0): "ondemand\n",
                cpu(3): "powersave\n",
                "sys/devices/system/cpu/cpufreq/boost": "1\n",
            }
        )
    )
    assert found.cpu_model == "Raspberry Pi 5 Model B Rev 1.0"
    assert (found.governor, found.turbo) == ("ondemand,powersave", True)
    assert any("ondemand,powersave" in warning for warning in found.warnings)
    assert any(warning.startswith("turbo is on") for warning in found.warnings)


def test_a_board_that_only_its_device_tree_names(
    root: Callable[[dict[str, str]], Path],
) -> None:
    files = {"proc/cpuinfo": "processor : 0\n", "proc/device-tree/model": "NVIDIA Jetson Orin\0"}
    assert read_environment(root(files)).cpu_model == "NVIDIA Jetson Orin"


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    found = read_environment(tmp_path)
    assert found.cpu_model is None
    assert found.governor is None
    assert found.turbo is None
    assert found.load_1min is None
    assert found.memory_mib is None
    assert found.kernel == platform.release()


def test_a_busy_machine_is_warned_of(root: Callable[[dict[str, str]], Path]) -> None:
    load = f"{os.cpu_count()}.50 0 0 1/2 3\n"
    found = read_environment(root({"proc/loadavg": load}))
    assert any("load average" in warning for warning in found.warnings)


def test_compiling_at_every_start_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert "PYTHONDONTWRITEBYTECODE" in read_environment(tmp_path).warnings[0]


def test_this_machine() -> None:
    found = read_environment()
    assert 1 <= found.cores_available <= found.cores
    assert found.python == platform.python_version()
    assert found.libraries["numpy"] == np.__version__
    assert "edge-pose" in found.libraries
