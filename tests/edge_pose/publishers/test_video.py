from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_pose.errors import PublisherError
from edge_pose.publishers import video
from edge_pose.publishers.video import VideoPublisher, fit
from edge_pose.skeleton import MPII16, KeypointFormat
from edge_pose.types import FrameResult, Image, Pose

WRITE = """
import sys, numpy as np
from datetime import datetime, timezone
from pathlib import Path
from edge_pose.publishers.video import VideoPublisher
from edge_pose.skeleton import MPII16
from edge_pose.types import Frame, FrameResult
rng = np.random.default_rng(0)
publisher = VideoPublisher(Path(sys.argv[1]), MPII16, block=True)
try:
    for index in range(int(sys.argv[2])):
        image = rng.integers(0, 255, (120, 160, 3), np.uint8)
        frame = Frame(image, index, datetime.now(timezone.utc), 0.0)
        publisher.poses(FrameResult(frame, ()), {})
        if index == 99: print("going", flush=True)
except KeyboardInterrupt:
    pass
report = publisher.close()
print(report.sent, report.dropped)
"""


def read(path: Path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            capture.release()
            return frames
        frames.append(frame)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_every_frame_is_there_with_its_skeleton(
    tmp_path: Path, make_result: Callable[..., FrameResult], suffix: str
) -> None:
    path = tmp_path / "new" / f"poses{suffix}"
    publisher = VideoPublisher(path, MPII16, frame_rate=25, block=True)
    for index in range(50):
        publisher.poses(make_result(index, persons=index % 2), {})
    report = publisher.close()
    assert (report.sent, report.dropped) == (50, 0)
    frames = read(path)
    assert len(frames) == 50
    assert frames[0].shape == (120, 160, 3)
    assert np.abs(frames[0].astype(int) - 90).max() < 12  # nobody in it
    assert np.abs(frames[1].astype(int) - 90).max() > 60
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    capture.release()


@pytest.mark.parametrize("frame_rate", [None, 0.0, float("nan"), -1.0])
def test_frame_rate_that_a_source_does_not_know(
    tmp_path: Path, make_result: Callable[..., FrameResult], frame_rate: float | None
) -> None:
    publisher = VideoPublisher(tmp_path / "v.mp4", MPII16, frame_rate=frame_rate, block=True)
    publisher.poses(make_result(), {})
    publisher.close()
    capture = cv2.VideoCapture(str(tmp_path / "v.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    capture.release()


def test_odd_and_changing_sizes(tmp_path: Path, make_result: Callable[..., FrameResult]) -> None:
    path = tmp_path / "v.mp4"
    publisher = VideoPublisher(path, MPII16, block=True)
    for width, height in ((161, 121), (80, 200), (320, 240), (160, 120)):
        publisher.poses(make_result(width=width, height=height), {})
    assert publisher.close().sent == 4
    assert [frame.shape for frame in read(path)] == [(120, 160, 3)] * 4


def test_fit_keeps_the_proportions() -> None:
    image = np.full((200, 100, 3), 255, np.uint8)
    fitted = fit(image, 160, 120)
    assert fitted.shape == (120, 160, 3)
    columns = np.flatnonzero(fitted[60, :, 0])
    assert (columns[0], len(columns)) == (50, 60)


def test_live_frames_are_dropped_when_the_encoder_is_slow(
    tmp_path: Path, make_result: Callable[..., FrameResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    draw = video.draw_poses

    def slow(
        image: Image, poses: Sequence[Pose], keypoints: KeypointFormat, min_score: float
    ) -> Image:
        go_on.wait()
        return draw(image, poses, keypoints, min_score)

    monkeypatch.setattr(video, "draw_poses", slow)
    path = tmp_path / "v.mp4"
    publisher = VideoPublisher(path, MPII16, block=False)
    for index in range(30):
        publisher.poses(make_result(index), {})
    assert publisher.dropped >= 30 - video.QUEUE_FRAMES - 1
    go_on.set()
    report = publisher.close()
    assert report == publisher.close()
    assert report.sent + report.dropped == 30
    assert len(read(path)) >= report.sent > 0  # a frame stands until the next one, for the pace


def people_in(path: Path) -> list[bool]:
    return [bool(np.abs(frame.astype(int) - 90).max() > 60) for frame in read(path)]


def test_a_live_film_keeps_real_time(
    tmp_path: Path, make_result: Callable[..., FrameResult]
) -> None:
    path = tmp_path / "v.mp4"
    publisher = VideoPublisher(path, MPII16, frame_rate=25)
    for index, persons in ((0, 1), (1, 0), (4, 1), (5, 0), (7, 1)):
        publisher.poses(make_result(index, persons=persons), {})
    report = publisher.close()
    assert (report.sent, report.dropped) == (5, 0)
    shown = people_in(path)
    assert shown == [True, False, False, False, True, False, False, True]


def test_a_film_of_a_file_has_one_picture_per_result(
    tmp_path: Path, make_result: Callable[..., FrameResult]
) -> None:
    path = tmp_path / "v.mp4"
    publisher = VideoPublisher(path, MPII16, frame_rate=25, block=True)
    for index in (0, 25, 50):  # stills that took a second each
        publisher.poses(make_result(index), {})
    publisher.close()
    assert len(read(path)) == 3


@pytest.mark.timeout(20)  # and not a second per frame
@pytest.mark.parametrize("block", [False, True])
def test_a_thread_that_died_holds_nobody_up_and_everything_is_counted(
    tmp_path: Path,
    make_result: Callable[..., FrameResult],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    block: bool,
) -> None:
    def fail(*_: object) -> Image:
        raise MemoryError("no space for a picture")

    monkeypatch.setattr(video, "draw_poses", fail)
    publisher = VideoPublisher(tmp_path / "v.mp4", MPII16, block=block)
    for index in range(100):
        publisher.poses(make_result(index), {})
    report = publisher.close()
    assert (report.sent, report.dropped) == (0, 100)
    assert publisher.dropped == 100
    [record] = caplog.records
    assert "v.mp4: ends here: MemoryError: no space for a picture" in record.getMessage()


@pytest.mark.timeout(20)
def test_a_stuck_encoder_holds_a_file_up_once(
    tmp_path: Path, make_result: Callable[..., FrameResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(video, "WAIT_S", 0.2)
    monkeypatch.setattr(video, "draw_poses", lambda image, *_: go_on.wait(20) and image)
    publisher = VideoPublisher(tmp_path / "v.mp4", MPII16, block=True)
    for index in range(200):
        publisher.poses(make_result(index), {})
    assert publisher.dropped >= 200 - video.QUEUE_FRAMES - 1
    go_on.set()
    report = publisher.close()
    assert report.sent + report.dropped == 200
    assert len(read(tmp_path / "v.mp4")) == report.sent > 0


def test_disk_full_in_the_middle(tmp_path: Path) -> None:
    """A file size limit acts like a full disk, and OpenCV says nothing."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    command = [sys.executable, "-c", limit + WRITE, str(tmp_path / "v.mp4"), "60"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "v.mp4").stat().st_size == 100_000
    assert done.stdout.split() == ["0", "60"]
    assert done.stderr == f"{tmp_path / 'v.mp4'}: cannot be read back: is the disk full?\n"


def test_a_file_that_was_taken_away(
    tmp_path: Path, make_result: Callable[..., FrameResult], caplog: pytest.LogCaptureFixture
) -> None:
    publisher = VideoPublisher(tmp_path / "v.mp4", MPII16)
    publisher.poses(make_result(), {})
    (tmp_path / "v.mp4").unlink()
    assert publisher.close() == publisher.close()
    assert (publisher.close().sent, publisher.dropped) == (0, 1)
    assert len(caplog.records) == 1


def test_playable_after_ctrl_c(tmp_path: Path, until: Callable[..., None]) -> None:
    path = tmp_path / "v.mp4"
    command = [sys.executable, "-c", WRITE, str(path), "1000000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        sent = int(process.stdout.readline().split()[0])
    assert len(read(path)) == sent > 0


def test_without_frames_no_file(tmp_path: Path) -> None:
    publisher = VideoPublisher(tmp_path / "v.mp4", MPII16)
    publisher.state({})
    publisher.stats({})
    assert publisher.close().sent == 0
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_opened(tmp_path: Path, make_result: Callable[..., FrameResult]) -> None:
    with pytest.raises(PublisherError, match="unknown kind of video, expected one of "):
        VideoPublisher(tmp_path / "v.txt", MPII16)
    (tmp_path / "old.mp4").touch()
    with pytest.raises(PublisherError, match="exists already"):
        VideoPublisher(tmp_path / "old.mp4", MPII16, overwrite=False)
    publisher = VideoPublisher(tmp_path / "v.mp4", MPII16)
    with pytest.raises(PublisherError, match="no video writer for 0x0 px"):
        publisher.poses(make_result(width=1, height=1), {})
    assert publisher.close().dropped == 1
    publisher = VideoPublisher(tmp_path / "later" / "v.mp4", MPII16)
    (tmp_path / "later").rmdir()
    with pytest.raises(PublisherError, match="tried mp4v, MJPG"):
        publisher.poses(make_result(), {})
