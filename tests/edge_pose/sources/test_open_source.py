from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_pose.errors import SourceError
from edge_pose.sources import SOURCES, _parse, open_source
from edge_pose.sources.images import ImagesSource
from edge_pose.sources.synthetic import SyntheticSource
from edge_pose.sources.video import VideoSource


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("0", {"device": 0}),
        ("camera:2", {"device": 2}),
        ("/dev/video3", {"device": 3}),
        ("camera:/dev/v4l/by-path/pci-0:14.0-usb-0:1:1.0", None),
        ("camera:0:1280x720", {"device": 0, "width": 1280, "height": 720}),
        ("/dev/video1:640x480@15", {"device": 1, "width": 640, "height": 480, "fps": 15.0}),
    ],
)
def test_cameras(uri: str, expected: dict[str, Any] | None) -> None:
    if expected is None:
        expected = {"device": uri.removeprefix("camera:")}
    assert _parse(uri, False) == ("camera", expected)


@pytest.mark.parametrize("uri", ["rtsp://cam/1", "http://h/x.mjpg", "https://h/a.mp4"])
def test_urls_are_streams(uri: str) -> None:
    assert _parse(uri, False) == ("stream", {"url": uri})


def test_synthetic() -> None:
    with open_source("synthetic:64x48@10x7") as source:
        assert isinstance(source, SyntheticSource)
        assert (source.frame_rate, source.frame_count, source.live) == (10.0, 7, False)
        frames = list(source.frames())
    assert len(frames) == 7
    assert frames[0].image.shape == (48, 64, 3)


def test_synthetic_defaults_and_realtime() -> None:
    with open_source("synthetic", realtime=True) as source:
        assert (source.frame_rate, source.frame_count, source.live) == (30.0, None, True)


def test_video_file(walking: Path) -> None:
    with open_source(str(walking)) as source:
        assert isinstance(source, VideoSource)
        assert not source.live
    with open_source(str(walking), realtime=True) as source:
        assert source.live


def test_folder_glob_and_image_file(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 40, 3), np.uint8))
    for uri in (tmp_path, tmp_path / "*.png", tmp_path / "a.png"):
        with open_source(str(uri)) as source:
            assert isinstance(source, ImagesSource)
            assert source.frame_count == 1


def test_existing_file_with_glob_characters_is_a_video(walking: Path, tmp_path: Path) -> None:
    file = tmp_path / "take[1].mp4"
    file.write_bytes(walking.read_bytes())
    with open_source(str(file)) as source:
        assert source.frame_count == 175


def test_leaving_the_block_closes(walking: Path) -> None:
    with open_source(str(walking)) as source:
        frames = source.frames()
        next(frames)
    assert list(frames) == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nothing.mp4", "nothing.mp4: no such file"),
        ("photos/", "photos: no such file"),
        ("synthetic:big", "synthetic:big: write synthetic:WIDTHxHEIGHT@FPSxFRAMES"),
        ("synthetic:1x1", "synthetic: size 1x1, allowed is 32 to 8192 px a side"),
        ("camera:front", "camera:front: not a camera, write for example camera:0"),
        ("shots/*.jpg", "shots/*.jpg: no images found"),
        ("ftp://h/a.mp4", "ftp://h/a.mp4: unknown kind of address"),
        ("", "source '': give a camera index, a file"),
        ("a\0b", "source 'a\\x00b': give a camera index"),
        ("x" * 5000, ": cannot be read: "),
    ],
)
def test_errors_are_one_line(
    uri: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError) as caught:
        open_source(uri)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("entry", SOURCES.values())
def test_every_entry_can_be_imported(entry: str) -> None:
    module, _, name = entry.partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_package_loads_no_opencv() -> None:
    code = "import sys, edge_pose.sources; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
