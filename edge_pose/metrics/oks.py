"""COCO's accuracy of keypoints (by object keypoint similarity) and of boxes (by their overlap)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_pose.metrics.average_precision import (
    CocoResult,
    Floats,
    Mask,
    Overlaps,
    average_precision,
)
from edge_pose.skeleton import COCO17, KeypointFormat

__all__ = [
    "Annotated",
    "CocoResult",
    "annotated_from_coco",
    "average_precision",
    "box_overlap",
    "evaluate_boxes",
    "evaluate_keypoints",
    "oks",
]

MAX_POSES, MAX_BOXES = 20, 100  # detections per picture that COCO counts
Detections = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Of one picture: keypoints (D, K, 2) or boxes (D, 4) x1, y1, x2, y2 in px, and scores (D,)."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """The M annotated people of one picture.

    Attributes:
        bbox_xyxy: (M, 4) px.
        area_px2: (M,) COCO's area: that of the person's outline, not of the box.
        crowd: (M,) True where the annotation is a group of people; ignored in the measurement.
        keypoints: (M, K, 2) px; K may be 0 where only boxes are measured.
        visible: (M, K) True where annotated; people without any are ignored for keypoints.
    """

    bbox_xyxy: NDArray[np.floating]
    area_px2: NDArray[np.floating]
    crowd: Mask
    keypoints: NDArray[np.floating]
    visible: Mask

    @property
    def labelled(self) -> Mask:
        """(M,) True for people with at least one annotated keypoint."""
        return np.asarray(self.visible.any(axis=1), np.bool_)


def annotated_from_coco(annotations: Sequence[Mapping[str, Any]]) -> Annotated:
    """Read one picture's entries of `annotations` in a COCO file of persons.

    Raises:
        KeyError, ValueError: an entry lacks "bbox" or "area", or is malformed.
    """
    boxes = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
    values = [np.asarray(a.get("keypoints", ()), np.float64) for a in annotations]
    keypoints = (
        np.array(values).reshape(len(annotations), -1, 3) if annotations else np.zeros((0, 0, 3))
    )
    return Annotated(
        bbox_xyxy=np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        area_px2=np.array([a["area"] for a in annotations], np.float64),
        crowd=np.array([bool(a.get("iscrowd", 0)) for a in annotations], np.bool_),
        keypoints=keypoints[..., :2],
        visible=keypoints[..., 2] > 0,
    )


def oks(keypoints: NDArray[np.floating], truth: Annotated, sigmas: Sequence[float]) -> Floats:
    """Return the object keypoint similarity of every pose to every annotated person.

    The mean over the annotated keypoints of exp(-d² / (2·area·(2·sigma)²)). For a person without
    annotated keypoints d is the distance to the box doubled on every side, as in pycocotools.

    Args:
        keypoints: (D, K, 2) px.
        truth: of M people.
        sigmas: (K,) standard deviations, see KeypointFormat.

    Returns:
        (D, M) in [0, 1].
    """
    if not len(truth.crowd):
        return np.zeros((len(keypoints), 0))
    low, high = truth.bbox_xyxy[:, :2].astype(np.float64), truth.bbox_xyxy[:, 2:].astype(np.float64)
    low, high = (2 * low - high)[:, None], (2 * high - low)[:, None]  # (M, 1, 2)
    points = keypoints.astype(np.float64)[:, None]  # (D, 1, K, 2)
    to_box = np.maximum(low - points, 0) + np.maximum(points - high, 0)
    labelled = truth.labelled
    delta = np.where(labelled[:, None, None], points - truth.keypoints, to_box)
    spread = (2 * np.asarray(sigmas)) ** 2 * (truth.area_px2[:, None] + np.spacing(1)) * 2  # (M, K)
    similarity = np.exp(-(delta**2).sum(axis=3) / spread)
    weight = truth.visible | ~labelled[:, None]
    mean: Floats = (similarity * weight).sum(axis=2) / weight.sum(axis=1)
    return mean


def box_overlap(boxes: NDArray[np.floating], truth: Annotated) -> Floats:
    """Return intersection over union, (D, M); for a crowd intersection over the found box.

    Args:
        boxes: (D, 4) x1, y1, x2, y2 in px.
        truth: of M people.
    """
    found, there = boxes.astype(np.float64)[:, None], truth.bbox_xyxy.astype(np.float64)
    low = np.maximum(found[..., :2], there[:, :2])
    common = np.maximum(np.minimum(found[..., 2:], there[:, 2:]) - low, 0).prod(axis=2)
    area, truth_area = _box_area(found), _box_area(there)
    union = np.where(truth.crowd, area, area + truth_area - common)
    return np.where(union > 0, common / np.where(union > 0, union, 1), 0)


def evaluate_keypoints(
    truth: Sequence[Annotated],
    found: Sequence[Detections],
    keypoint_format: KeypointFormat = COCO17,
) -> CocoResult:
    """Return COCO's keypoint figures; `ap_small` and `ar_small` are NaN, COCO has none.

    Args:
        truth: per picture.
        found: per picture, in the same order: keypoints (D, K, 2) and one score per pose (D,).
        keypoint_format: for its sigmas.

    Raises:
        ValueError: as many pictures or keypoints were not found as annotated.
    """
    pictures = []
    for people, (keypoints, scores) in zip(truth, found, strict=True):
        similarity = oks(keypoints, people, keypoint_format.sigmas)
        low, high = keypoints.min(axis=1), keypoints.max(axis=1)
        area = (high - low).astype(np.float64).prod(axis=1)
        pictures.append(_overlaps(similarity, scores, area, people, ~people.labelled))
    nan = float("nan")
    return replace(average_precision(pictures, MAX_POSES), ap_small=nan, ar_small=nan)


def evaluate_boxes(truth: Sequence[Annotated], found: Sequence[Detections]) -> CocoResult:
    """Return COCO's box figures.

    Args:
        truth: per picture.
        found: per picture, in the same order: boxes (D, 4) x1, y1, x2, y2 and scores (D,).

    Raises:
        ValueError: there are not as many pictures in both.
    """
    pictures = []
    for people, (boxes, scores) in zip(truth, found, strict=True):
        nobody = np.zeros(len(people.crowd), np.bool_)
        area = _box_area(boxes.astype(np.float64))
        pictures.append(_overlaps(box_overlap(boxes, people), scores, area, people, nobody))
    return average_precision(pictures, MAX_BOXES)


def _box_area(boxes: Floats) -> Floats:
    area: Floats = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    return area


def _overlaps(
    overlap: Floats, scores: NDArray[np.floating], area: Floats, people: Annotated, ignored: Mask
) -> Overlaps:
    return Overlaps(
        overlap=overlap,
        scores=scores.astype(np.float64),
        area=area,
        truth_area=people.area_px2.astype(np.float64),
        ignored=ignored,
        crowd=people.crowd,
    )
