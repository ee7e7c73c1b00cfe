"""Teacher's boxes merged with annotated people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from edge_pose.errors import UsageError
from edge_pose.types import Image
from training.datasets import DatasetError
from training.datasets.boxes import annotated_pictures, as_boxes, read_labels
from training.detection import label_boxes as labels
from training.detection.detectors import Boxes

BODY = [10, 10, 50, 110]
ELSEWHERE = [200, 10, 240, 110]


def merged(
    found: list[list[float]], scores: list[float], whole: bool = True
) -> tuple[list[list[float]], list[list[float]]]:
    boxes, ignore = labels.merge(
        as_boxes(found), np.array(scores, np.float32), as_boxes([BODY]), np.array([whole])
    )
    return boxes.tolist(), ignore.tolist()


def test_the_teacher_counts_where_it_is_sure() -> None:
    close = [8, 8, 52, 115]
    assert merged([close, ELSEWHERE], [0.9, 0.4]) == ([close, ELSEWHERE], [])


def test_an_uncovered_person_keeps_its_joints_box() -> None:
    assert merged([ELSEWHERE], [0.9]) == ([ELSEWHERE, BODY], [])
    assert merged([], []) == ([BODY], [])
    assert merged([ELSEWHERE], [0.9], whole=False) == ([ELSEWHERE], [BODY])


def test_joints_and_a_doubtful_box_that_agree_are_a_person() -> None:
    close, closer = [8, 8, 52, 125], [10, 8, 52, 112]
    for whole in (True, False):
        assert merged([close, closer], [0.2, 0.15], whole) == ([closer], [])
    assert merged([close], [0.1]) == ([BODY], [])


def test_a_part_of_an_uncovered_person_is_ignored() -> None:
    head = [20, 10, 40, 40]
    assert merged([head], [0.9]) == ([BODY], [head])


def test_doubtful_boxes_are_ignored_and_hopeless_ones_forgotten() -> None:
    body, double, part = [8, 8, 52, 110], [8, 8, 52, 100], [20, 20, 30, 30]
    found = [body, double, part, ELSEWHERE]
    assert merged(found, [0.9, 0.2, 0.3, 0.3]) == ([body], [ELSEWHERE])
    assert merged([ELSEWHERE], [0.1]) == ([BODY], [])


class Teacher:
    """Finds everybody at the left of the picture, and counts its calls."""

    calls = 0

    def __init__(self, file: Path, sides: tuple[int, ...]) -> None:
        assert sides == (320, 640)

    def __call__(self, image: Image) -> Boxes:
        Teacher.calls += 1
        return as_boxes([[0, 0, 3.14159, 60]]), np.array([0.8], np.float32)


def run(file: Path, data: Path, out: Path, *names: str) -> None:
    with Progress(disable=True) as progress:
        labels.label_boxes(file, data, out, names, progress)


def test_a_data_set_is_labelled(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "RtmDet", Teacher)
    monkeypatch.setattr(Teacher, "calls", 0)
    monkeypatch.setattr(labels, "WRITE_EVERY", 10)
    teacher, out = tmp_path / "teacher.onnx", tmp_path / "boxes.jsonl"
    teacher.write_bytes(b"teacher")
    run(teacher, generated, out, "mpii")
    meta, entries = read_labels(out)
    assert meta["teacher"] == "teacher.onnx"
    assert len(entries) == Teacher.calls == 24  # none of the eight validation pictures
    for picture in annotated_pictures("mpii", generated)[:24]:
        value = entries["mpii", picture.image.name]
        assert value["size"] == [160, 160]
        assert value["boxes"][0] == [0, 0, 3.1, 60]
        own = picture.boxes[0].clip(-0.5, 159.5)
        assert value["boxes"][1] == pytest.approx(own, abs=0.06)
        assert value["ignore"] == []

    text = out.read_text()
    out.write_text("".join(text.splitlines(keepends=True)[:11]))  # stopped after ten
    run(teacher, generated, out, "mpii")
    assert out.read_text() == text
    assert Teacher.calls == 24 + 14


def test_what_cannot_be_labelled(generated: Path, tmp_path: Path) -> None:
    teacher, out = tmp_path / "teacher.onnx", tmp_path / "boxes.jsonl"
    with pytest.raises(UsageError, match="no such ONNX model"):
        run(teacher, generated, out, "mpii")
    teacher.write_bytes(b"teacher")
    with pytest.raises(UsageError, match="takes no teacher's boxes, only mpii, lspet"):
        run(teacher, generated, out, "coco")
    out.write_text('{"schema":"edge_pose.boxes/1","teacher":"another"}\n')
    with pytest.raises(DatasetError, match="choose another file"):
        run(teacher, generated, out, "mpii")
