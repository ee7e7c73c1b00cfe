"""What a run does beside the network, and what it keeps away from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import pytest

from edge_pose.config import RunConfig
from edge_pose.loaded_model import LoadedModel, load_model
from edge_pose.pipeline import Pipeline
from edge_pose.power import EnergyRecorder, open_meter
from edge_pose.profile import load_profile
from edge_pose.session import Session
from edge_pose.sources import open_source
from edge_pose.types import FrameResult

WAIT_S = 10.0


@pytest.fixture
def config(tiny_artifact: Path, tmp_path: Path, make_clip: Callable[..., Path]) -> RunConfig:
    values = {"source": str(make_clip(6)), "model": str(tiny_artifact), "power": "estimate"}
    return RunConfig.model_validate({**values, "jsonl": tmp_path / "poses.jsonl"})


@pytest.fixture
def model(config: RunConfig) -> Iterator[LoadedModel]:
    loaded = load_model(config)
    with loaded.estimator:
        yield loaded


def loop(config: RunConfig, model: LoadedModel, on_result: Callable[[FrameResult], None]) -> int:
    """Run the frame loop; return the number of frames published."""
    profile = load_profile(config.profile)
    with (
        open_source(config.source) as source,
        closing(Session(config, model, source)) as session,
        closing(open_meter(config.power, profile)) as meter,
        EnergyRecorder(meter) as energy,
    ):
        session.open()
        session.loop(threading.Event(), on_result, energy)
        return session.figures.frames


def test_a_result_is_published_while_the_network_runs_on_the_next_frame(
    config: RunConfig, model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, published = 0, threading.Semaphore(0)
    infer, process = model.estimator.backend.run, Pipeline._process

    def run(tensor: Any) -> Any:
        nonlocal made
        while made:  # it would not be published if it were kept until the next one is made
            assert published.acquire(timeout=WAIT_S)
            made -= 1
        return infer(tensor)

    def count(*args: Any) -> FrameResult:
        nonlocal made
        result = process(*args)
        made += 1
        return result

    monkeypatch.setattr(model.estimator.backend, "run", run)
    monkeypatch.setattr(Pipeline, "_process", count)
    assert loop(config, model, lambda _: published.release()) == 6
    assert made == 1  # the last frame has no next one


@pytest.fixture
def two_opencv_threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


@pytest.mark.usefixtures("two_opencv_threads")
def test_opencv_has_one_thread_while_frames_come_and_all_of_them_again_afterwards(
    config: RunConfig, model: LoadedModel
) -> None:
    seen: list[int] = []
    loop(config, model, lambda _: seen.append(cv2.getNumThreads()))
    assert seen == [1] * 6
    assert cv2.getNumThreads() == 2


@pytest.mark.usefixtures("two_opencv_threads")
def test_opencv_has_one_thread_until_the_last_of_two_runs_ends(
    config: RunConfig, model: LoadedModel, tmp_path: Path
) -> None:
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def wait_for_the_second(_: FrameResult) -> None:
        first_is_in.set()
        assert second_is_in.wait(WAIT_S)

    seen: list[int] = []

    def outlive_the_first(_: FrameResult) -> None:
        second_is_in.set()
        first.join(WAIT_S)
        seen.append(cv2.getNumThreads())

    first = threading.Thread(target=loop, args=(config, model, wait_for_the_second))
    first.start()
    assert first_is_in.wait(WAIT_S)
    other = config.model_copy(update={"jsonl": tmp_path / "others.jsonl"})
    with (others := load_model(other)).estimator:
        loop(other, others, outlive_the_first)
    assert not first.is_alive()
    assert seen == [1] * 6
    assert cv2.getNumThreads() == 2
