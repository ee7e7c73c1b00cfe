from __future__ import annotations

import copy
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.cli import cli
from benchmarks.disturbances import disturbances
from benchmarks.environment import Environment, read_environment
from benchmarks.fleet.mosquitto import find_mosquitto
from benchmarks.interval import interval
from benchmarks.plan import MODES, Plan
from benchmarks.result import DeviceResult
from benchmarks.run import run_benchmark
from edge_pose.artifact import Artifact
from edge_pose.backends import BACKENDS, MODULES, READS
from edge_pose.backends.base import BackendOptions
from edge_pose.backends.onnxruntime import OnnxRuntimeBackend
from edge_pose.backends.onnxruntime import load as load_onnxruntime
from edge_pose.command_line import run_command
from edge_pose.config import RunConfig, load_config
from edge_pose.power import PowerSummary
from edge_pose.types import FloatArray

# The tiny bottom-up and detector artifacts of the runtime's tests.
_SPEC = importlib.util.spec_from_file_location(
    "edge_pose_fixtures", Path(__file__).parents[1] / "edge_pose" / "conftest.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
_FIXTURES = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_FIXTURES)
crowd_artifact = _FIXTURES.crowd_artifact
detector_artifact = _FIXTURES.detector_artifact


class SlowBackend:
    """The real runtime, and a time that it seems to take on top."""

    takes_s = 0.0
    clock_ahead_s = 0.0

    def __init__(self, inner: OnnxRuntimeBackend) -> None:
        self._inner = inner
        self.name, self.version, self.device = "slow", inner.version, inner.device

    def run(self, tensor: NDArray[np.float32] | NDArray[np.uint8]) -> list[FloatArray]:
        SlowBackend.clock_ahead_s += SlowBackend.takes_s
        return self._inner.run(tensor)

    def close(self) -> None:
        self._inner.close()


@pytest.fixture
def slow_backend(monkeypatch: pytest.MonkeyPatch) -> type[SlowBackend]:
    """Offer the backend "slow", whose every run takes `takes_s` longer, 0 at first.

    It puts the clocks forward instead of sleeping: a second costs nothing, and beside a second the
    time that a busy machine adds is small.
    """

    def load(artifact: Artifact, options: BackendOptions) -> SlowBackend:
        return SlowBackend(load_onnxruntime(artifact, options))

    module = ModuleType("planted_slow_backend")
    vars(module)["load"] = load
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(BACKENDS, "slow", module.__name__)
    monkeypatch.setitem(READS, "slow", READS["onnxruntime"])
    monkeypatch.setitem(MODULES, "slow", MODULES["onnxruntime"])
    monkeypatch.setattr(SlowBackend, "takes_s", 0.0)
    for name in ("perf_counter", "monotonic"):
        real = getattr(time, name)
        monkeypatch.setattr(time, name, lambda real=real: real() + SlowBackend.clock_ahead_s)
    return SlowBackend


@pytest.fixture
def config(tiny_artifact: Path, make_clip: Callable[..., Path]) -> Callable[..., RunConfig]:
    """Return a function that makes a configuration for a clip of so many frames."""

    def make(frames: int = 6, **flags: object) -> RunConfig:
        values = {"model": str(tiny_artifact), "source": str(make_clip(frames)), **flags}
        return load_config(flags={"power": "estimate", "max_frames": 1000, **values}, env={})

    return make


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """Return a function that makes a short plan."""

    def make(repeats: int = 1, **options: object) -> Plan:
        base = {"idle_s": 0.0, "warm_up_frames": 0, "modes": ("offline",), "min_seconds": 0.0}
        values = {**base, **options}
        return Plan(repeats=repeats, **values)  # type: ignore[arg-type]

    return make


@pytest.fixture
def result(
    _results: list[DeviceResult],
    config: Callable[..., RunConfig],
    plan: Callable[..., Plan],
    environment: Environment,
) -> DeviceResult:
    """Return a result with everything in it; nobody can change it, so it is measured once."""
    if not _results:
        everything = plan(2, modes=MODES, rate_hz=100.0, threads_sweep=True, idle_s=0.2)
        _results.append(run_benchmark(config(8), everything, environment))
    return _results[0]


@pytest.fixture(scope="session")
def _results() -> list[DeviceResult]:
    return []


