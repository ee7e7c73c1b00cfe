"""Scenes hold as many people as they should, and rates are what the stamps say."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import scaling
from benchmarks.commands.scaling import parse_threads
from benchmarks.environment import Environment
from benchmarks.read_report import parse_report
from benchmarks.scaling import (
    AHEAD,
    WARM_UP,
    ScalingCase,
    ScalingReport,
    rates,
    scaling_benchmark,
)
from benchmarks.scenes import cut_out_person, grid, to_and_fro, write_scene
from edge_pose.backends import available_cores
from edge_pose.config import RunConfig
from edge_pose.errors import EdgePoseError, SourceError, UsageError
from edge_pose.estimator import load

BASE = ScalingCase(people=1, width=640, threads=1)


def answer(start_s: float, step_s: float, frames: int, people: int = 1) -> dict[str, Any]:
    """Return what a process says that publishes a frame every `step_s` after the wait."""
    count = WARM_UP + AHEAD + frames
    at = [start_s + (n - WARM_UP - AHEAD + 1) * step_s for n in range(count)]
    cpu_s = [0.5 * step_s * n for n in range(count)]
    return {"published_s": at, "cpu_s": cpu_s, "people": [people] * count, "threads": 1}


def test_rates_of_one_process() -> None:
    found = rates([answer(100.0, 0.02, 50, people=3)])
    assert found["fps"] == pytest.approx(50.0)
    assert found["people_found"] == 3
    assert found["cpu_percent"] == pytest.approx(50.0)
    assert found["cpu_ms_per_frame"] == pytest.approx(10.0)


def test_rates_count_only_while_all_processes_run() -> None:
    fast, slow = answer(100.0, 0.01, 100), answer(100.5, 0.04, 100)
    # Both run from 100.5 to 101. What the slow one does alone after that is no part of it.
    found = rates([fast, slow])
    assert found["fps"] == pytest.approx(125.0)
    assert found["slowest_fps"] == pytest.approx(25.0)


def test_a_planted_slowdown_is_reported_as_such() -> None:
    ratio = rates([answer(0.0, 0.03, 60)])["fps"] / rates([answer(0.0, 0.06, 60)])["fps"]
    assert ratio == pytest.approx(2.0)


def test_processes_that_did_not_overlap() -> None:
    with pytest.raises(EdgePoseError, match="did not run at the same time"):
        rates([answer(0.0, 0.01, 10), answer(9.0, 0.01, 10)])


@pytest.mark.parametrize(("most", "size"), [(1, (320, 180)), (8, (1280, 720)), (30, (640, 360))])
def test_cells_do_not_overlap(most: int, size: tuple[int, int]) -> None:
    cells = grid(most, size)
    assert len(cells) >= most
    assert all(x >= 0 and y >= 0 and x + s <= size[0] and y + s <= size[1] for x, y, s in cells)
    for (ax, ay, side), (bx, by, _) in itertools.combinations(cells, 2):
        assert abs(ax - bx) >= side or abs(ay - by) >= side


def test_nobody_jumps() -> None:
    assert [to_and_fro(step, "abcd") for step in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert to_and_fro(5, "a") == 0


@pytest.mark.parametrize("people", [0, 1, 4])
def test_scenes_hold_as_many_people_as_they_should(
    people: int, config: Callable[..., RunConfig], detector_artifact: Path, tmp_path: Path
) -> None:
    run = config(12)
    cut_outs = cut_out_person(run)
    file = tmp_path / "scene.mp4"
    write_scene(file, cut_outs, people, 4, (640, 360), frames=5)
    capture = cv2.VideoCapture(str(file))
    pictures = [capture.read()[1] for _ in range(5)]
    assert not capture.read()[0]
    capture.release()
    assert all(picture.shape == (360, 640, 3) for picture in pictures)
    cells = grid(4, (640, 360))
    with load(run.model) as estimator:
        for x, y, side in cells[:4]:
            there = bool(estimator(np.ascontiguousarray(pictures[2][y : y + side, x : x + side])))
            assert there == ((x, y, side) in cells[:people])


@pytest.fixture
def measure(
    config: Callable[..., RunConfig], environment: Environment
) -> Callable[..., ScalingReport]:
    def call(axes: dict[str, tuple[ScalingCase, ...]], **options: Any) -> ScalingReport:
        rounds = options.pop("rounds", 1)
        return scaling_benchmark(config(12, **options), axes, BASE, 12, rounds, environment)

    return call


def test_all_axes_are_measured_and_the_report_is_read_again(
    measure: Callable[..., ScalingReport],
) -> None:
    two, wide = BASE.model_copy(update={"processes": 2}), BASE.model_copy(update={"width": 960})
    report = measure({"processes": (BASE, two), "resolution": (wide,)}, rounds=2)
    assert [point.case for point in report.points] == [BASE, two, wide]
    assert report.axes == {"processes": (0, 1), "resolution": (2,)}
    assert report.points[0].ratio.min == report.points[0].ratio.max == 1.0
    for point in report.points:
        assert len(point.rounds) == 2
        assert point.threads == 1
        assert point.people_found.median == pytest.approx(1.0)
        assert point.fps.min > 0
        assert point.cpu_ms_per_frame.min > 0
        for done, base in zip(point.rounds, report.points[0].rounds, strict=True):
            assert done.ratio == pytest.approx(done.fps / base.fps)
    assert report.points[1].rounds[0].slowest_fps < report.points[1].rounds[0].fps
    again = parse_report(json.loads(report.model_dump_json(by_alias=True)), "here")
    assert again == report


def test_several_people_are_found_with_a_detector(
    measure: Callable[..., ScalingReport], detector_artifact: Path
) -> None:
    cases = tuple(BASE.model_copy(update={"people": people}) for people in (0, 4))
    report = measure({"people": cases}, detector=str(detector_artifact))
    found = [point.people_found.median for point in report.points]
    assert found == pytest.approx([1.0, 0.0, 4.0], abs=0.2)
    assert report.detector == str(detector_artifact)


def test_a_process_that_fails_is_one_line(
    measure: Callable[..., ScalingReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "_flags", lambda *_: {"source": "absent.mp4"})
    with pytest.raises(EdgePoseError, match=r"scaling: process 1 of 1: absent\.mp4: no such file"):
        measure({})


def test_a_clip_without_anybody(
    config: Callable[..., RunConfig], make_video: Callable[..., Path]
) -> None:
    clip = make_video([np.full((120, 160, 3), 40, np.uint8)] * 3)
    with pytest.raises(SourceError, match="nobody found"):
        cut_out_person(config(source=str(clip)))


def test_threads() -> None:
    assert parse_threads(["3", "all", "3"]) == list(dict.fromkeys([3, available_cores()]))
    for wrong in ("0", "-1", "many", "1.5", ""):
        with pytest.raises(UsageError, match="--threads-of"):
            parse_threads([wrong])


def test_the_command(
    bench: Callable[..., tuple[int, str, str]],
    tiny_artifact: Path,
    make_clip: Callable[..., Path],
    tmp_path: Path,
) -> None:
    known = ("scaling", "--model", tiny_artifact, "--source", make_clip(8), "--rounds", 1)
    axis = ("--axis", "threads", "--threads-of", "1", "--frames", 10)
    code, out, err = bench(*known, *axis, "--json")
    assert code == 0
    assert "round 1 of 1: people 1, 1280×720 px, threads" in err
    report = tmp_path / "report.json"
    report.write_text(out)
    code, out, _ = bench("show", report)
    assert code == 0
    assert "threads" in out
    assert "CPU ms per frame" in out


@pytest.mark.parametrize(
    ("option", "value"),
    [("--people", -1), ("--widths", 10), ("--processes", 0), ("--frames", 1), ("--axis", "mood")],
)
def test_numbers_out_of_range(option: str, value: object, errors: Callable[..., str]) -> None:
    assert option in errors("scaling", option, value)


def test_wrong_artifacts(
    errors: Callable[..., str], tiny_artifact: Path, make_clip: Callable[..., Path]
) -> None:
    known = ("scaling", "--model", tiny_artifact)
    assert "absent.mp4: no such file" in errors(*known, "--source", "absent.mp4")
    source = make_clip(6)
    assert "no_such" in errors(*known, "--source", source, "--detector", "no_such")
    assert "finds keypoints" in errors(*known, "--source", source, "--detector", tiny_artifact)
