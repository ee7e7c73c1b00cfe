"""OKS, box overlap and average precision, by hand and against pycocotools."""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from edge_pose.metrics.average_precision import CocoResult
from edge_pose.metrics.oks import (
    Annotated,
    Detections,
    annotated_from_coco,
    box_overlap,
    evaluate_boxes,
    evaluate_keypoints,
    oks,
)
from edge_pose.skeleton import COCO17, MPII16, KeypointFormat

K = 17
KEYPOINT_STATS = (
    "ap", "ap50", "ap75", "ap_medium", "ap_large",
    "ar", "ar50", "ar75", "ar_medium", "ar_large",
)  # fmt: skip
BOX_STATS = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar_1", "ar_10", "ar", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip


def annotation(keypoints: Any, bbox: Any, **more: Any) -> dict[str, Any]:
    """Return a COCO annotation of visible keypoints and a box x, y, w, h."""
    points = np.concatenate([keypoints, np.full((len(keypoints), 1), 2)], axis=1)
    return {
        "keypoints": points.ravel().tolist(),
        "num_keypoints": len(points),
        "bbox": list(bbox),
        "area": float(bbox[2] * bbox[3]),
        "iscrowd": 0,
        **more,
    }


@dataclass
class Scenes:
    """Pictures with annotations and detections, in COCO's and in edge_pose's form."""

    annotations: list[list[dict[str, Any]]] = field(default_factory=list)
    keypoints: list[Detections] = field(default_factory=list)
    boxes: list[Detections] = field(default_factory=list)

    @property
    def truth(self) -> list[Annotated]:
        return [annotated_from_coco(entries) for entries in self.annotations]


def random_scenes(seed: int, pictures: int, people: int, found: int) -> Scenes:
    """Return people of all sizes, crowds, people without keypoints, duplicates and false finds."""
    rng = np.random.default_rng(seed)
    scenes = Scenes()
    for _ in range(pictures):
        entries = []
        for _ in range(rng.integers(0, people + 1)):
            size = np.exp(rng.uniform(2.5, 5.5, 2))
            corner = rng.uniform(0, 300, 2)
            points = corner + rng.uniform(size=(K, 2)) * size
            entry = annotation(points.round(2), [*corner.round(2), *size.round(2)])
            entry["area"] *= rng.uniform(0.3, 1)
            visible = rng.integers(0, 3, K) if rng.uniform() < 0.8 else np.zeros(K, int)
            entry["keypoints"][2::3] = visible.tolist()
            entry["num_keypoints"] = int((visible > 0).sum())
            entry["iscrowd"] = int(rng.uniform() < 0.15)
            entries.append(entry)
        poses, boxes = [], []
        for _ in range(rng.integers(0, found + 1) if rng.uniform() < 0.9 else 0):
            if entries and rng.uniform() < 0.8:
                entry = entries[rng.integers(len(entries))]
                box = np.array(entry["bbox"])
                pose = np.array(entry["keypoints"]).reshape(K, 3)[:, :2]
                spread = rng.choice([0.0, 0.01, 0.03, 0.1])
                pose = pose + rng.normal(size=(K, 2)) * box[2:] * spread
                box = box + rng.normal(size=4) * box[[2, 3, 2, 3]] * spread
                box[2:] = np.maximum(box[2:], 1)
            else:
                box = np.array([*rng.uniform(0, 300, 2), *np.exp(rng.uniform(2.5, 5.5, 2))])
                pose = box[:2] + rng.uniform(size=(K, 2)) * box[2:]
            poses.append(pose)
            boxes.append([*box[:2], *(box[:2] + box[2:])])
        scores = rng.uniform(size=len(poses)).round(1)  # with ties
        scenes.annotations.append(entries)
        scenes.keypoints.append((np.array(poses).reshape(-1, K, 2), scores))
        scenes.boxes.append((np.array(boxes).reshape(-1, 4), scores))
    return scenes


