from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from benchmarks import facts, workload
from benchmarks import run as run_module
from benchmarks.device_files import check_writable
from benchmarks.environment import Environment
from benchmarks.parts import summarize
from benchmarks.plan import MODES, Plan
from benchmarks.report import spread
from benchmarks.result import DeviceResult, Mode
from benchmarks.rounds import PARTS
from benchmarks.run import run_benchmark
from benchmarks.workload import open_workload
from edge_pose.backends import available_cores
from edge_pose.config import RunConfig
from edge_pose.errors import UsageError
from edge_pose.power import PowerSummary

Make = Callable[..., RunConfig]
Plans = Callable[..., Plan]


class ArtifactCopy(Protocol):
    """What tests/conftest.py's fixture returns."""

    folder: Path

    def set(self, key: str, value: object) -> object: ...


@pytest.fixture
def quick(plan: Plans) -> Plan:
    return plan()


ONCE = ("--min-seconds", 0)
STAGES = {"capture", "preprocess", "infer", "decode", "publish", "end_to_end"}


def test_every_figure_is_derived_from_what_was_measured(result: DeviceResult) -> None:
    assert set(result.modes) == set(MODES)
    for name, mode in result.modes.items():
        assert set(mode.latency) == STAGES
        assert len(mode.fps.values) == 2
        assert mode.fps.low is not None
        assert mode.fps.low <= mode.fps.mean
        if name != "fixed_rate":
            assert (mode.frames, mode.frames_with_people) == (16, 16)
        assert sum(mode.histogram.counts) == mode.frames == mode.latency["end_to_end"].frames
        for watts, fps, joules, efficiency in zip(*_per_repeat(mode), strict=True):
            assert joules == pytest.approx(watts / fps)
            assert efficiency == pytest.approx(80.0 * fps / watts)  # the tiny artifact's accuracy
        idle_w = result.meter.idle_w
        assert idle_w is not None
        above = mode.power.above_idle_joules_per_frame
        assert above is not None
        assert above.values[0] == pytest.approx(
            (mode.power.mean_w.values[0] - idle_w) / mode.fps.values[0]
        )
        assert 2 <= len(mode.power.series.time_s) <= mode.power.samples
    assert (result.meter.source, result.meter.scope) == ("estimated", "board")
    assert any("estimated" in warning for warning in result.warnings)
    assert result.validity.valid
    assert result.machine.rss_mib > 10


def _per_repeat(mode: Mode) -> tuple[tuple[float, ...], ...]:
    power = mode.power
    assert power.accuracy_fps_per_watt is not None
    figures = (power.mean_w, mode.fps, power.joules_per_frame, power.accuracy_fps_per_watt)
    return tuple(figure.values for figure in figures)


def test_a_camera_has_deadlines(result: DeviceResult) -> None:
    camera = result.fixed_rate
    assert camera is not None
    assert (camera.rate_hz, camera.offered) == (100.0, 16)
    assert camera.offered == camera.frames + camera.skipped
    shares = sum(camera.miss_percent.values) / 2
    assert shares == pytest.approx(100 * camera.deadline_misses / camera.offered)


def test_in_a_single_stream_the_stages_add_up(result: DeviceResult) -> None:
    assert result.single_stream is not None
    latency = result.single_stream.latency
    stages = sum(latency[name].mean_ms.mean for name in STAGES - {"end_to_end"})
    assert stages <= latency["end_to_end"].mean_ms.mean


def test_the_parts_are_beside_the_offline_mode(result: DeviceResult) -> None:
    assert result.parts is not None
    assert result.offline is not None
    names = (*PARTS, *MODES)
    for number, done in enumerate(result.parts.rounds):
        assert done.order == names[number:] + names[:number]
        for name in (*PARTS, "pipeline"):
            timing = getattr(done, name)
            assert timing.frames == 8
            assert timing.fps * timing.ms_per_frame == pytest.approx(1000.0)
        assert done.overhead == done.pipeline.ms_per_frame / done.bare.ms_per_frame
        assert done.pipeline.fps == result.offline.fps.values[number]
        assert set(done.bare.latency_ms) == {"infer"}
        assert set(done.estimator.latency_ms) == {"preprocess", "infer", "decode"}
    summary = result.parts.summary
    assert summary.overhead == spread(r.overhead for r in result.parts.rounds)
    assert summary.overhead_met == (summary.overhead.median < 1.25)
    assert summary.pipeline.fps == spread(r.pipeline.fps for r in result.parts.rounds)


def test_every_number_of_threads_is_measured(result: DeviceResult) -> None:
    cores = available_cores()
    expected = sorted({1, min(2, cores), cores})
    assert [point.threads for point in result.threads_sweep] == expected
    for point in result.threads_sweep:
        assert len(point.fps.values) == len(point.network_ms.values) == 2


