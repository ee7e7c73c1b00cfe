"""Frames in, results out: with a source of the test's own and the tiny network."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_pose
from edge_pose import pipeline as pipeline_module
from edge_pose.config import RunConfig
from edge_pose.errors import BackendError, SourceError
from edge_pose.estimator import Estimator
from edge_pose.pipeline import Pipeline
from edge_pose.types import Frame, Image, utc_now


class Pictures:
    """A source of given pictures. `media` gives them times as of a file, 25 per second."""

    def __init__(
        self, images: list[Image], *, live: bool = False, media: bool = True, capture_s: float = 0.0
    ) -> None:
        self.name, self.live, self.frame_rate = "pictures", live, None
        self.frame_count: int | None = len(images)
        self.error: Exception | None = None
        self.before: Callable[[int], object] = lambda _: None
        self._images, self._media, self._capture_s = images, media, capture_s

    def frames(self) -> Iterator[Frame]:
        for index, image in enumerate(self._images):
            self.before(index)
            captured_s = time.monotonic() - self._capture_s
            media_s = index / 25 if self._media else None
            yield Frame(image, index, utc_now(), captured_s, media_s, self._capture_s)
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        pass


@pytest.fixture
def estimator(tiny_artifact: Path) -> Iterator[Estimator]:
    with edge_pose.load(tiny_artifact) as loaded:
        yield loaded


@pytest.fixture
def walk(scene: Any) -> list[Image]:
    return [scene().person((50 + 2 * step, 60), 40).image for step in range(20)]


CONFIG = RunConfig.model_validate({"tracking": {"acquire_score": 0.9, "min_score": 0.8}})


def test_one_result_per_frame_in_order(estimator: Estimator, walk: list[Image]) -> None:
    results = list(Pipeline(Pictures(walk), estimator, CONFIG))
    assert [result.frame.index for result in results] == list(range(20))
    assert all(result.frame.image is image for result, image in zip(results, walk, strict=True))
    assert {pose.id for result in results for pose in result.poses} == {1}
    assert sum(bool(result.poses) for result in results) >= 18
    assert all(result.dropped == 0 for result in results)
    assert set(results[0].stage_s) == {"capture", "preprocess", "infer", "decode"}


def test_latency_counts_the_capture_once(estimator: Estimator, walk: list[Image]) -> None:
    for result in Pipeline(Pictures(walk, capture_s=100.0), estimator, CONFIG):
        assert result.stage_s["capture"] == 100.0
        assert 100.0 < result.latency_s < 190.0
        processing_s = sum(result.stage_s.values()) - 100.0
        assert result.latency_s >= 100.0 + processing_s


def test_stills_are_searched_one_by_one(estimator: Estimator, scene: Any) -> None:
    stills = [scene((320, 240)).person(at, 60).image for at in ((80, 80), (240, 150), (80, 80))]
    results = list(Pipeline(Pictures(stills, media=False), estimator, CONFIG))
    assert all(result.poses for result in results)
    assert all(pose.id is None for result in results for pose in result.poses)
    assert results[0].poses[0].keypoints == pytest.approx(results[2].poses[0].keypoints)


def test_a_video_without_a_frame_rate_is_followed_all_the_same(
    estimator: Estimator, walk: list[Image]
) -> None:
    source = Pictures(walk)
    assert source.frame_rate is None
    assert [pose.id for r in Pipeline(source, estimator, CONFIG) for pose in r.poses][-1] == 1


def test_tracking_can_be_switched_off(estimator: Estimator, walk: list[Image]) -> None:
    config = RunConfig.model_validate({"tracking": {"enabled": False}})
    results = list(Pipeline(Pictures(walk[:3]), estimator, config))
    assert all(pose.id is None for result in results for pose in result.poses)


def test_smoothing_smooths_what_is_followed(estimator: Estimator, scene: Any) -> None:
    rng = np.random.default_rng(0)
    jitter = rng.uniform(-3, 3, (40, 2)) + np.array([80, 60])
    images = [scene().person((x, y), 40).image for x, y in jitter]

    def spread(enabled: bool) -> float:
        config = CONFIG.model_copy(
            update={"smoothing": CONFIG.smoothing.model_copy(update={"enabled": enabled})}
        )
        results = list(Pipeline(Pictures(images), estimator, config))
        points = np.array([r.poses[0].keypoints for r in results if r.poses])
        assert len(points) > 30
        return float(np.abs(np.diff(points, axis=0)).mean())

    assert spread(True) < 0.7 * spread(False)


def test_stops_after_max_frames(estimator: Estimator, walk: list[Image]) -> None:
    config = CONFIG.model_copy(update={"max_frames": 7})
    assert len(list(Pipeline(Pictures(walk), estimator, config))) == 7


def test_stops_after_the_frame_in_work(estimator: Estimator, walk: list[Image]) -> None:
    stop, seen = threading.Event(), []
    for result in Pipeline(Pictures(walk), estimator, CONFIG, stop=stop):
        seen.append(result.frame.index)
        if len(seen) == 3:
            stop.set()
    assert seen == [0, 1, 2]


def test_stop_ends_the_wait_for_a_silent_camera(estimator: Estimator, walk: list[Image]) -> None:
    stop, release = threading.Event(), threading.Event()
    source = Pictures(walk, live=True)
    source.before = lambda index: index == 1 and release.wait(30)
    results = iter(Pipeline(source, estimator, CONFIG, stop=stop))
    assert next(results).frame.index == 0

    def stop_then_send_a_frame() -> None:
        stop.set()
        release.set()

    threading.Timer(0.3, stop_then_send_a_frame).start()
    assert next(results, None) is None


def test_an_error_of_the_source_comes_after_its_results(
    estimator: Estimator, walk: list[Image]
) -> None:
    source = Pictures(walk)
    source.error = SourceError("clip.mp4: ended after frame 20 of 99")
    results = iter(Pipeline(source, estimator, CONFIG))
    assert [next(results).frame.index for _ in walk] == list(range(20))
    with pytest.raises(SourceError, match="after frame 20 of 99"):
        next(results)


def test_a_source_that_gives_up_ends_the_loop(estimator: Estimator, walk: list[Image]) -> None:
    """A library's TimeoutError is an error, not a reason to wait for more."""
    source, stop = Pictures(walk[:2]), threading.Event()
    source.error = TimeoutError("timed out")
    too_long = threading.Timer(30, stop.set)
    too_long.start()
    with pytest.raises(TimeoutError, match="timed out"):
        list(Pipeline(source, estimator, CONFIG, stop=stop))
    too_long.cancel()


