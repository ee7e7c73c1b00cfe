from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.cli import cli
from benchmarks.environment import Environment, read_environment
from edge_pose.artifact import Artifact
from edge_pose.backends import BACKENDS
from edge_pose.backends.base import BackendOptions
from edge_pose.backends.onnxruntime import OnnxRuntimeBackend
from edge_pose.backends.onnxruntime import load as load_onnxruntime
from edge_pose.command_line import run_command
from edge_pose.config import RunConfig, load_config
from edge_pose.types import FloatArray


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
