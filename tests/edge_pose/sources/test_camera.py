from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from edge_pose.errors import SourceError
from edge_pose.sources.camera import CameraSource
from edge_pose.sources.live import MAX_DELAY_S

BLACK = np.zeros((48, 64, 3), np.uint8)
EMPTY = np.zeros((0, 0, 3), np.uint8)


def picture(value: int) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


class FakeCapture:
    """A camera that shows what the test puts into its queue; None makes a read fail."""

    all: ClassVar[list[FakeCapture]] = []

    def __init__(self, opened: bool = True) -> None:
        self.all.append(self)
        self.opened = opened
        self.shown: queue.Queue[np.ndarray | None] = queue.Queue()
        self.released = threading.Event()
        self.requests: dict[int, float] = {}
        self.failures: list[Exception] = []  # raised by the next reads
        self.image: np.ndarray | None = None

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def grab(self) -> bool:
        if self.failures:
            raise self.failures.pop(0)
        while not self.released.is_set():
            try:
                self.image = self.shown.get(timeout=0.005)
            except queue.Empty:
                continue
            self.shown.task_done()
            return self.image is not None
        return False

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return self.image is not None, self.image

    def get(self, propId: int) -> float:  # noqa: N803
        return 30.0 if propId == cv2.CAP_PROP_FPS else -1.0

    def set(self, propId: int, value: float) -> bool:  # noqa: N803
        self.requests[propId] = value
        return True

    def release(self) -> None:
        self.released.set()


class Rig:
    """Hands out fake captures in order and notes the delays; the clock is moved by the test."""

    def __init__(self, *captures: FakeCapture) -> None:
        self.captures = list(captures)
        self.opened: list[int | str] = []
        self.delays: list[float] = []
        self.slept = threading.Condition()
        self.now_s = 0.0

    def open(self, device: int | str) -> FakeCapture:
        self.opened.append(device)
        return self.captures.pop(0) if self.captures else FakeCapture(opened=False)

    def sleep(self, seconds: float) -> None:
        with self.slept:
            self.delays.append(seconds)
            self.slept.notify_all()
        threading.Event().wait(0.001)

    def wait_for_delays(self, count: int) -> None:
        with self.slept:
            assert self.slept.wait_for(lambda: len(self.delays) >= count, timeout=20)

    def source(self, **extra: int) -> CameraSource:
        return CameraSource(
            0, open_capture=self.open, clock=lambda: self.now_s, sleep=self.sleep, **extra
        )


@pytest.fixture
def closing() -> Iterator[list[CameraSource]]:
    sources: list[CameraSource] = []
    yield sources
    for capture in FakeCapture.all:
        capture.released.set()
    for source in sources:
        source.close()


def test_frames_and_metadata(closing: list[CameraSource]) -> None:
    capture = FakeCapture()
    rig = Rig(capture)
    source = rig.source()
    closing.append(source)
    rig.now_s = 5.0
    capture.shown.put(picture(1))
    frames = source.frames()
    first = next(frames)
    capture.shown.put(picture(2))
    second = next(frames)
    assert (source.name, source.live, source.frame_rate) == ("camera 0", True, 30.0)
    assert source.frame_count is None
    assert (first.index, second.index) == (0, 1)
    assert int(second.image[0, 0, 0]) == 2
    assert first.media_s is None
    assert first.captured_s == 5.0
    assert capture.requests == {cv2.CAP_PROP_BUFFERSIZE: 1}


