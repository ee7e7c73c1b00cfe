"""Label cleaning with a teacher that knows the truth, and corrections there and back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge_pose.preprocess import apply_affine, invert_affine, region_affine
from edge_pose.skeleton import MPII16
from edge_pose.stick_figure import LimbAngles, stick_figure
from edge_pose.types import FloatArray, Image
from training.checkpoint import pack_persons
from training.commands.clean import clean_command
from training.datasets import DatasetError, Person, load_dataset
from training.datasets.base import joints_crop, torso_px
from training.pictures.corrections import correction_sheet
from training.samples import MIRROR
from training.teaching.clean import CleanOptions, clean, consensus, decide
from training.teaching.corrections import (
    Correction,
    apply_corrections,
    read_corrections,
    write_corrections,
)

ALL = np.ones(16, np.bool_)
SURE = np.ones(16, np.float32)
CROP_PADDING = 1.4


def body() -> FloatArray:
    """A person of about 200 px, facing the camera with spread limbs."""
    limbs = LimbAngles(0.4, 0.3, 1.2, 1.4)
    points = 200 * stick_figure(limbs, limbs, lean_rad=0.0, head_rad=0.0)
    return (points - points.min(axis=0) + 20).astype(np.float32)


def person(
    keypoints: FloatArray, image: Path = Path("nowhere"), index: int = 7, **changes: Any
) -> Person:
    present = changes.pop("present", ALL)
    center, side = joints_crop(keypoints, present, CROP_PADDING)
    values = {"dataset": "lspet", "held_out": False, "others": np.zeros((0, 2), np.float32)}
    return Person(
        index=index,
        image=image,
        keypoints=keypoints,
        present=present,
        center=center,
        side=side,
        unit_px=torso_px(keypoints, present),
        **{**values, **changes},
    )


class KnowingTeacher:
    """Finds the colour of each joint's disc in the crop; so it sees where the crop is from."""

    name = "knowing"
    input_size = (256, 256)
    crop_factor = 1.2
    knows = ALL

    def __init__(self, trained_on: Mapping[str, str] | None = None) -> None:
        self.trained_on = trained_on or {}
        self.crops = 0

    def keypoints(self, crops: Image) -> tuple[FloatArray, FloatArray]:
        self.crops += len(crops)
        points, scores = np.zeros((len(crops), 16, 2), np.float32), np.zeros((len(crops), 16))
        # A mirrored person has its left where the right was: the second crop is mirrored.
        for i, crop in enumerate(crops):
            for joint in range(16):
                shown = MIRROR[joint] if i % 2 else joint
                rows, columns = np.nonzero(np.abs(crop[:, :, 2].astype(int) - level(shown)) <= 3)
                if len(rows):
                    points[i, joint] = np.median(columns), np.median(rows)
                    scores[i, joint] = 0.9
        return points, scores.astype(np.float32)