def test_what_was_run_is_written_down(result: DeviceResult) -> None:
    artifact = result.artifact
    assert (artifact.name, artifact.task, artifact.format) == ("blobs_fp32", "top_down", "onnx")
    assert (artifact.backend, artifact.gate_passed) == ("onnxruntime", True)
    assert artifact.accuracy is not None
    assert artifact.accuracy.percent == 80.0
    source = result.source
    assert (source.frames, source.width, source.height, source.frame_rate) == (8, 160, 120, 25.0)
    assert source.sha256 is not None
    assert result.setup.profile == result.device.profile != "auto"
    assert result.setup.threads >= 1


def test_a_mode_alone(config: Make, plan: Plans, environment: Environment) -> None:
    alone = run_benchmark(config(3), plan(modes=("single_stream",)), environment)
    assert set(alone.modes) == {"single_stream"}
    assert alone.parts is None
    assert alone.single_stream is not None
    assert alone.single_stream.fps.low is None  # one repeat says nothing of its error


def test_warm_up_frames_are_discarded(config: Make, plan: Plans, environment: Environment) -> None:
    done = run_benchmark(config(5), plan(warm_up_frames=7), environment)
    assert done.warm_up.discarded_frames == 7  # one clip and two frames of the next one
    assert done.warm_up.window == 5
    assert len(done.warm_up.medians_ms) == 1  # what was cut short tells nothing
    assert any("fewer than 3 passes over 5 frames tell nothing" in line for line in done.warnings)
    assert done.offline is not None
    assert done.offline.frames == 5


def test_what_precedes_the_rounds_is_told(
    config: Make, plan: Plans, environment: Environment
) -> None:
    told: list[str] = []
    long = plan(warm_up_frames=7, idle_s=0.1)
    done = run_benchmark(config(5), long, environment, on_step=told.append)
    assert not done.warm_up.steady
    assert told == [
        "idle power: 0.1 s",
        "warming up: at most 7 frames",
        "warmed up: NOT steady after 7 frames",
    ]
    told.clear()
    run_benchmark(config(5), plan(), environment, on_step=told.append)
    assert told == []


def test_an_artifact_without_a_gate_has_no_accuracy(
    artifact_copy: ArtifactCopy, config: Make, quick: Plan, environment: Environment
) -> None:
    artifact_copy.set("gate", None)
    run = config(3, model=str(artifact_copy.folder), trust_ungated=True)
    result = run_benchmark(run, quick, environment)
    assert (result.artifact.accuracy, result.artifact.gate_passed) == (None, None)
    assert result.offline is not None
    assert result.offline.power.accuracy_fps_per_watt is None


def test_the_summary_takes_medians_of_ratios(result: DeviceResult) -> None:
    assert result.parts is not None
    first = result.parts.rounds[0]
    rounds = [first.model_copy(update={"overhead": v}) for v in (1.1, 9.0, 1.2)]
    power = PowerSummary(5.0, 10.0, 2.0, 4, "rapl", "measured", "package-0")
    summary = summarize(rounds, [power] * 3)
    assert (summary.overhead.median, summary.overhead.min, summary.overhead.max) == (1.2, 1.1, 9.0)
    assert summary.overhead_met
    assert (summary.power.source, summary.power.meter) == ("measured", "rapl")


def test_a_long_clip_is_cut_and_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, config: Make, plan: Plans, environment: Environment
) -> None:
    monkeypatch.setattr(workload, "READY_BYTES", 3 * 160 * 120 * 3)
    run = config(12, max_frames=9)
    with open_workload(run) as work:
        assert (len(work.images), work.frames) == (3, 9)
    result = run_benchmark(run, plan(modes=MODES, rate_hz=50.0), environment)
    assert result.parts is not None
    done = result.parts.rounds[0]
    assert {getattr(done, name).frames for name in (*PARTS, "pipeline")} == {9}
    assert result.fixed_rate is not None
    assert result.fixed_rate.offered == 9


def test_the_endless_figure_is_cut_too(config: Make, quick: Plan, environment: Environment) -> None:
    run = config(source="synthetic:160x120@30", max_frames=5)
    result = run_benchmark(run, quick, environment)
    assert (result.source.frames, result.source.sha256) == (5, None)


