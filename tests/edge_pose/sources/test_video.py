from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timezone
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_pose.errors import SourceError
from edge_pose.sources.video import VideoSource, _frame_rate
from edge_pose.types import Frame


def read(path: Path) -> list[Frame]:
    source = VideoSource(path)
    try:
        return list(source.frames())
    finally:
        source.close()


def message(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_intact_clip_gives_every_frame(walking: Path) -> None:
    source = VideoSource(walking)
    assert (source.name, source.live) == ("one_person_walking.mp4", False)
    assert (source.frame_rate, source.frame_count) == (30.0, 175)
    before = time.monotonic()
    frames = list(source.frames())
    source.close()
    source.close()
    assert [frame.index for frame in frames] == list(range(175))
    assert frames[0].image.shape == (480, 854, 3)
    assert frames[0].image.dtype == np.uint8
    assert frames[30].media_s == pytest.approx(1.0)
    assert all(frame.capture_s > 0 for frame in frames)
    assert before <= frames[0].captured_s < frames[174].captured_s <= time.monotonic()
    assert frames[0].captured_at.tzinfo == timezone.utc


def test_second_clip_does_not_count_as_truncated(two_people: Path) -> None:
    frames = read(two_people)
    assert len(frames) == 50
    assert frames[0].image.shape == (960, 544, 3)


def test_frames_can_be_read_again(two_people: Path) -> None:
    source = VideoSource(two_people)
    first = next(iter(source.frames()))
    again = list(source.frames())
    source.close()
    assert len(again) == 50
    assert np.array_equal(first.image, again[0].image)


def test_rotation_metadata_is_applied(walking: Path, rotated: Path) -> None:
    upright, turned = read(walking)[0].image, read(rotated)[0].image
    assert turned.shape == (854, 480, 3)
    assert np.array_equal(turned, np.rot90(upright, -1))


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message(Path("clip.mp4")) == "clip.mp4: no such file"


def test_empty_file(tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    file.touch()
    assert message(file) == f"{file}: the file is empty"


def test_folder_is_no_video(tmp_path: Path) -> None:
    assert message(tmp_path).startswith(f"{tmp_path}: cannot be read: ")


def test_text_file_is_one_clear_line_and_nothing_on_stderr(tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    file.write_text("this is no video\n" * 20)
    code = (
        "import pathlib, sys; from edge_pose.sources.video import VideoSource\n"
        "try: VideoSource(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.startswith(f"SourceError {file}: not a video that can be read")


def test_index_lost_by_truncation(walking: Path, tmp_path: Path) -> None:
    data = walking.read_bytes()
    file = tmp_path / "clip.mp4"
    file.write_bytes(data[: len(data) // 2])
    assert message(file).startswith(f"{file}: not a video that can be read")


def test_truncated_file_gives_its_frames_and_then_the_error(
    truncated: Callable[[float], Path], walking: Path
) -> None:
    file = truncated(0.5)
    source = VideoSource(file)
    frames, error = _drain(source.frames())
    source.close()
    assert 50 < len(frames) < 120
    assert str(error) == (
        f"{file}: ended after frame {len(frames)} of 175: the file is truncated or damaged"
    )
    assert np.array_equal(frames[10].image, read(walking)[10].image)


def _drain(source: Iterator[Frame]) -> tuple[list[Frame], SourceError | None]:
    frames = []
    try:
        for frame in source:
            frames.append(frame)
    except SourceError as error:
        return frames, error
    return frames, None


def test_moved_index_alone_is_no_damage(truncated: Callable[[float], Path]) -> None:
    assert len(read(truncated(1.0))) == 175


def test_hole_in_the_data_is_an_error(walking: Path, tmp_path: Path) -> None:
    data = bytearray(walking.read_bytes())
    data[200_000:260_000] = bytes(60_000)
    file = tmp_path / "clip.mp4"
    file.write_bytes(data)
    assert " of 175: the file is truncated or damaged" in message(file)


def test_video_without_frames(tmp_path: Path) -> None:
    file = tmp_path / "clip.avi"
    cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48)).release()
    assert message(file) == f"{file}: holds no frame that can be decoded"


def _jpegs(count: int) -> bytes:
    images = (np.full((48, 64, 3), 10 * i, np.uint8) for i in range(count))
    return b"".join(cv2.imencode(".jpg", image)[1].tobytes() for image in images)


def test_container_without_a_frame_count(tmp_path: Path) -> None:
    file = tmp_path / "clip.mjpeg"
    file.write_bytes(_jpegs(20))
    source = VideoSource(file)
    assert source.frame_count is None
    assert len(list(source.frames())) == 20
    source.close()


def test_absurd_frame_rate_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 5000, (64, 48))
    for i in range(20):
        writer.write(np.full((48, 64, 3), 10 * i, np.uint8))
    writer.release()
    source = VideoSource(file)
    frames = list(source.frames())
    source.close()
    assert source.frame_rate is None
    assert len(frames) == 20
    assert frames[15].media_s == pytest.approx(0.5)
    assert "no usable frame rate" in caplog.text


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf"), 1000.0, 90000.0, 1e-6])
def test_unusable_frame_rates(fps: float) -> None:
    assert _frame_rate(fps) is None


def test_wrong_count_of_a_variable_rate_is_no_truncation(
    two_people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = VideoSource(two_people)
    # As if the count were duration × rate with a rate of twice the true one.
    monkeypatch.setattr(source, "frame_count", 100)
    monkeypatch.setattr(source, "_rate_hz", 60.0)
    assert len(list(source.frames())) == 50
    source.close()


class Time:
    """A clock that only sleeping and working move on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_realtime_paces_a_fast_reader(two_people: Path) -> None:
    fake = Time()
    source = VideoSource(two_people, realtime=True, clock=fake.clock, sleep=fake.sleep)
    assert source.live
    indices = [frame.index for frame in source.frames()]
    source.close()
    assert indices == list(range(50))
    assert fake.now_s == pytest.approx(100.0 + 50 / 30)  # the last frame keeps its time too


def test_realtime_skips_late_frames_and_keeps_their_numbers(two_people: Path) -> None:
    fake = Time()
    source = VideoSource(two_people, realtime=True, clock=fake.clock, sleep=fake.sleep)
    frames = []
    for frame in source.frames():
        frames.append(frame)
        fake.now_s += 2.6 / 30  # the consumer needs more than two frame times
    source.close()
    indices = [frame.index for frame in frames]
    assert indices[:5] == [0, 2, 5, 7, 10]
    assert 19 <= len(indices) <= 21
    assert frames[2].media_s == pytest.approx(5 / 30)


def test_close_ends_the_iteration(two_people: Path) -> None:
    source = VideoSource(two_people)
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []


class SlowCapture:
    """A file whose read takes until the test lets it go on; notes a release in the middle."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self.reading = threading.Event()
        self.go_on = threading.Event()
        self.released_while_reading = False
        self.released = False

    def grab(self) -> bool:
        self.reading.set()
        self.go_on.wait(20)
        self.released_while_reading = self.released
        return self._capture.grab()

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return self._capture.retrieve()

    def get(self, prop: int) -> float:
        return self._capture.get(prop)

    def release(self) -> None:
        self.released = True
        self._capture.release()


def test_close_does_not_take_the_file_away_from_under_a_read(
    two_people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = VideoSource(two_people)
    slow = SlowCapture(source._capture)
    monkeypatch.setattr(source, "_capture", slow)
    frames: list[Frame] = []
    reader = threading.Thread(target=lambda: frames.extend(source.frames()))
    reader.start()
    assert slow.reading.wait(20)
    closers = [threading.Thread(target=source.close) for _ in range(2)]
    for closer in closers:
        closer.start()
    assert source._stop.wait(20)
    assert not slow.released
    slow.go_on.set()
    for thread in (reader, *closers):
        thread.join(20)
        assert not thread.is_alive()
    assert slow.released
    assert not slow.released_while_reading
    assert [frame.index for frame in frames] == [0]


def test_close_at_any_moment_of_a_real_read(walking: Path) -> None:
    for after in range(5):
        source = VideoSource(walking)
        reached = threading.Event()

        def read_on(source: VideoSource, reached: threading.Event, after: int) -> None:
            for frame in source.frames():
                if frame.index == after:
                    reached.set()

        reader = threading.Thread(target=read_on, args=(source, reached, after))
        reader.start()
        assert reached.wait(20)
        source.close()
        reader.join(20)
        assert not reader.is_alive()


@pytest.mark.timeout(20)  # and not 100 s, the time until the second frame
def test_close_interrupts_the_wait_for_a_frame_of_a_time_lapse(tmp_path: Path) -> None:
    file = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 0.01, (64, 48))
    for i in range(3):
        writer.write(np.full((48, 64, 3), 10 * i, np.uint8))
    writer.release()
    source = VideoSource(file, realtime=True)
    assert source.frame_rate == pytest.approx(0.01)
    frames = source.frames()
    assert next(frames).index == 0
    closer = threading.Timer(0.1, source.close)
    closer.start()
    assert list(frames) == []
    closer.join()


def test_closed_file_is_not_opened_again(two_people: Path) -> None:
    source = VideoSource(two_people)
    next(source.frames())
    source.close()
    assert list(source.frames()) == []
    assert not source._capture.isOpened()
