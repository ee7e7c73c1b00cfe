"""Labelled pictures in their owners' layouts, and what is said when they are damaged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_pose.errors import UsageError
from training.datasets import DatasetError
from training.datasets.classification import load_labelled

ROWS = 60


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """Data folder with cifar100/cifar-100-binary/; row i: labels i % 20 and i, R = i, G, B."""
    folder = tmp_path / "cifar100" / "cifar-100-binary"
    folder.mkdir(parents=True)
    (folder / "fine_label_names.txt").write_text("".join(f"thing_{i}\n" for i in range(100)))
    for part, count in (("train", ROWS), ("test", 3)):
        rows = np.zeros((count, 3074), np.uint8)
        rows[:, 0], rows[:, 1] = np.arange(count) % 20, np.arange(count)
        planes = rows[:, 2:].reshape(count, 3, 32, 32)
        planes[:, 0] = np.arange(count)[:, None, None]
        planes[:, 1] = np.arange(32)[:, None]  # green: the line
        planes[:, 2] = 100 + np.arange(32)  # blue: the column
        (folder / f"{part}.bin").write_bytes(rows.tobytes())
    return tmp_path


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Data folder with imagenet/: 18 pictures each of three classes, one each in val."""
    for part, count in (("train", 18), ("val", 1)):
        for label, wnid in enumerate(("n01440764", "n01443537", "n02085620")):
            folder = tmp_path / "imagenet" / part / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                picture = np.full((30 + i, 40, 3), 100 * label, np.uint8)
                data = cv2.imencode(".jpg", picture)[1].tobytes()
                (folder / f"{wnid}_{i:02d}.JPEG").write_bytes(data)
            (folder / "notes.txt").write_text("no picture")
    return tmp_path


def test_rows_of_cifar100(cifar: Path) -> None:
    train = load_labelled("cifar100", cifar, "train")
    assert (train.names[0], train.names[99], len(train.names)) == ("thing_0", "thing_99", 100)
    assert [p.label for p in train.pictures] == [p.index for p in train.pictures] == [*range(ROWS)]
    image = train.pictures[41].pixels()
    assert (image.shape, image.dtype) == ((32, 32, 3), np.uint8)
    assert image[5, 7].tolist() == [107, 5, 41]  # BGR at line 5, column 7
    assert image.flags.c_contiguous


def test_the_folder_may_be_the_data_set_itself(cifar: Path) -> None:
    inner = cifar / "cifar100" / "cifar-100-binary"
    for file in inner.iterdir():
        file.rename(inner.parent / file.name)
    inner.rmdir()
    assert len(load_labelled("cifar100", cifar, "test").pictures) == 3


def test_a_fixed_slice_and_the_test_part_are_held_out(cifar: Path, imagenet: Path) -> None:
    for name, data in (("cifar100", cifar), ("imagenet", imagenet)):
        train = load_labelled(name, data, "train").pictures
        assert [p.index for p in train if p.held_out] == [24]
        assert all(p.held_out for p in load_labelled(name, data, "test").pictures)


def test_folders_of_imagenet(imagenet: Path) -> None:
    train = load_labelled("imagenet", imagenet, "train")
    assert train.names == ("n01440764", "n01443537", "n02085620")
    assert [p.label for p in train.pictures] == [0] * 18 + [1] * 18 + [2] * 18
    image = train.pictures[20].pixels()
    assert image.shape == (32, 40, 3)
    assert abs(int(image[3, 3, 1]) - 100) <= 2
    assert [p.label for p in load_labelled("imagenet", imagenet, "test").pictures] == [0, 1, 2]


def test_validation_pictures_keep_the_labels_of_the_training_part(imagenet: Path) -> None:
    for file in (imagenet / "imagenet" / "val" / "n01440764").iterdir():
        file.unlink()
    (imagenet / "imagenet" / "val" / "n01440764").rmdir()
    test = load_labelled("imagenet", imagenet, "test")
    assert [p.label for p in test.pictures] == [1, 2]
    (imagenet / "imagenet" / "val" / "n09999999").mkdir()
    with pytest.raises(DatasetError, match=r"n09999999: no class of .*train, which has 3"):
        load_labelled("imagenet", imagenet, "test")
    (imagenet / "imagenet" / "train").rename(imagenet / "elsewhere")  # val alone has all it needs
    test = load_labelled("imagenet", imagenet, "test")
    assert test.names == ("n01443537", "n02085620", "n09999999")


def test_damaged_rows_are_one_line(cifar: Path) -> None:
    folder = cifar / "cifar100" / "cifar-100-binary"
    file = folder / "train.bin"
    good = file.read_bytes()
    wrong = bytearray(good)
    wrong[2 * 3074 + 1] = 100
    coarse = bytearray(good)
    coarse[3074] = 20
    for data, message in (
        (good[:-1], r"train\.bin: found 184439 bytes, expected a multiple of 3074"),
        (b"", r"train\.bin: found 0 bytes"),
        (bytes(wrong), r"train\.bin: row 2 \(byte 6148\): found labels 2 and 100, expected less"),
        (bytes(coarse), r"train\.bin: row 1 \(byte 3074\): found labels 20 and 1, "),
    ):
        file.write_bytes(data)
        with pytest.raises(DatasetError, match=message) as error:
            load_labelled("cifar100", cifar, "train")
        assert "\n" not in str(error.value)
    file.unlink()
    with pytest.raises(DatasetError, match=r"train\.bin: not found"):
        load_labelled("cifar100", cifar, "train")
    file.mkdir()
    with pytest.raises(DatasetError, match=r"train\.bin: cannot be read"):
        load_labelled("cifar100", cifar, "train")
    (folder / "fine_label_names.txt").write_text("apple\nbear\n")
    with pytest.raises(DatasetError, match="found 2 class names, expected 100"):
        load_labelled("cifar100", cifar, "test")


def test_damaged_pictures_are_one_line(imagenet: Path) -> None:
    picture = load_labelled("imagenet", imagenet, "train").pictures[0]
    assert isinstance(picture.image, Path)
    good = picture.image.read_bytes()
    for data in (good[: len(good) - 30], good[:-2], good[:20], b"no picture at all", b""):
        picture.image.write_bytes(data)
        with pytest.raises(DatasetError, match=f"00.JPEG: found {len(data)} bytes, not a whole"):
            picture.pixels()
    picture.image.write_bytes(good + b"\0\0")  # trailing bytes hurt nobody
    assert picture.pixels().shape == (30, 40, 3)
    picture.image.unlink()
    with pytest.raises(DatasetError, match=r"00\.JPEG: cannot be read: No such file"):
        picture.pixels()


def test_missing_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data set for classifiers 'cifar10': .*did you mean"):
        load_labelled("cifar10", tmp_path, "train")
    with pytest.raises(DatasetError, match="expected a folder with cifar100, imagenet in it"):
        load_labelled("imagenet", tmp_path, "train")
    (tmp_path / "imagenet" / "val").mkdir(parents=True)
    with pytest.raises(DatasetError, match="train: not found, expected a folder with a folder per"):
        load_labelled("imagenet", tmp_path, "train")
    (tmp_path / "imagenet" / "val" / "flat.JPEG").touch()  # as the owners' archive unpacks
    with pytest.raises(DatasetError, match=r"val: no picture in a folder per class, such as n0"):
        load_labelled("imagenet", tmp_path, "test")