def pycocotools_stats(scenes: Scenes, kind: str) -> list[float]:
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = COCO(), COCO()
    ids = range(1, len(scenes.annotations) + 1)
    annotations = [
        {"id": 0, "category_id": 1, "image_id": image, **entry}
        for image, entries in zip(ids, scenes.annotations, strict=True)
        for entry in entries
    ]
    results = []
    for image, (poses, scores), (boxes, _) in zip(ids, scenes.keypoints, scenes.boxes, strict=True):
        for pose, (x1, y1, x2, y2), score in zip(poses, boxes, scores, strict=True):
            result = {"image_id": image, "category_id": 1, "score": float(score), "iscrowd": 0}
            if kind == "keypoints":
                (left, top), (right, bottom) = pose.min(axis=0), pose.max(axis=0)
                points = np.concatenate([pose, np.ones((K, 1))], axis=1)
                result["keypoints"] = points.ravel().tolist()
                result["area"] = (right - left) * (bottom - top)
            else:
                result["bbox"] = [x1, y1, x2 - x1, y2 - y1]
                result["area"] = (x2 - x1) * (y2 - y1)
            results.append(result)
    for coco, entries in ((truth, annotations), (found, results)):
        coco.dataset = {
            "images": [{"id": image} for image in ids],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [{**entry, "id": i} for i, entry in enumerate(entries, 1)],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
    evaluation = COCOeval(truth, found, kind)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def assert_equal(result: CocoResult, names: tuple[str, ...], expected: list[float]) -> None:
    ours = {name: getattr(result, name) for name in names}
    theirs = {n: math.nan if v == -1 else v for n, v in zip(names, expected, strict=True)}
    assert ours == pytest.approx(theirs, abs=1e-6, nan_ok=True)


CASES = [(seed, 6, 5, 8) for seed in range(6)] + [
    (100, 1, 1, 2),  # hardly anything
    (101, 4, 0, 5),  # nobody is there
    (102, 4, 4, 0),  # nobody is found
    (103, 3, 25, 40),  # more than twenty poses
    (104, 2, 20, 200),  # more than a hundred boxes
]


@pytest.mark.parametrize(("seed", "pictures", "people", "found"), CASES)
def test_keypoints_as_pycocotools(seed: int, pictures: int, people: int, found: int) -> None:
    scenes = random_scenes(seed, pictures, people, found)
    expected = pycocotools_stats(scenes, "keypoints")
    result = evaluate_keypoints(scenes.truth, scenes.keypoints)
    assert_equal(result, KEYPOINT_STATS, expected)
    assert math.isnan(result.ap_small)
    if seed < 100:
        assert 0.05 < result.ap < 0.95  # the scenes are worth measuring


@pytest.mark.parametrize(("seed", "pictures", "people", "found"), CASES)
def test_boxes_as_pycocotools(seed: int, pictures: int, people: int, found: int) -> None:
    scenes = random_scenes(seed, pictures, people, found)
    expected = pycocotools_stats(scenes, "bbox")
    result = evaluate_boxes(scenes.truth, scenes.boxes)
    assert_equal(result, BOX_STATS, expected)
    if seed < 100:
        assert 0.05 < result.ap < 0.95


def one_person(size: float = 100.0) -> Annotated:
    points = np.random.default_rng(0).uniform(0, size, (K, 2))
    return annotated_from_coco([annotation(points, [0, 0, size, size])])


@pytest.mark.parametrize("keypoint_format", [COCO17, MPII16])
def test_oks_by_hand(keypoint_format: KeypointFormat) -> None:
    k = len(keypoint_format.keypoints)
    points = np.random.default_rng(0).uniform(0, 50, (k, 2))
    truth = annotated_from_coco([annotation(points, [0, 0, 50, 80])])
    moved = points + np.array([3, 4])
    expected = np.mean([math.exp(-25 / (2 * 4000 * (2 * s) ** 2)) for s in keypoint_format.sigmas])
    found = oks(np.stack([points, moved]), truth, keypoint_format.sigmas)
    assert found == pytest.approx(np.array([[1.0], [expected]]))


def test_only_annotated_keypoints_count() -> None:
    truth = one_person()
    truth.visible[0, 1:] = False
    moved = truth.keypoints + np.where(truth.visible[..., None], 0.0, 1e3)
    assert oks(moved, truth, COCO17.sigmas) == pytest.approx(np.ones((1, 1)))


def test_without_keypoints_the_doubled_box_counts() -> None:
    truth = one_person()
    truth.visible[:] = False
    inside, outside = np.full((K, 2), -99.0), np.full((K, 2), 203.0)
    expected = np.mean([math.exp(-18 / (2 * 1e4 * (2 * s) ** 2)) for s in COCO17.sigmas])
    found = oks(np.stack([inside, outside]), truth, COCO17.sigmas)
    assert found == pytest.approx(np.array([[1.0], [expected]]))


def test_box_overlap_by_hand() -> None:
    truth = annotated_from_coco(
        [annotation(np.zeros((1, 2)), [0, 0, 10, 10], iscrowd=crowd) for crowd in (0, 1)]
    )
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [3, 3, 3, 3]], np.float32)
    assert box_overlap(boxes, truth) == pytest.approx(
        np.array([[1, 1], [50 / 150, 50 / 100], [0, 0], [0, 0]])
    )


def test_average_precision_by_hand() -> None:
    # Two people of 100×100 px; found: the first, nothing, the second, in this order.
    truth = [annotated_from_coco([annotation(np.zeros((1, 2)), [x, 0, 100, 100])]) for x in (0, 9)]
    found = [
        (np.array([[0.0, 0, 100, 100], [300, 300, 400, 400]]), np.array([0.9, 0.8])),
        (np.array([[9.0, 0, 109, 100]]), np.array([0.7])),
    ]
    result = evaluate_boxes(truth, found)
    # Precision 1 up to recall 0.5 (51 of the 101 recalls), then 2/3.
    assert result.ap == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert [result.ap50, result.ap75, result.ap_large] == pytest.approx([result.ap] * 3)
    assert result.ar == result.ar_1 == result.ar50 == 1.0
    assert math.isnan(result.ap_medium)
    assert (result.n_pictures, result.n_truth) == (2, 2)


def test_the_order_of_overlap_thresholds() -> None:
    truth = [annotated_from_coco([annotation(np.zeros((1, 2)), [0, 0, 100, 100])])]
    found = [(np.array([[0.0, 0, 100, 72]]), np.array([0.5]))]  # overlap 0.72: five of ten
    result = evaluate_boxes(truth, found)
    assert (result.ap, result.ap50, result.ap75) == (pytest.approx(0.5), 1.0, 0.0)
    assert (result.ar, result.ar50, result.ar75) == (0.5, 1.0, 0.0)


def test_a_pose_that_is_not_a_number_is_wrong() -> None:
    truth = one_person()
    good = (truth.keypoints, np.array([0.5]))
    assert evaluate_keypoints([truth], [good]).ap == 1.0
    broken = (np.concatenate([truth.keypoints * np.nan, truth.keypoints]), np.array([0.9, 0.5]))
    assert evaluate_keypoints([truth], [broken]).ap == pytest.approx(0.5)


def test_nothing_at_all() -> None:
    for result in (evaluate_keypoints([], []), evaluate_boxes([], [])):
        assert math.isnan(result.ap)
        assert math.isnan(result.ar_10)
        assert (result.n_pictures, result.n_truth) == (0, 0)


def test_as_many_pictures_must_be_found_as_annotated() -> None:
    with pytest.raises(ValueError, match="shorter"):
        evaluate_keypoints([one_person()], [])