@pytest.fixture
def recordable(
    _recordable: list[str],
    config: Callable[..., RunConfig],
    plan: Callable[..., Plan],
    environment: Environment,
) -> dict[str, Any]:
    """Return the JSON values of a result that is long enough to be recorded, as it was written."""
    if not _recordable:
        short = plan(3, modes=MODES, rate_hz=400.0, parts=True)
        result = run_benchmark(config(100), short, environment)
        _recordable.append(result.model_dump_json(by_alias=True))
    values: dict[str, Any] = json.loads(_recordable[0])
    return values


@pytest.fixture(scope="session")
def _recordable() -> list[str]:
    return []


@pytest.fixture(scope="session")
def environment() -> Environment:
    return read_environment()


@pytest.fixture
def bench(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command line: exit code, stdout, stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edge-pose-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            run_command(cli, "edge-pose-bench")
        out, err = capfd.readouterr()
        code = exit_.value.code
        assert isinstance(code, int)
        return code, out, err

    return call


@pytest.fixture
def errors(bench: Callable[..., tuple[int, str, str]]) -> Callable[..., str]:
    """Return a function that runs a command which must fail with one line, and returns that.

    With `fresh` it runs in a process of its own: FFmpeg only then is silent from its first use on.
    """

    def call(*arguments: object, fresh: bool = False) -> str:
        if fresh:
            command = [sys.executable, "-m", "benchmarks.cli", *map(str, arguments)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            code, out, err = done.returncode, done.stdout, done.stderr
        else:
            code, out, err = bench(*arguments)
        lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
        assert code in (1, 2)
        assert out == ""
        assert len(lines) == 1, err
        return lines[0]

    return call


@pytest.fixture
def planted(result: DeviceResult) -> Callable[..., DeviceResult]:
    """Return a function that makes a result with figures of our choice from a measured one.

    Every time is `slow` times the measured one, in each repeat off by a part that `scatter` says,
    and what follows from times and `watts` follows. Other keys are values by path, the names joined
    by two underscores.
    """
    values = json.loads(result.model_dump_json(by_alias=True))

    def make(
        slow: float = 1.0,
        scatter: Sequence[float] = (-0.02, -0.01, 0.0, 0.01, 0.02),
        accuracy: float = 80.0,
        watts: float = 5.0,
        **changes: object,
    ) -> DeviceResult:
        found = copy.deepcopy(values)
        found["artifact"]["accuracy"]["percent"] = accuracy
        for name in MODES:
            _plant(found[name], slow, scatter, accuracy, watts)
        for path, value in changes.items():
            *tables, last = path.split("__")
            table = found
            for key in tables:
                table = table[key]
            table[last] = value
        return DeviceResult.model_validate(found)

    return make


def _plant(
    mode: dict[str, Any], slow: float, scatter: Sequence[float], accuracy: float, watts: float
) -> None:
    def around(mean: float, power: int = 1) -> dict[str, Any]:
        return interval(mean * (1 + part) ** power for part in scatter).model_dump()

    fps = mode["fps"]["mean"] / slow
    mode["fps"] = around(fps, -1)
    for latency in mode["latency"].values():
        for key in ("mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms"):
            latency[key] = around(latency[key]["mean"] * slow)
        latency["max_ms"] *= slow * 1.1  # above p99, whatever that one was moved by
    mode["histogram"]["edges_ms"] = [edge * slow for edge in mode["histogram"]["edges_ms"]]
    mode["power"].update(
        mean_w=interval([watts] * len(scatter)).model_dump(),
        joules_per_frame=around(watts / fps),
        above_idle_joules_per_frame=around(watts / fps / 2),
        accuracy_fps_per_watt=around(accuracy * fps / watts, -1),
    )


@pytest.fixture
def told() -> Callable[..., tuple[str, ...]]:
    """Return a function that returns what disturbed a result, of which some part may be another."""

    def call(
        result: DeviceResult, powers: Sequence[PowerSummary] = (), **parts: Any
    ) -> tuple[str, ...]:
        names = ("environment", "device", "warm_up", "machine", "meter", "modes")
        of_result = {name: getattr(result, name) for name in names}
        return disturbances(**{**of_result, "powers": powers, **parts})

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a result to a file of this name."""

    def call(name: str, result: DeviceResult) -> Path:
        file = tmp_path / f"{name}.json"
        file.write_text(result.model_dump_json(by_alias=True), "utf-8")
        return file

    return call


@pytest.fixture
def _mosquitto() -> None:
    """Skip where there is no mosquitto, but not in CI."""
    if find_mosquitto() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("mosquitto is not installed, and CI must run these tests")
        pytest.skip("mosquitto is not installed")
