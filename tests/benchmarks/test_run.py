from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from benchmarks import workload
from benchmarks.environment import Environment
from benchmarks.report import spread
from benchmarks.run import MEASUREMENTS, run_benchmark, summarize
from benchmarks.run_report import RunReport
from benchmarks.workload import open_workload
from edge_pose.config import RunConfig
from edge_pose.power import PowerSummary


class ArtifactCopy(Protocol):
    """What tests/conftest.py's fixture returns."""

    folder: Path

    def set(self, key: str, value: object) -> object: ...


@pytest.fixture
def report(config: Callable[..., RunConfig], environment: Environment) -> RunReport:
    return run_benchmark(config(8), 2, environment)


def test_every_figure_is_derived_from_what_was_measured(report: RunReport) -> None:
    for number, done in enumerate(report.rounds):
        assert done.order == MEASUREMENTS[number:] + MEASUREMENTS[:number]
        for name in MEASUREMENTS:
            timing = getattr(done, name)
            assert timing.frames == 8
            assert timing.fps * timing.ms_per_frame == pytest.approx(1000.0)
        assert done.overhead == done.pipeline.ms_per_frame / done.bare.ms_per_frame
        joules = done.pipeline.watts / done.pipeline.fps
        assert done.pipeline.joules_per_frame == pytest.approx(joules)
        efficiency = 80.0 * done.pipeline.fps / done.pipeline.watts  # the tiny artifact's accuracy
        assert done.pipeline.accuracy_fps_per_watt == pytest.approx(efficiency)
        assert done.pipeline.frames_with_people == 8
    summary = report.summary
    assert summary.overhead == spread(r.overhead for r in report.rounds)
    assert summary.overhead_met == (summary.overhead.median < 1.25)
    assert summary.pipeline.fps == spread(r.pipeline.fps for r in report.rounds)
    assert summary.power.source == "estimated"
    assert summary.frames_with_people == spread([8, 8])


def test_the_pipeline_has_all_stages(report: RunReport) -> None:
    stages = {"capture", "preprocess", "infer", "decode", "publish", "end_to_end"}
    assert set(report.summary.stages_ms) == stages
    for values in report.summary.stages_ms.values():
        assert set(values) == {"p50", "p95", "p99"}
        assert values["p50"].max <= values["p99"].max
    assert set(report.rounds[0].bare.latency_ms) == {"infer"}
    assert set(report.rounds[0].estimator.latency_ms) == {"preprocess", "infer", "decode"}


def test_what_was_run_is_written_down(report: RunReport) -> None:
    assert report.artifact.name == "blobs_fp32"
    assert report.artifact.accuracy is not None
    assert report.artifact.accuracy.percent == 80.0
    assert report.artifact.backend == "onnxruntime"
    assert report.clip.frames == 8
    assert (report.clip.width, report.clip.height, report.clip.frame_rate) == (160, 120, 25.0)
    assert report.settings.profile != "auto"


def test_an_artifact_without_a_gate_has_no_accuracy(
    artifact_copy: ArtifactCopy, config: Callable[..., RunConfig], environment: Environment
) -> None:
    artifact_copy.set("gate", None)
    run = config(3, model=str(artifact_copy.folder), trust_ungated=True)
    report = run_benchmark(run, 1, environment)
    assert report.artifact.accuracy is None
    assert report.summary.accuracy_fps_per_watt is None


def test_the_summary_takes_medians_of_ratios(report: RunReport) -> None:
    rounds = [report.rounds[0].model_copy(update={"overhead": v}) for v in (1.1, 9.0, 1.2)]
    power = PowerSummary(5.0, 10.0, 2.0, 4, "rapl", "measured", "package-0")
    summary = summarize(rounds, [power] * 3)
    assert (summary.overhead.median, summary.overhead.min, summary.overhead.max) == (1.2, 1.1, 9.0)
    assert summary.overhead_met
    assert (summary.power.source, summary.power.meter) == ("measured", "rapl")


def test_a_long_clip_is_cut_and_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, config: Callable[..., RunConfig], environment: Environment
) -> None:
    monkeypatch.setattr(workload, "READY_BYTES", 3 * 160 * 120 * 3)
    run = config(12, max_frames=9)
    with open_workload(run) as work:
        assert (len(work.images), work.frames) == (3, 9)
    report = run_benchmark(run, 1, environment)
    assert {getattr(report.rounds[0], name).frames for name in MEASUREMENTS} == {9}


def test_the_endless_figure_is_cut_too(
    config: Callable[..., RunConfig], environment: Environment
) -> None:
    run = config(source="synthetic:160x120@30", max_frames=5)
    assert run_benchmark(run, 1, environment).clip.frames == 5


def test_the_command_prints_json_and_nothing_else(
    bench: Callable[..., tuple[int, str, str]],
    tiny_artifact: Path,
    make_clip: Callable[..., Path],
    tmp_path: Path,
) -> None:
    clip = make_clip(5)
    arguments = ("run", "--model", tiny_artifact, "--source", clip, "--rounds", 2, "--json")
    code, out, err = bench(*arguments)
    assert code == 0
    values = json.loads(out)
    assert values["schema"] == "edge_pose.bench/1"
    assert len(values["rounds"]) == 2
    assert "round 2 of 2" in err
    file = tmp_path / "report.json"
    file.write_text(out, "utf-8")
    code, out, _ = bench("show", file)
    assert code == 0
    for text in ("blobs_fp32", "whole pipeline", "preprocess", "estimated", "80.0 PCKh@0.5"):
        assert text in out


def test_the_table_is_printed_without_json(
    bench: Callable[..., tuple[int, str, str]], tiny_artifact: Path, make_clip: Callable[..., Path]
) -> None:
    code, out, _ = bench("run", "--model", tiny_artifact, "--source", make_clip(4), "--rounds", 1)
    assert code == 0
    assert "network alone" in out
    assert "target below 1.25" in out
