"""Drawn people in MPII's on-disk layout: data for tests and first steps, with no download.

A network that was trained on them finds drawn people and nothing else.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_pose.metrics.pck import HEAD_BOX_FACTOR
from edge_pose.skeleton import MPII16
from edge_pose.stick_figure import HEAD, LimbAngles, stick_figure
from edge_pose.types import FloatArray, Image
from training.datasets.base import DatasetError
from training.datasets.mpii import CENTER_SHIFT, PERSON_HEIGHT_PX

MARKER = "GENERATED.txt"
MISSING_SHARE = 0.05  # of the joints are marked as not annotated
JPEG_QUALITY = 90
HEAD_WIDTH = 0.7  # over its height


def write_generated(
    root: Path,
    n_train: int,
    n_val: int,
    seed: int = 1,
    size: tuple[int, int] = (320, 320),
    people: int = 1,
) -> None:
    """Write `root/mpii/`, pictures of drawn people; the last `n_val` are for validation.

    Args:
        root: data folder, as `training.datasets.load_dataset` takes it; made where missing.
        n_train: training pictures.
        n_val: validation pictures.
        seed: the same seed gives the same files, picture by picture.
        size: (w, h) px of the pictures.
        people: pictures have one person, two and so on up to so many, in turn, side by side.

    Raises:
        DatasetError: `root/mpii` holds something else, or cannot be written.
    """
    folder = root / "mpii"
    if (folder / "mpii_annotations.json").exists() and not is_generated(root):
        raise DatasetError(f"{folder}: holds another data set, choose another folder")
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        (folder / MARKER).write_text("Drawn people by edge_pose, not the MPII data set.\n", "utf-8")
        entries = []
        for index in range(n_train + n_val):
            rng = np.random.default_rng((seed, index))
            image, persons = draw_people(rng, size, 1 + index % people)
            name = f"generated_{index:06d}.jpg"
            parameters = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            encoded = cv2.imencode(".jpg", image, parameters)[1]
            (folder / "images" / name).write_bytes(encoded.tobytes())
            part = {"img_paths": name, "isValidation": float(index >= n_train)}
            entries += [{**part, **person} for person in persons]
        (folder / "mpii_annotations.json").write_text(json.dumps(entries), "utf-8")
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be written: {error.strerror}") from None


def is_generated(root: Path) -> bool:
    """True where `root/mpii` was written by `write_generated`."""
    return (root / "mpii" / MARKER).is_file()


def draw_person(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Image, dict[str, Any]]:
    """Draw one person into a new picture.

    Returns:
        (h, w, 3) uint8 BGR, and the annotation without file name and part.
    """
    image, persons = draw_people(rng, size, 1)
    return image, persons[0]


def draw_people(
    rng: np.random.Generator, size: tuple[int, int], count: int
) -> tuple[Image, list[dict[str, Any]]]:
    """Draw people side by side into a new picture; see `draw_person`."""
    width = size[0] // count
    places = [_place(rng, (width, size[1]), number * width) for number in range(count)]
    image = _background(rng, *size)
    for points, body_px in places:
        _draw(image, points, body_px, rng)
    persons = [_annotation(points, body_px, size, rng) for points, body_px in places]
    joints = [person["joint_self"] for person in persons]
    for number, person in enumerate(persons):
        person["joint_others"] = joints[:number] + joints[number + 1 :]
    return image, persons


def _place(rng: np.random.Generator, size: tuple[int, int], left: int) -> tuple[FloatArray, float]:
    """Return (16, 2) points within a strip of the picture and the height of the body, px."""
    body_px = float(rng.uniform(0.55, 0.85)) * min(size)
    points = _pose(rng) * body_px
    low, high = points.min(axis=0), points.max(axis=0)
    # Anywhere in the strip as long as a margin of the pose stays inside where it can.
    margin = 0.05 * body_px
    room = np.array(size) - (high - low) - 2 * margin
    points += margin - low + rng.uniform(0, 1, 2) * np.maximum(room, 0)
    return points + np.array([left, 0]), body_px


def _annotation(
    points: FloatArray, body_px: float, size: tuple[int, int], rng: np.random.Generator
) -> dict[str, Any]:
    inside = ((points > 0) & (points < np.array(size) - 1)).all(axis=1)
    missing = ~inside | (rng.random(len(points)) < MISSING_SHARE)
    joints = np.where(missing[:, None], 0.0, points)
    scale = body_px / PERSON_HEIGHT_PX
    x, y = (points.min(axis=0) + points.max(axis=0)) / 2
    return {
        "dataset": "generated",
        "img_width": size[0],
        "img_height": size[1],
        "objpos": [round(float(x), 2), round(float(y) - CENTER_SHIFT * scale, 2)],
        "scale_provided": round(scale, 5),
        "joint_self": [
            [round(float(a), 2), round(float(b), 2), float(not gone)]
            for (a, b), gone in zip(joints, missing, strict=True)
        ],
        "joint_missing": [int(gone) for gone in missing],
        "joint_others": [],
        "head_size": round(HEAD_BOX_FACTOR * HEAD * math.hypot(1, HEAD_WIDTH) * body_px, 3),
    }


def _pose(rng: np.random.Generator) -> FloatArray:
    """Return (16, 2) points around the pelvis in body heights, y down; facing the camera."""
    lean_rad, head_rad = float(rng.normal(0, 0.2)), float(rng.normal(0, 0.15))
    right, left = _limbs(rng), _limbs(rng)
    return stick_figure(right, left, lean_rad=lean_rad, head_rad=head_rad)


def _limbs(rng: np.random.Generator) -> LimbAngles:
    thigh = rng.uniform(-0.15, 0.9)
    shank = thigh - rng.uniform(0.0, 0.9)
    upper_arm = rng.uniform(0.1, 2.6)
    forearm = upper_arm + rng.uniform(-0.3, 1.8)
    return LimbAngles(thigh, shank, upper_arm, forearm)


def _background(rng: np.random.Generator, width: int, height: int) -> Image:
    """Return soft patches, some rectangles and grain."""
    patches = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    image = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(int(rng.integers(2, 7))):
        x1, x2 = sorted(int(v) for v in rng.integers(0, width, 2))
        y1, y2 = sorted(int(v) for v in rng.integers(0, height, 2))
        cv2.rectangle(image, (x1, y1), (x2, y2), _color(rng), cv2.FILLED)
    grain = rng.integers(-12, 13, (height, width, 1))
    return np.asarray(np.clip(image.astype(np.int16) + grain, 0, 255), np.uint8)


def _draw(image: Image, points: FloatArray, body_px: float, rng: np.random.Generator) -> None:
    """Draw limbs, trunk and head; arms and legs have a colour each, skin ends them."""
    named = dict(zip(MPII16.keypoints, (_xy(p) for p in points), strict=True))
    skin, shirt, trousers = _color(rng), _color(rng), _color(rng)
    thick = max(round(float(rng.uniform(0.04, 0.07)) * body_px), 2)
    corners = ("right_shoulder", "left_shoulder", "left_hip", "right_hip")
    for side in ("right", "left"):
        leg = [named[f"{side}_{joint}"] for joint in ("hip", "knee", "ankle")]
        cv2.polylines(image, [np.array(leg)], False, trousers, thick, cv2.LINE_AA)
        cv2.circle(image, leg[-1], max(thick // 2, 2), skin, cv2.FILLED, cv2.LINE_AA)
    cv2.fillConvexPoly(image, np.array([named[name] for name in corners]), shirt, cv2.LINE_AA)
    cv2.line(image, named["thorax"], named["upper_neck"], skin, thick, cv2.LINE_AA)
    for side in ("right", "left"):
        arm = [named[f"{side}_{joint}"] for joint in ("shoulder", "elbow", "wrist")]
        cv2.polylines(image, [np.array(arm)], False, shirt, thick, cv2.LINE_AA)
        cv2.circle(image, arm[-1], max(thick // 2, 2), skin, cv2.FILLED, cv2.LINE_AA)
    neck, top = (points[MPII16.index(name)] for name in ("upper_neck", "head_top"))
    length = float(np.hypot(*(top - neck)))
    axes = (max(round(length / 2), 1), max(round(HEAD_WIDTH * length / 2), 1))
    angle_deg = math.degrees(math.atan2(*reversed((top - neck).tolist())))
    cv2.ellipse(image, _xy((neck + top) / 2), axes, angle_deg, 0, 360, skin, -1, cv2.LINE_AA)


def _color(rng: np.random.Generator) -> tuple[int, int, int]:
    blue, green, red = (int(v) for v in rng.integers(0, 256, 3))
    return blue, green, red


def _xy(point: FloatArray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
