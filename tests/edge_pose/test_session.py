"""Whole runs inside this process: files, broker, figures, and every way to end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_pose
from edge_pose import pipeline as pipeline_module
from edge_pose import session as session_module
from edge_pose.config import RunConfig
from edge_pose.errors import ConfigError, PublisherError, SourceError, UsageError
from edge_pose.estimator import Estimator
from edge_pose.publishers.jsonl import JsonlPublisher
from edge_pose.schemas import validate_message
from edge_pose.session import RESULTS_AHEAD
from edge_pose.sources import open_source
from edge_pose.types import Frame, FrameResult, utc_now


@pytest.fixture
def config(tiny_artifact: Path, tmp_path: Path, make_clip: Callable[..., Path]) -> RunConfig:
    """A run over 20 frames of a walking person that writes both files."""
    return RunConfig.model_validate(
        {
            "device": "bench",
            "source": str(make_clip(20)),
            "model": str(tiny_artifact),
            "power": "estimate",
            "jsonl": tmp_path / "out" / "poses.jsonl",
            "video": tmp_path / "out" / "poses.mp4",
        }
    )


def lines(config: RunConfig) -> list[dict[str, Any]]:
    assert config.jsonl is not None
    return [validate_message(line) for line in config.jsonl.read_bytes().splitlines()]


def reports(summary: Any) -> dict[str, tuple[int, int]]:
    return {report.name: (report.sent, report.dropped) for report in summary.publishers}


def with_broker(config: RunConfig, address: Any, **mqtt: Any) -> RunConfig:
    values = {"host": address.host, "port": address.port, **mqtt}
    return config.model_copy(update={"mqtt": config.mqtt.model_copy(update=values)})


def test_one_run_to_a_file_a_broker_and_a_video(
    config: RunConfig, embedded: Any, listen: Any, count_frames: Callable[[Path], int]
) -> None:
    ear = listen(embedded)
    seen: list[FrameResult] = []
    summary = edge_pose.run(with_broker(config, embedded, qos=1), on_result=seen.append)
    ear.until_offline()
    assert summary.frames == len(seen) == 20
    assert reports(summary) == {"jsonl": (20, 0), "mqtt": (20, 0), "video": (20, 0)}
    assert config.video is not None
    assert count_frames(config.video) == 20
    # What is in the file is what the broker got.
    assert lines(config) == ear.messages("poses")
    assert [message["frame"] for message in lines(config)] == list(range(20))
    people = [pose for message in lines(config) for pose in message["poses"]]
    assert summary.frames_with_people == len(people) >= 15
    assert {pose["id"] for pose in people} == {1}


def test_figures_of_a_run_are_consistent(config: RunConfig, embedded: Any, listen: Any) -> None:
    ear = listen(embedded)
    summary = edge_pose.run(with_broker(config, embedded))
    ear.until_offline()
    assert (summary.outcome, summary.error, summary.dropped) == ("finished", None, 0)
    assert summary.fps == pytest.approx(summary.frames / summary.duration_s)
    stages = {"capture", "preprocess", "infer", "decode", "publish", "end_to_end"}
    assert set(summary.latency_ms) == stages
    for figures in summary.latency_ms.values():
        assert 0 <= figures["p50"] <= figures["p95"] <= figures["p99"]
    assert summary.power.source == "estimated"
    assert summary.joules_per_frame == pytest.approx(summary.power.energy_j / 20)
    stats = ear.messages("stats")[-1]
    assert stats["frames"] == 20
    assert 0 < stats["fps"] <= 1.01 * summary.fps  # its interval ends later than the last frame
    assert set(stats["latency_ms"]) == stages
    assert stats["power"]["source"] == "estimated"


def test_a_run_announces_itself_and_its_end(config: RunConfig, embedded: Any, listen: Any) -> None:
    ear = listen(embedded)
    edge_pose.run(with_broker(config, embedded))
    ear.until_offline()
    assert [message["state"] for message in ear.messages("status")] == ["online", "offline"]
    states = ear.messages("state")
    assert [message["state"] for message in states][-1] == "no_source"
    assert "reason" not in states[-1]
    # Both are kept for whoever comes later.
    assert listen(embedded).kept() == ("offline", "no_source")


def test_a_run_tells_what_its_model_runs_in(config: RunConfig, embedded: Any, listen: Any) -> None:
    ear = listen(embedded)
    chosen = {"backend": "onnxruntime", "threads": 1}
    summary = edge_pose.run(with_broker(config.model_copy(update=chosen), embedded))
    ear.until_offline()
    runtime = asdict(summary.runtime)
    assert [message["runtime"] for message in ear.messages("status")] == [runtime] * 2
    del runtime["version"]
    assert runtime == {"backend": "onnxruntime", "device": "CPU", "threads": 1}


@pytest.mark.parametrize("streamed", [False, True])
def test_the_model_is_warm_before_the_first_frame(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    events: list[str] = []
    warm_up = Estimator.warm_up

    def slow(self: Estimator) -> None:
        time.sleep(0.2)
        warm_up(self)
        events.append("warm")

    monkeypatch.setattr(Estimator, "warm_up", slow)
    if streamed:
        for _ in edge_pose.stream(config.source, model=config.model, max_frames=2):
            events.append("frame")
    else:
        short = config.model_copy(update={"max_frames": 2})
        summary = edge_pose.run(short, on_result=lambda _: events.append("frame"))
        assert summary.warm_up_s >= 0.2
        assert summary.load_s > 0
    assert events == ["warm", "frame", "frame"]


def test_figures_are_sent_at_the_interval_asked_for(
    config: RunConfig, embedded: Any, listen: Any
) -> None:
    ear = listen(embedded)
    quick = config.model_copy(update={"stats_interval_s": 0.001, "video": None, "realtime": True})
    edge_pose.run(with_broker(quick, embedded))
    ear.until_offline()
    counts = [message["frames"] for message in ear.messages("stats")]
    assert len(counts) >= 3
    assert counts == sorted(counts)


@pytest.mark.timeout(60)
def test_without_a_broker_the_poses_go_to_the_file(
    config: RunConfig,
    nobody: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(session_module, "FILE_PATIENCE_S", 0.2)
    summary = edge_pose.run(with_broker(config, nobody, queue_size=4))
    assert reports(summary) == {"jsonl": (20, 0), "mqtt": (0, 20), "video": (20, 0)}
    assert len(lines(config)) == summary.frames == 20
    said = [record.getMessage() for record in caplog.records if record.name.startswith("edge_pose")]
    assert len(said) == 2
    assert "not reachable" in said[0]
    assert "20 of 20 pose messages were not sent" in said[1]


def test_a_source_that_breaks_in_the_middle(
    config: RunConfig,
    cut_clip: Callable[..., Path],
    count_frames: Callable[[Path], int],
    embedded: Any,
    listen: Any,
) -> None:
    ear = listen(embedded)
    clip = cut_clip(0.4, index_first=True)
    summary = edge_pose.run(
        with_broker(config.model_copy(update={"source": str(clip)}), embedded, qos=1)
    )
    ear.until_offline()
    assert summary.outcome == "failed"
    assert summary.error is not None
    assert summary.error.startswith(f"{clip}: ended after frame ")
    assert 20 < summary.frames < 175
    assert len(lines(config)) == len(ear.messages("poses")) == summary.frames
    assert config.video is not None
    assert count_frames(config.video) == summary.frames
    last = ear.messages("state")[-1]
    assert (last["state"], last["reason"]) == ("no_source", summary.error)


def test_stop_ends_a_run_after_the_frames_in_work(
    config: RunConfig, count_frames: Callable[[Path], int]
) -> None:
    stop = threading.Event()

    def on_result(result: FrameResult) -> None:
        if result.frame.index == 4:
            stop.set()

    summary = edge_pose.run(config, stop=stop, on_result=on_result)
    # What was being made when the run was stopped is published, too.
    assert 5 <= summary.frames <= 5 + RESULTS_AHEAD + 1
    assert summary.outcome == "interrupted"
    assert len(lines(config)) == summary.frames
    assert config.video is not None
    assert count_frames(config.video) == summary.frames


def test_whatever_goes_wrong_files_are_closed_and_the_broker_told(
    config: RunConfig, embedded: Any, listen: Any, count_frames: Callable[[Path], int]
) -> None:
    ear = listen(embedded)

    def on_result(result: FrameResult) -> None:
        if result.frame.index == 4:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        edge_pose.run(with_broker(config, embedded, qos=1), on_result=on_result)
    ear.until_offline()
    assert len(lines(config)) == len(ear.messages("poses")) == 5
    assert config.video is not None
    assert count_frames(config.video) == 5
    last = ear.messages("state")[-1]
    assert (last["state"], last["reason"]) == ("no_source", "ZeroDivisionError")
    busy = ("capture", "infer", "power")
    assert not any(thread.name in busy for thread in threading.enumerate())


def test_end_to_end_includes_waiting_for_a_slow_publisher(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(self: JsonlPublisher, result: FrameResult, message: object) -> None:
        time.sleep(0.05)

    monkeypatch.setattr(JsonlPublisher, "poses", slow)
    summary = edge_pose.run(config)
    latency = summary.latency_ms
    assert latency["publish"]["p50"] >= 50
    # Of a file, some frames are ready ahead: each of them waits for those before it.
    assert latency["end_to_end"]["p50"] >= (1 + RESULTS_AHEAD) * 50


class SilentCamera:
    """A live source that gives three frames and then waits for a fourth until it is closed."""

    def __init__(self) -> None:
        self.name, self.live, self.connected = "silent", True, True
        self.frame_rate: float | None = None
        self.frame_count: int | None = None
        self.closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        for index in range(3):
            image = np.zeros((64, 64, 3), np.uint8)
            yield Frame(image, index, utc_now(), time.monotonic())
            time.sleep(0.1)
        self.closed.wait()

    def close(self) -> None:
        self.closed.set()


@pytest.mark.parametrize("connected", [True, False])
def test_a_camera_that_falls_silent(
    config: RunConfig,
    embedded: Any,
    listen: Any,
    monkeypatch: pytest.MonkeyPatch,
    connected: bool,
) -> None:
    camera, stop, ear = SilentCamera(), threading.Event(), listen(embedded)
    camera.connected = connected
    monkeypatch.setattr(session_module, "open_source", lambda *_, **__: closing(camera))
    monkeypatch.setattr(pipeline_module, "STALE_S", 0.3)
    timer = threading.Timer(1.5, stop.set)
    timer.start()
    changed = config.model_copy(update={"stats_interval_s": 0.2})
    summary = edge_pose.run(with_broker(changed, embedded), stop=stop)
    ended_s = time.monotonic()
    timer.join()
    ear.until_offline()
    assert (summary.frames, summary.outcome) == (3, "interrupted")
    silent = "stale" if connected else "no_source"
    assert [m["state"] for m in ear.messages("state")][-3:] == ["running", silent, "no_source"]
    # Statistics go on without frames, and say that there were none.
    stats = ear.messages("stats")
    assert len(stats) >= 5
    assert stats[-1]["fps"] == 0
    assert stats[-1]["uptime_s"] >= 1.2
    assert time.monotonic() - ended_s < 20  # the listener's part; the run itself did not hang
    assert camera.closed.is_set()


def test_a_cameras_password_is_not_in_the_summary(
    config: RunConfig, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = open_source(config.source)
    monkeypatch.setattr(session_module, "open_source", lambda *_, **__: clip)
    secret = config.model_copy(update={"source": "rtsp://user:hush@cam.local/1?key=hush"})
    summary = edge_pose.run(secret)
    assert summary.source == "rtsp://cam.local/1"
    assert "hush" not in json.dumps(summary.to_json(), default=str)


def test_a_late_live_run_drops_frames_and_counts_them(config: RunConfig) -> None:
    live = config.model_copy(
        update={"source": "synthetic:160x120@500x400", "realtime": True, "video": None}
    )
    summary = edge_pose.run(live)
    assert summary.frames == len(lines(config)) > 0
    assert summary.frames + summary.dropped <= 400
    last = lines(config)[-1]
    assert last["dropped"] == summary.dropped
    assert last["frame"] <= summary.frames + summary.dropped


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"source": "no.mp4"}, SourceError, "no.mp4: no such file"),
        ({"power": "rappl"}, UsageError, "did you mean 'rapl'?"),
        ({"profile": "raspbery_pi_4"}, UsageError, "did you mean 'raspberry_pi_4'?"),
        ({"video": Path("poses.gif")}, PublisherError, "poses.gif: unknown kind of video"),
    ],
)
def test_what_cannot_be_opened_is_said_before_anything_runs(
    config: RunConfig, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        edge_pose.run(config.model_copy(update=changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_output_replaces_the_source_or_another_output(config: RunConfig) -> None:
    clip = Path(config.source)
    before = clip.read_bytes()
    with pytest.raises(UsageError, match="is the source, too"):
        edge_pose.run(config.model_copy(update={"video": clip.parent / "." / clip.name}))
    assert clip.read_bytes() == before
    with pytest.raises(UsageError, match="is jsonl, too"):
        edge_pose.run(config.model_copy(update={"jsonl": config.video}))


def test_stream_yields_frame_by_frame(tiny_artifact: Path, make_clip: Callable[..., Path]) -> None:
    clip = make_clip(10)
    results = list(edge_pose.stream(clip, model=tiny_artifact, max_frames=6))
    assert [result.frame.index for result in results] == list(range(6))
    assert results[-1].poses[0].id == 1
    for result in edge_pose.stream(str(clip), model=str(tiny_artifact)):
        assert result.frame.index == 0
        break
    assert callable(edge_pose.run)


def test_stream_listens_to_its_caller_only(
    tiny_artifact: Path, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_POSE_MAX_FRAMES", "1")
    assert len(list(edge_pose.stream(make_clip(3), model=tiny_artifact))) == 3
    with pytest.raises(ConfigError, match="did you mean 'realtime'"):
        next(edge_pose.stream("clip.mp4", model=tiny_artifact, realtme=True))


def test_stream_raises_what_breaks(tiny_artifact: Path, cut_clip: Callable[..., Path]) -> None:
    results = edge_pose.stream(cut_clip(0.3, index_first=True), model=tiny_artifact)
    for _ in range(10):
        next(results)
    with pytest.raises(SourceError, match="ended after frame"):
        list(results)


def test_a_folder_of_pictures(tmp_path: Path, config: RunConfig, scene: Any) -> None:
    import cv2

    folder = tmp_path / "shots [1]"
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), scene().person((60 + 20 * index, 60), 48).image)
    summary = edge_pose.run(config.model_copy(update={"source": str(folder), "video": None}))
    assert (summary.frames, summary.frames_with_people) == (3, 3)
    assert all(pose["id"] is None for message in lines(config) for pose in message["poses"])
    assert json.loads(json.dumps(summary.to_json()))["source"] == str(folder)
