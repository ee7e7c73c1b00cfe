"""`edge-pose demo`, the main job from end to end, with the shipped artifact and clip."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_pose.cli import main
from edge_pose.listen_view import LINE_INTERVAL_S
from edge_pose.schemas import validate_message

ROOT = Path(__file__).parents[2]
FRAMES = 175  # of the shipped clip


@pytest.fixture(autouse=True)
def _a_broker(need: Callable[[str], object]) -> None:
    need("amqtt")


def start_demo(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "edge_pose", "demo", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "160"},
    )


def test_every_frame_arrives_everywhere(
    tmp_path: Path, count_frames: Callable[[Path], int]
) -> None:
    out = tmp_path / "out"
    done = start_demo("--out", out, "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary == json.loads((out / "summary.json").read_text("utf-8"))
    assert summary["outcome"] == "finished"
    assert summary["frames"] == summary["received"] == FRAMES
    assert summary["received_equals_sent"] is True
    assert summary["frames_with_people"] >= 150
    received = json.loads((out / "received.json").read_text("utf-8"))
    assert (received["poses"], received["invalid"]) == (FRAMES, 0)
    assert count_frames(out / "demo.mp4") == FRAMES
    messages = [validate_message(line) for line in (out / "poses.jsonl").read_bytes().splitlines()]
    assert [message["frame"] for message in messages] == list(range(FRAMES))
    check_figures(summary)


def check_figures(summary: dict[str, Any]) -> None:
    latency = summary["latency_ms"]
    stages = {"capture", "preprocess", "infer", "decode", "publish", "end_to_end"}
    assert stages <= set(latency)
    for stage in stages:
        values = latency[stage]
        assert 0 < values["p50"] <= values["p95"] <= values["p99"]
    power, accuracy = summary["power"], summary["accuracy"]
    assert power["source"] in ("measured", "estimated")
    assert power["mean_w"] > 0
    assert summary["joules_per_frame"] == pytest.approx(power["energy_j"] / FRAMES, rel=0.01)
    assert summary["fps"] == pytest.approx(FRAMES / summary["duration_s"])
    assert accuracy["dataset"]
    assert accuracy["n_persons"] >= 100
    assert summary["accuracy_fps_per_watt"] == pytest.approx(
        accuracy["value"] * summary["fps"] / power["mean_w"]
    )


def test_a_reader_sees_the_listener_and_the_table(tmp_path: Path) -> None:
    start_s = time.monotonic()
    done = start_demo(cwd=tmp_path)
    took_s = time.monotonic() - start_s
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("demo.mp4", "poses.jsonl", "summary.json", "received.json"):
        assert (tmp_path / "out" / name).is_file()
    lines = done.stdout.splitlines()
    heard = [line for line in lines if re.match(r"[^/ ]+/[^/ ]+: frame \d+, persons \d", line)]
    assert heard
    # However quick the frames are, somebody has to read along.
    assert len(heard) <= took_s / LINE_INTERVAL_S + 1
    assert sum(line.endswith((": online", ": offline")) for line in lines) == 2
    table = "\n".join(lines[lines.index(heard[-1]) + 1 :])
    for part in (f"{FRAMES} in ", "FPS", "end to end ms", "PCKh@0.5", "AE", "accuracy × FPS / W"):
        assert part in table
    assert re.search(rf"received +│ {FRAMES} of {FRAMES} sent, 0 invalid", table)
    assert re.search(r"power +│ .* W.*\((measured|estimated): ", table)


def test_a_subscriber_that_cannot_start_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no module named edge_pose' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    monkeypatch.setattr(sys, "argv", ["edge-pose", "demo", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capfd.readouterr()
    assert (caught.value.code, out) == (1, "")
    assert err == "edge-pose: the subscriber did not start: no module named edge_pose\n"