def level(joint: int) -> int:
    return 60 + 12 * joint


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A disc per joint of `body`, each with a red of its own."""
    image = np.zeros((260, 260, 3), np.uint8)
    for joint, (x, y) in enumerate(body()):
        cv2.circle(image, (round(float(x)), round(float(y))), 5, (0, 0, level(joint)), cv2.FILLED)
    file = tmp_path / "picture.png"
    cv2.imwrite(str(file), image)
    return file


def test_consensus_by_hand() -> None:
    points = np.array([[[0, 0], [0, 0]], [[8, 0], [8, 0]]], np.float32)
    scores = np.array([[0.8, 0.9], [0.8, 0.3]], np.float32)
    mean, confidence = consensus(points, scores, spread_px=4)
    assert mean.tolist() == pytest.approx(np.array([[4, 0], [2, 0]]))
    # Both 4 px from the mean: exp(-1/2); 2 and 6 px: mean square 20.
    assert confidence.tolist() == pytest.approx([0.8 * np.exp(-0.5), 0.6 * np.exp(-20 / 32)])


def test_good_labels_are_kept() -> None:
    labels = body() + np.random.default_rng(1).normal(0, 3, (16, 2)).astype(np.float32)
    assert decide(person(labels), body(), SURE, CleanOptions()) == []


def test_a_label_that_is_far_off_is_dropped_where_the_teacher_is_confident() -> None:
    labels, wrist = body(), MPII16.index("left_wrist")
    labels[wrist] += (30, 90)
    (found,) = decide(person(labels), body(), SURE, CleanOptions())
    assert (found.joint, found.action, found.index) == ("left_wrist", "drop", 7)
    assert np.allclose(found.old, labels[wrist], atol=0.06)
    assert np.allclose(found.new, body()[wrist], atol=0.06)
    unit = max(torso_px(body(), ALL), 0.2 * person(labels).side)
    assert found.distance == pytest.approx(np.hypot(30, 90) / unit, abs=1e-3)
    (moved,) = decide(person(labels), body(), SURE, CleanOptions(replace=True))
    assert moved == replace(found, action="replace")
    doubtful = SURE.copy()
    doubtful[wrist] = 0.3
    assert decide(person(labels), body(), doubtful, CleanOptions(gate=0.31)) == []
    assert decide(person(labels), body(), doubtful, CleanOptions(gate=0.3)) == [
        replace(found, confidence=0.3)
    ]
    assert decide(person(labels), body(), SURE, CleanOptions(swaps_only=True)) == []


def test_a_body_that_was_labelled_the_wrong_way_is_swapped() -> None:
    labels = body()[MIRROR]
    doubtful = SURE.copy()
    doubtful[[0, 5]] = 0.1  # the ankles follow the rest
    present = ALL.copy()
    present[MPII16.index("left_elbow")] = False  # half a pair cannot be swapped
    judged = CleanOptions(swaps_only=True)
    found = decide(person(labels, present=present), body(), doubtful, judged)
    assert {c.joint for c in found if c.action == "drop"} == {"right_elbow"}
    expected = {n for n in MPII16.keypoints if n.startswith(("left", "right")) and "elbow" not in n}
    assert {c.joint for c in found if c.action == "swap"} == expected
    for correction in found:
        assert np.allclose(correction.new, body()[MPII16.index(correction.joint)], atol=0.06)


def test_sides_of_some_limbs_are_left_alone() -> None:
    labels, knees = body(), [MPII16.index("left_knee"), MPII16.index("right_knee")]
    labels[knees] = labels[knees[::-1]]
    assert decide(person(labels), body(), SURE, CleanOptions()) == []
    # All pairs look swapped but one, whose label fits: no whole body was labelled the wrong way.
    labels = body()[MIRROR]
    labels[knees] = body()[knees]
    assert decide(person(labels), body(), SURE, CleanOptions()) == []


def test_a_teacher_that_sees_somebody_else_changes_nothing() -> None:
    assert decide(person(body()), body() + np.float32(150), SURE, CleanOptions()) == []


def test_clean_looks_at_the_picture_and_leaves_held_out_persons(picture: Path) -> None:
    wrong = body()
    wrong[0] += (40, -100)
    persons = [
        person(body(), picture, 1),
        person(wrong, picture, 2),
        person(wrong, picture, 3, held_out=True),
        person(body()[MIRROR], picture, 4),
    ]
    report = clean(persons, [KnowingTeacher()], CleanOptions())
    assert (report.dataset, report.n_persons, report.n_joints) == ("lspet", 3, 48)
    by_person = {i: [c for c in report.corrections if c.index == i] for i in (1, 2, 3, 4)}
    assert [len(by_person[i]) for i in (1, 2, 3, 4)] == [0, 1, 0, 12]
    assert by_person[2][0].joint == "right_ankle"
    assert np.abs(np.array(by_person[2][0].new) - body()[0]).max() < 1.5
    summary = report.summary()
    assert summary["joints_percent"] == {"drop": 2.08, "swap": 25.0}
    assert summary["persons_changed_percent"] == 66.67
    assert summary["actions"]["right_ankle"] == {"drop": 1, "swap": 1}
    assert summary["labels"]["head_top"] == summary["judged"]["head_top"] == 3
    json.dumps(summary)


def test_an_unsure_teacher_looks_again_at_turned_pictures(picture: Path) -> None:
    sure, unsure = KnowingTeacher(), KnowingTeacher()
    clean([person(body(), picture)], [sure], CleanOptions(turn_below=0.5))
    report = clean([person(body(), picture)], [unsure], CleanOptions(turn_below=1))
    assert (sure.crops, unsure.crops) == (2, 8)
    assert report.corrections == ()


def test_each_of_several_teachers_must_find_it(picture: Path) -> None:
    wrong = body()
    wrong[0] += (40, -100)
    persons = [person(body(), picture, 1), person(wrong, picture, 2)]
    first, second = KnowingTeacher(), KnowingTeacher()
    report = clean(persons, [first, second], CleanOptions())
    assert [c.index for c in report.corrections] == [2]
    assert (first.crops, second.crops) == (4, 2)  # the second is asked about the second person

    blind = KnowingTeacher()
    blind.knows = ALL.copy()
    blind.keypoints = lambda crops: (  # type: ignore[method-assign]
        np.zeros((len(crops), 16, 2), np.float32),
        np.zeros((len(crops), 16), np.float32),
    )
    assert clean(persons, [KnowingTeacher(), blind], CleanOptions()).corrections == ()


def test_only_teachers_that_never_saw_the_person_are_asked(picture: Path) -> None:
    first, second = (KnowingTeacher({"lspet": pack_persons(seen)}) for seen in ([1, 2], [3]))
    persons = [person(body(), picture, index) for index in (1, 2, 3)]
    strict = CleanOptions(unseen_only=True)
    assert clean(persons, [first, second], strict).n_persons == 3
    assert (first.crops, second.crops) == (2, 4)
    assert clean(persons, [first], strict).n_persons == 1


@pytest.mark.parametrize("name", ["fixes.jsonl", "fixes.jsonl.gz"])
def test_corrections_come_back_and_are_applied(tmp_path: Path, name: str) -> None:
    labels = body()
    labels[0] += (300, 0)
    before = person(labels)
    assert before.side > 1.5 * person(body()).side
    fixes = [
        Correction(7, "right_ankle", "drop", *_places(labels[0], body()[0]), 1.5, 0.9),
        Correction(7, "right_knee", "swap", *_places(labels[1], labels[4]), 0.9, 0.8),
        Correction(7, "left_knee", "swap", *_places(labels[4], labels[1]), 0.9, 0.8),
        Correction(7, "head_top", "replace", *_places(labels[9], labels[9] + 9), 0.9, 0.8),
    ]
    file = tmp_path / name
    write_corrections(file, "lspet", fixes, {"teachers": ["t"]})
    assert read_corrections(file) == ("lspet", fixes)
    written = file.read_bytes()
    write_corrections(file, "lspet", fixes, {"teachers": ["t"]})
    assert file.read_bytes() == written

    others = [replace(before, index=8), replace(before, held_out=True)]
    others.append(replace(before, dataset="mpii"))
    (after, *same) = apply_corrections([before, *others], file)
    assert same == others
    assert not after.present[0]
    assert after.present[1:].all()
    assert np.allclose(after.keypoints[[1, 4]], labels[[4, 1]], atol=0.06)
    assert np.allclose(after.keypoints[9], labels[9] + 9, atol=0.06)
    assert after.side == pytest.approx(person(body()).side, rel=0.05)  # the crop fits again
    assert np.allclose(after.center, person(body()).center, atol=6)
    assert np.array_equal(before.keypoints, labels)  # what was loaded is not changed


def _places(old: FloatArray, new: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
    (a, b), (c, d) = ([round(float(v), 1) for v in point] for point in (old, new))
    return (a, b), (c, d)


def test_corrections_of_other_labels_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "fixes.jsonl"
    fix = Correction(7, "right_ankle", "drop", (1.0, 2.0), (3.0, 4.0), 1.5, 0.9)
    write_corrections(file, "lspet", [fix], {})
    with pytest.raises(DatasetError, match="right_ankle of lspet 7 is elsewhere in these annot"):
        apply_corrections([person(body())], file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "not a file of corrections"),
        (b'{"schema": "edge_pose.corrections/2"}', "schema 'edge_pose.corrections/2', expected"),
        (b'{"schema": "edge_pose.corrections/1", "dataset": "lspet"}\n{"index": 1}', "not a file"),
        (b"\xff\xfe", "not a file of corrections"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    for name in ("fixes.jsonl", "fixes.jsonl.gz"):
        file = tmp_path / name
        if content is not None:
            file.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        with pytest.raises(DatasetError, match=message) as error:
            read_corrections(file)
        assert "\n" not in str(error.value)
    file.write_bytes(b"no gzip")
    with pytest.raises(DatasetError, match=r"fixes\.jsonl\.gz: "):
        read_corrections(file)


def test_the_sheet_shows_the_largest_first(picture: Path, tmp_path: Path) -> None:
    wrong = body()
    wrong[0] += (40, -100)
    persons = [person(wrong, picture, 1), person(body()[MIRROR], picture, 2)]
    report = clean(persons, [KnowingTeacher()], CleanOptions())
    sheet = correction_sheet(persons, report.corrections, tmp_path / "sheet.png")
    assert cv2.imread(str(sheet)).shape[0] > 200


def test_the_command_writes_what_a_recipe_reads(
    generated: Path, tiny_artifact: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fixes.jsonl.gz"
    arguments = [
        "mpii", "--data", str(generated), "--teacher", str(tiny_artifact), "--out", str(out),
        "--limit", "3", "--gate", "0.1", "--far", "0.3", "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(clean_command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["dataset"], summary["n_persons"]) == ("mpii", 3)
    dataset, corrections = read_corrections(out)
    assert dataset == "mpii"
    assert len(corrections) == sum(n for a in summary["actions"].values() for n in a.values())
    persons = load_dataset("mpii", generated)
    changed = apply_corrections(persons, out)
    dropped = sum(c.action == "drop" for c in corrections)
    assert sum(p.present.sum() for p in persons) - sum(p.present.sum() for p in changed) == dropped


def test_points_of_a_view_return_to_the_picture() -> None:
    # `clean` maps joints back through the inverse of the crop's matrix; mirrored ones, too.
    region = person(body()).region((64, 64))
    for mirror in (False, True):
        matrix = region_affine(region, (64, 64), mirror=mirror)
        there = apply_affine(body(), matrix)
        assert np.allclose(apply_affine(there, invert_affine(matrix)), body(), atol=1e-3)