def test_the_command_prints_json_and_nothing_else(
    bench: Callable[..., tuple[int, str, str]],
    tiny_artifact: Path,
    make_clip: Callable[..., Path],
    tmp_path: Path,
) -> None:
    file = tmp_path / "result.json"
    known = ("run", "--artifact", tiny_artifact, "--source", make_clip(5), "--idle", 0, *ONCE)
    arguments = (*known, "--rounds", 2, "--warm-up", 5, "--rate", 100, "--threads-sweep")
    code, out, err = bench(*arguments, "--json", "--out", file)
    assert code == 0
    values = json.loads(out)
    assert (values["schema"], values["kind"]) == ("edge_pose.bench/2", "device")
    assert "round 2 of 2: offline" in err
    assert json.loads(file.read_text("utf-8")) == values
    code, out, _ = bench("show", file)
    assert code == 0
    for text in ("blobs_fp32", "whole pipeline", "preprocess", "estimated", "80.0 PCKh@0.5"):
        assert text in out
    for text in ("100 FPS camera", "inference threads", "deadlines missed", "open division"):
        assert text in out


def test_a_file_that_cannot_be_written_is_told_before_anything_is_measured(
    errors: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tiny_artifact: Path,
    make_clip: Callable[..., Path],
    tmp_path: Path,
) -> None:
    measured: list[object] = []
    monkeypatch.setattr("benchmarks.run.run_benchmark", measured.append)
    known = ("run", "--model", tiny_artifact, "--source", make_clip(3), "--out")
    file = tmp_path / "absent" / "result.json"
    assert (
        errors(*known, file)
        == f"edge-pose-bench: {file}: cannot be written: No such file or directory"
    )
    assert measured == []


def test_looking_whether_a_file_can_be_written_leaves_it_as_it_is(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("before", "utf-8")
    check_writable(old)
    check_writable(new)
    assert old.read_text("utf-8") == "before"
    assert not new.exists()


def test_a_short_clip_is_played_until_there_is_enough_to_measure(
    config: Make, plan: Plans, environment: Environment
) -> None:
    found = run_benchmark(config(3), plan(min_seconds=0.4, modes=MODES, rate_hz=50.0), environment)
    assert found.source.frames == 3
    assert found.setup.min_seconds == 0.4
    for mode in found.modes.values():
        assert mode.power.window_s is not None
        assert mode.power.window_s >= 0.4
    assert found.offline is not None
    assert found.offline.frames > 3
    assert found.offline.frames % 3 == 0  # whole clips
    assert found.parts is not None
    assert found.parts.rounds[0].bare.frames == 3


MEMORY = """
import sys
from benchmarks import facts, workload
from edge_pose.config import load_config
workload.READY_BYTES = int(sys.argv[3])
config = load_config(flags={"model": sys.argv[1], "source": sys.argv[2], "max_frames": 60}, env={})
with workload.open_workload(config) as work:
    print(len(work.images), facts.rss_mib(work))
"""


def test_the_frames_that_are_kept_ready_are_not_of_the_pipeline_s_memory(
    tiny_artifact: Path,
) -> None:
    found = {}
    for ready in (0, 1 << 30):
        arguments = (str(tiny_artifact), "synthetic:800x600@30", str(ready))
        command = [sys.executable, "-c", MEMORY, *arguments]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        found[int(said[0])] = float(said[1])
    assert set(found) == {1, 60}  # 60 of them are 82 MiB
    assert found[60] == pytest.approx(found[1], abs=20.0)
    assert found[1] > 20.0


def test_the_models_of_the_sweep_are_not_of_the_pipeline_s_memory(
    monkeypatch: pytest.MonkeyPatch, config: Make, plan: Plans, environment: Environment
) -> None:
    done: list[str] = []
    look = facts.rss_mib
    monkeypatch.setattr(facts, "rss_mib", lambda work: done.append("memory") or look(work))
    sweep = run_module.sweep_threads
    monkeypatch.setattr(run_module, "sweep_threads", lambda b: done.append("sweep") or sweep(b))
    run_benchmark(config(3), plan(threads_sweep=True), environment)
    assert done == ["memory", "sweep"]


def test_the_table_is_printed_without_json(
    bench: Callable[..., tuple[int, str, str]], tiny_artifact: Path, make_clip: Callable[..., Path]
) -> None:
    known = ("run", "--model", tiny_artifact, "--source", make_clip(4), "--rounds", 1, *ONCE)
    code, out, _ = bench(*known, "--mode", "offline", "--idle", 0, "--warm-up", 0)
    assert code == 0
    assert "network alone" in out
    assert "target below 1.25" in out
    assert "±" not in out.splitlines()[3]  # one repeat has no confidence interval


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"closed": True}, "--closed: needs --min-accuracy"),
        ({"min_accuracy": 50.0}, "--min-accuracy: is a rule of the closed division"),
        ({"measured_power": True}, "--measured-power: is a rule of the closed division"),
        ({"modes": ("offline",), "rate_hz": 5.0}, "--rate: only the mode fixed_rate"),
    ],
)
def test_a_plan_that_contradicts_itself(options: dict[str, object], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        Plan(**options)  # type: ignore[arg-type]