def test_leaving_the_loop_ends_the_capturing_thread(
    estimator: Estimator, walk: list[Image]
) -> None:
    results = iter(Pipeline(Pictures(walk), estimator, CONFIG))
    next(results)
    results.close()  # type: ignore[attr-defined] # it is a generator
    deadline_s = time.monotonic() + 5
    while any(thread.name == "capture" for thread in threading.enumerate()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_pauses_are_told_before_each_network_run_and_before_the_source_is_closed(
    estimator: Estimator, walk: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    infer = estimator.backend.run

    def run(tensor: Any) -> Any:
        events.append("network")
        return infer(tensor)

    monkeypatch.setattr(estimator.backend, "run", run)
    source = Pictures(walk)
    monkeypatch.setattr(source, "close", lambda: events.append("close"))
    config = CONFIG.model_copy(update={"max_frames": 3})
    pipeline = Pipeline(source, estimator, config, on_pause=lambda: events.append("pause"))
    for _ in pipeline:
        events.append("result")
    assert events.count("result") == 3
    for before, event in itertools.pairwise(events):
        assert before == "pause" or event not in ("network", "close")
    assert events[-1] == "close"


def test_what_breaks_is_followed_by_a_pause_before_the_source_is_closed(
    estimator: Estimator, walk: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def run(_: object) -> None:
        events.append("network")
        raise BackendError("it fails")

    monkeypatch.setattr(estimator.backend, "run", run)
    source = Pictures(walk)
    monkeypatch.setattr(source, "close", lambda: events.append("close"))
    with pytest.raises(BackendError):
        list(Pipeline(source, estimator, CONFIG, on_pause=lambda: events.append("pause")))
    assert events[-3:] == ["network", "pause", "close"]


def test_a_wait_for_a_frame_is_a_pause(estimator: Estimator, walk: list[Image]) -> None:
    paused = threading.Event()
    source = Pictures(walk[:2], live=True)
    source.before = lambda index: index == 1 and paused.wait(30)
    results = iter(Pipeline(source, estimator, CONFIG, on_pause=paused.set))
    next(results)
    paused.clear()
    assert next(results).frame.index == 1


def test_a_silent_camera_is_stale_until_its_next_frame(
    estimator: Estimator, walk: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "STALE_S", 0.1)
    told: list[bool] = []
    stale = threading.Event()

    def on_stale(is_stale: bool) -> None:
        told.append(is_stale)
        if is_stale:
            stale.set()

    source = Pictures(walk[:3], live=True)
    source.before = lambda index: index == 2 and stale.wait(30)
    results = list(Pipeline(source, estimator, CONFIG, on_stale=on_stale))
    assert results[-1].frame.index == 2
    assert told[0] is True
    assert told[-1] is False
    assert set(told[:-1]) == {True}


def test_a_file_that_is_slow_is_not_stale(
    estimator: Estimator, walk: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "STALE_S", 0.0)
    told: list[bool] = []
    source = Pictures(walk[:2])
    source.before = lambda index: index == 1 and time.sleep(0.5)
    assert len(list(Pipeline(source, estimator, CONFIG, on_stale=told.append))) == 2
    assert told == []