def test_size_and_rate_are_asked_for(closing: list[CameraSource]) -> None:
    capture = FakeCapture()
    closing.append(Rig(capture).source(width=1280, height=720, fps=25))
    assert capture.requests[cv2.CAP_PROP_FRAME_WIDTH] == 1280
    assert capture.requests[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert capture.requests[cv2.CAP_PROP_FPS] == 25
    assert capture.requests[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")


def test_slow_reader_gets_the_newest_frame_and_sees_the_gap(closing: list[CameraSource]) -> None:
    capture = FakeCapture()
    source = Rig(capture).source()
    closing.append(source)
    for value in range(1, 8):
        capture.shown.put(picture(value))
    capture.shown.put(None)  # taken only when the seventh frame has been handed over
    capture.shown.join()
    frame = next(source.frames())
    assert frame.index == 6
    assert int(frame.image[0, 0, 0]) == 7


def test_single_failures_do_not_reopen(closing: list[CameraSource]) -> None:
    capture = FakeCapture()
    rig = Rig(capture)
    source = rig.source()
    closing.append(source)
    for shown in (None, EMPTY, picture(3)):
        capture.shown.put(shown)
    assert int(next(source.frames()).image[0, 0, 0]) == 3
    assert rig.delays == []
    assert rig.opened == [0]


def test_reconnects_with_growing_delays(
    closing: list[CameraSource], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    first, again = FakeCapture(), FakeCapture()
    rig = Rig(first, *(FakeCapture(opened=False) for _ in range(3)), again)
    source = rig.source()
    closing.append(source)
    frames = source.frames()
    first.shown.put(picture(1))
    next(frames)
    for _ in range(3):
        first.shown.put(None)
    again.shown.put(picture(2))
    frame = next(frames)
    assert int(frame.image[0, 0, 0]) == 2
    assert frame.index == 1
    assert rig.delays == [0.5, 1.0, 2.0, 4.0]
    assert first.released.is_set()
    assert source.connected
    messages = [record.getMessage() for record in caplog.records]
    assert messages == [
        "camera 0: no frames any more, reconnecting",
        "camera 0: frames again, at attempt 4",
    ]


def test_delays_are_bounded_and_start_again_after_a_good_frame(
    closing: list[CameraSource],
) -> None:
    first, again = FakeCapture(), FakeCapture()
    rig = Rig(first, *(FakeCapture(opened=False) for _ in range(9)), again)
    source = rig.source()
    closing.append(source)
    for _ in range(3):
        first.shown.put(None)
    again.shown.put(picture(2))
    next(source.frames())
    assert max(rig.delays) == MAX_DELAY_S
    assert rig.delays[-3:] == [MAX_DELAY_S] * 3
    for _ in range(3):
        again.shown.put(None)
    rig.wait_for_delays(11)
    assert rig.delays[10] == 0.5


def test_device_that_opens_but_gives_nothing_backs_off_too(closing: list[CameraSource]) -> None:
    captures = [FakeCapture() for _ in range(5)]
    for capture in captures:
        for _ in range(3):
            capture.shown.put(None)
    rig = Rig(*captures)
    source = rig.source()
    closing.append(source)
    rig.wait_for_delays(5)
    assert rig.delays[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert not source.connected


def test_frame_from_before_the_loss_is_not_handed_out(closing: list[CameraSource]) -> None:
    first, again = FakeCapture(), FakeCapture()
    rig = Rig(first, again)
    source = rig.source()
    closing.append(source)
    first.shown.put(picture(1))  # nobody fetches it
    for _ in range(3):
        first.shown.put(None)
    rig.wait_for_delays(1)
    again.shown.put(picture(2))
    assert int(next(source.frames()).image[0, 0, 0]) == 2


def test_black_frames_are_held_back_and_reopen_in_the_end(closing: list[CameraSource]) -> None:
    first, again = FakeCapture(), FakeCapture()
    rig = Rig(first, again)
    source = rig.source()
    closing.append(source)
    for _ in range(10):
        first.shown.put(BLACK)
    first.shown.join()
    assert rig.delays == []  # warming up
    rig.now_s = 3.0
    first.shown.put(BLACK)
    again.shown.put(picture(9))
    frame = next(source.frames())
    assert int(frame.image[0, 0, 0]) == 9
    assert frame.index == 0
    assert rig.delays == [0.5]


def test_dark_frame_is_not_black(closing: list[CameraSource]) -> None:
    capture = FakeCapture()
    source = Rig(capture).source()
    closing.append(source)
    night = BLACK.copy()
    night[3, 5, 1] = 1
    capture.shown.put(night)
    assert next(source.frames()).image[3, 5, 1] == 1


def test_close_ends_a_waiting_reader_and_releases_the_device() -> None:
    capture = FakeCapture()
    source = Rig(capture).source()
    frames: list[object] = []
    reader = threading.Thread(target=lambda: frames.extend(source.frames()))
    reader.start()
    capture.released.set()  # what a driver does: the read returns
    source.close()
    source.close()
    reader.join(20)
    assert not reader.is_alive()
    assert frames == []


def test_close_interrupts_the_wait_for_a_reconnection() -> None:
    capture = FakeCapture()
    rig = Rig(capture)
    source = CameraSource(0, open_capture=rig.open)  # the real sleep
    for _ in range(3):
        capture.shown.put(None)
    capture.shown.join()
    source.close()
    assert not source._thread.is_alive()


def test_reads_that_opencv_aborts_are_failed_reads(closing: list[CameraSource]) -> None:
    first, again = FakeCapture(), FakeCapture()
    first.failures = [cv2.error("unplugged")] * 3
    rig = Rig(first, again)
    source = rig.source()
    closing.append(source)
    again.shown.put(picture(2))
    assert int(next(source.frames()).image[0, 0, 0]) == 2
    assert rig.delays == [0.5]
    assert first.released.is_set()


def test_reconnection_that_opencv_aborts_is_tried_again(
    closing: list[CameraSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, odd, again = FakeCapture(), FakeCapture(), FakeCapture()
    rig = Rig(first, odd, again)

    def fail(*_: object) -> bool:
        raise cv2.error("unplugged")

    monkeypatch.setattr(odd, "set", fail)
    source = rig.source()
    closing.append(source)
    first.failures = [cv2.error("unplugged")] * 3
    first.shown.put(None)
    again.shown.put(picture(2))
    assert int(next(source.frames()).image[0, 0, 0]) == 2
    assert rig.delays == [0.5, 1.0]


def test_any_other_failure_reaches_the_reader_in_one_line(closing: list[CameraSource]) -> None:
    capture = FakeCapture()
    source = Rig(capture).source()
    closing.append(source)
    frames = source.frames()
    capture.shown.put(picture(1))
    next(frames)
    capture.failures = [MemoryError("no space for\n a picture")]
    capture.shown.put(None)
    with pytest.raises(SourceError) as caught:
        next(frames)
    assert str(caught.value) == "camera 0: MemoryError: no space for a picture"
    assert capture.released.is_set()


def test_no_error_after_close() -> None:
    capture = FakeCapture()
    capture.failures = [ValueError("odd")]
    source = Rig(capture).source()
    assert capture.released.wait(20)
    source.close()
    assert list(source.frames()) == []


def test_close_ends_a_waiting_reader_while_the_driver_is_still_stuck(
    closing: list[CameraSource],
) -> None:
    capture = FakeCapture()  # its read returns when the test is over
    source = Rig(capture).source()
    closing.append(source)
    ended = threading.Event()
    reader = threading.Thread(target=lambda: (list(source.frames()), ended.set()))
    reader.start()
    closers = [threading.Thread(target=source.close) for _ in range(2)]
    for closer in closers:
        closer.start()
    assert ended.wait(20)
    assert source._thread.is_alive()  # the reader ended before the driver let go
    assert not capture.released.is_set()  # and nobody took the device away under it
    capture.released.set()
    for thread in (reader, *closers):
        thread.join(20)
        assert not thread.is_alive()


def test_missing_camera_lists_those_found(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video-other"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError) as caught:
        CameraSource(7, open_capture=Rig().open, dev_root=tmp_path)
    expected = "camera 7: no such camera (found: /dev/video2, /dev/video10)"
    assert str(caught.value) == expected


def test_no_camera_at_all(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"camera 0: no such camera \(there is no /dev/video\*"):
        CameraSource(0, open_capture=Rig().open, dev_root=tmp_path)


def test_camera_that_exists_but_does_not_open(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    with pytest.raises(SourceError, match="exists but cannot be opened: it is in use"):
        CameraSource(0, open_capture=Rig().open, dev_root=tmp_path)


def test_opencv_itself_refuses_a_missing_camera(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SourceError, match="camera 987: no such camera"):
        CameraSource(987, dev_root=tmp_path)
    assert capfd.readouterr().err == ""
