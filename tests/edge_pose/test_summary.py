"""The figures of a run, against values worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edge_pose.artifact import read_manifest
from edge_pose.backends.base import Runtime
from edge_pose.errors import SourceError
from edge_pose.manifest import Manifest
from edge_pose.metrics.latency import LatencySummary
from edge_pose.power import PowerSummary
from edge_pose.publishers.base import PublisherReport
from edge_pose.summary import RunSummary, summarize, summary_table

POWER = PowerSummary(8.0, 40.0, 5.0, 11, "estimate", "estimated", "from processor use: 5 W to 25 W")


def summary_of(manifest: Manifest, **changes: Any) -> RunSummary:
    values: dict[str, Any] = {
        "manifest": manifest,
        "source": "clip.mp4",
        "device": "bench",
        "runtime": Runtime("openvino", "2026.4.1", "CPU", 1),
        "load_s": 0.25,
        "warm_up_s": 0.01,
        "frames": 150,
        "frames_with_people": 120,
        "dropped": 3,
        "duration_s": 5.0,
        "latency": {"end_to_end": LatencySummary(150, 0.020, 0.018, 0.030, 0.040, 0.050)},
        "reports": [PublisherReport("jsonl", "poses.jsonl", 150, 0)],
        "power": POWER,
        "interrupted": False,
        "error": None,
    }
    return summarize(**{**values, **changes})


@pytest.fixture
def manifest(tiny_artifact: Path) -> Manifest:
    return read_manifest(tiny_artifact)


def shown(summary: RunSummary) -> str:
    console = Console(width=120, force_terminal=False)
    with console.capture() as capture:
        console.print(summary_table(summary))
    return capture.get()


def test_figures_by_hand(manifest: Manifest) -> None:
    summary = summary_of(manifest)
    assert summary.fps == 30.0  # 150 frames in 5 s
    assert summary.joules_per_frame == pytest.approx(40 / 150)  # 8 W for 5 s over 150 frames
    # 80 percent × 30 frames/s ÷ 8 W, percent points as the paper has them.
    assert summary.accuracy_fps_per_watt == pytest.approx(300.0)
    assert summary.latency_ms["end_to_end"] == pytest.approx(
        {"mean": 20.0, "p50": 18.0, "p95": 30.0, "p99": 40.0}
    )
    assert summary.accuracy is not None
    assert (summary.accuracy.value, summary.accuracy.n_persons) == (80.0, 100)
    assert (summary.outcome, summary.error) == ("finished", None)


def test_nothing_is_divided_by_zero(manifest: Manifest) -> None:
    empty = summary_of(manifest, frames=0, duration_s=0.0, latency={}, reports=[])
    assert (empty.fps, empty.joules_per_frame) == (0.0, None)
    assert empty.accuracy_fps_per_watt == 0.0
    no_power = PowerSummary(0.0, 0.0, 5.0, 2, "estimate", "estimated", "idle")
    assert summary_of(manifest, power=no_power).accuracy_fps_per_watt is None
    assert "0 in 0.00 s" in shown(empty)


def test_without_a_gate_there_is_no_accuracy_to_multiply(manifest: Manifest) -> None:
    summary = summary_of(manifest.model_copy(update={"gate": None}))
    assert summary.accuracy is None
    assert summary.accuracy_fps_per_watt is None
    text = shown(summary)
    assert "accuracy" not in text
    assert "AE" not in text


def test_outcomes(manifest: Manifest) -> None:
    assert summary_of(manifest, interrupted=True).outcome == "interrupted"
    failed = summary_of(manifest, interrupted=True, error=SourceError("clip.mp4: broke"))
    assert (failed.outcome, failed.error) == ("failed", "clip.mp4: broke")
    assert "failed" in shown(failed)


def test_json_is_plain(manifest: Manifest) -> None:
    values = json.loads(json.dumps(summary_of(manifest).to_json()))
    assert values["schema"] == "edge_pose.summary/1"
    assert values["publishers"] == [
        {"name": "jsonl", "target": "poses.jsonl", "sent": 150, "dropped": 0}
    ]
    assert values["power"]["source"] == "estimated"
    assert values["accuracy"]["dataset"] == "blobs"
    assert values["runtime"] == {
        "backend": "openvino",
        "version": "2026.4.1",
        "device": "CPU",
        "threads": 1,
    }
    assert (values["load_s"], values["warm_up_s"]) == (0.25, 0.01)


def test_the_table_says_what_is_estimated(manifest: Manifest) -> None:
    text = shown(summary_of(manifest))
    assert "8.00 W, 266.7 mJ per frame (estimated: from processor use" in text
    assert "300 (accuracy × FPS / W, estimated power)" in text
    assert "80.0 PCKh@0.5 (blobs, n = 100)" in text
    assert "150 in 5.00 s, a person in 120, 3 dropped" in text
    assert "18.00 / 30.00 / 40.00 (p50 / p95 / p99)" in text
    assert "150 sent, 0 dropped → poses.jsonl" in text
    start_up = "(loaded in 0.25 s, warmed up in 0.01 s)"
    assert f"openvino 2026.4.1 on CPU, 1 thread {start_up}" in text
    measured = PowerSummary(8.0, 40.0, 5.0, 11, "rapl", "measured", "package-0")
    text = shown(summary_of(manifest, power=measured))
    assert "(measured: package-0)" in text
    assert "estimated" not in text


@pytest.mark.parametrize("source", ["shots/[a-z]*.jpg", "[/b]/*.png", "a :smile: [bold]b.mp4"])
def test_file_names_are_not_taken_for_markup(manifest: Manifest, source: str) -> None:
    report = PublisherReport("jsonl", "[red]/poses.jsonl", 150, 0)
    text = shown(summary_of(manifest, source=source, reports=[report]))
    assert source in text
    assert "[red]/poses.jsonl" in text
