from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_pose.errors import SourceError
from edge_pose.sources.images import ImagesSource


def write(file: Path, value: int, size: tuple[int, int] = (40, 30)) -> None:
    assert cv2.imwrite(str(file), np.full((size[1], size[0], 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, value in ((10, 100), (2, 20), (1, 10)):
        write(tmp_path / f"shot{number}.png", value)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    return tmp_path


def values(source: ImagesSource) -> list[tuple[int, int]]:
    return [(frame.index, int(frame.image[0, 0, 0])) for frame in source.frames()]


def test_folder_in_natural_order(folder: Path) -> None:
    source = ImagesSource(str(folder))
    assert (source.live, source.frame_rate, source.frame_count) == (False, None, 3)
    assert values(source) == [(0, 10), (1, 20), (2, 100)]


def test_frames_are_independent_stills(folder: Path) -> None:
    frames = list(ImagesSource(str(folder)).frames())
    assert [frame.media_s for frame in frames] == [None, None, None]
    assert all(frame.capture_s > 0 for frame in frames)
    assert frames[0].captured_s <= frames[2].captured_s
    assert frames[0].captured_at.tzinfo is not None


def test_glob_and_single_file(folder: Path) -> None:
    assert values(ImagesSource(str(folder / "shot1*.png"))) == [(0, 10), (1, 100)]
    assert values(ImagesSource(str(folder / "shot2.png"))) == [(0, 20)]


def test_recursive_glob(folder: Path) -> None:
    (folder / "more").mkdir()
    write(folder / "more" / "a.JPG", 50)
    source = ImagesSource(str(folder / "**" / "*.*"))
    assert source.frame_count == 4


def test_folder_without_images_names_the_suffixes(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(SourceError, match=r"no images found \(looked for \.bmp, \.jpeg, \.jpg"):
        ImagesSource(str(tmp_path))


def test_corrupt_images_are_skipped_and_counted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (folder / "shot2.png").read_bytes()
    (folder / "shot2.png").write_bytes(whole[: len(whole) // 2])
    (folder / "shot3.jpg").write_text("this is no image")
    (folder / "shot4.jpg").touch()
    source = ImagesSource(str(folder))
    assert values(source) == [(0, 10), (4, 100)]
    assert source.skipped == 3
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 3
    assert all("skipped, not an image that can be decoded" in line for line in warnings)


def test_image_that_vanishes_is_skipped(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = ImagesSource(str(folder))
    (folder / "shot1.png").unlink()
    assert values(source) == [(1, 20), (2, 100)]
    assert "cannot be read: No such file" in caplog.text


def test_only_corrupt_images_is_an_error(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(SourceError, match="none of the 2 images can be decoded"):
        list(ImagesSource(str(tmp_path)).frames())


def test_gray_alpha_and_16_bit_become_bgr(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((30, 40), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.full((30, 40, 4), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "c.png"), np.full((30, 40, 3), 90 * 257, np.uint16))
    frames = list(ImagesSource(str(tmp_path)).frames())
    assert [(f.image.shape, f.image.dtype) for f in frames] == [((30, 40, 3), np.uint8)] * 3
    assert all(frame.image[0, 0, 0] == 90 for frame in frames)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    file = tmp_path / "phone.jpg"
    write(file, 90)
    data = file.read_bytes()
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)  # orientation: turn by 90° clockwise
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + struct.pack(">H", 1) + entry + bytes(4)
    exif = b"Exif\x00\x00" + tiff
    file.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    (frame,) = ImagesSource(str(file)).frames()
    assert frame.image.shape == (40, 30, 3)


def test_close_ends_the_iteration(folder: Path) -> None:
    source = ImagesSource(str(folder))
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []
