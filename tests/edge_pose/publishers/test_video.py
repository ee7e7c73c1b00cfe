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
    assert len(read(path)) == report.sent > 0


def test_playable_after_ctrl_c(tmp_path: Path, until: Callable[..., None]) -> None:
    path = tmp_path / "v.mp4"
    code = (
        "import sys, numpy as np\n"
        "from datetime import datetime, timezone\n"
        "from pathlib import Path\n"
        "from edge_pose.publishers.video import VideoPublisher\n"
        "from edge_pose.skeleton import MPII16, KeypointFormat\n"
        "from edge_pose.types import Frame, FrameResult\n"
        "rng = np.random.default_rng(0)\n"
        "publisher = VideoPublisher(Path(sys.argv[1]), MPII16, block=True)\n"
        "try:\n"
        "    for index in range(10**9):\n"
        "        image = rng.integers(0, 255, (120, 160, 3), np.uint8)\n"
        "        frame = Frame(image, index, datetime.now(timezone.utc), 0.0)\n"
        "        publisher.poses(FrameResult(frame, ()), {})\n"
        "        if index == 20: print('going', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print(publisher.close().sent)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        sent = int(process.stdout.readline())
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
