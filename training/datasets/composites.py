"""Pictures of several people, made by pasting single people onto a background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_pose.preprocess import Affine, apply_affine, crop
from edge_pose.skeleton import KeypointFormat
from edge_pose.types import FloatArray, Image
from training.datasets.scenes import Scene, joint_boxes
from training.samples import read_image

CUT_MARGIN = (0.12, 0.25)  # around the joints, over the longer side of their box
HEIGHT_SHARE = (0.4, 1.0)  # longer side of a pasted person's box over the canvas's shorter side
CANVAS_PX = 480  # longer side of a background
OUTLINE_THICKNESS = 0.5  # of a limb with some room, over the length of a long limb
SOFTNESS = 0.03  # half width of a soft edge, over the longer side of the cut
BLUR_PX = 24  # a background in which nobody may be recognised is reduced by this factor
TRUNK = ("right_shoulder", "left_shoulder", "left_hip", "right_hip")
# Where pelvis and thorax are not annotated, as in LSPET, the skeleton's own limbs fall apart.
EXTRA_LIMBS = (
    ("upper_neck", "right_shoulder"),
    ("upper_neck", "left_shoulder"),
    ("right_shoulder", "right_hip"),
    ("left_shoulder", "left_hip"),
)
CUT_OUTS = ("box", "soft box", "outline")


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture and what is known of the people in it.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        keypoints: (P, K, 2) float32 px.
        shown: (P, K) bool: annotated, and not hidden behind somebody pasted.
        unknown: (P, K) bool: not annotated, it may be anywhere in the person's box.
        boxes: (P, 4) float32 px, around the people's annotated joints.
        ignore: (B, 4) float32 px, in which people may be that nobody annotated.
    """

    image: Image
    keypoints: FloatArray
    shown: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    boxes: FloatArray
    ignore: FloatArray


def open_scene(scene: Scene) -> Picture:
    """Decode a scene's picture.

    Raises:
        DatasetError: it is missing or damaged.
    """
    image = read_image(scene.image)
    return Picture(
        image=image,
        keypoints=scene.keypoints,
        shown=scene.present,
        unknown=~scene.present,
        boxes=joint_boxes(scene.keypoints, scene.present),
        ignore=scene.unlabelled_in(image.shape[1]),
    )


def compose(
    background: Scene, people: Sequence[Scene], keypoints: KeypointFormat, rng: np.random.Generator
) -> Picture:
    """Paste the first person of each scene of `people` onto a background, at random places.

    The background keeps its own people and bystanders, unless it has places of which its
    annotations say nothing: then it is blurred until nobody can be recognised in it. Small people
    are pasted first. A joint that comes to lie under somebody else is no longer shown, and that is
    known.

    Raises:
        DatasetError: a picture is missing or damaged.
    """
    canvas = _canvas(background)
    shorter = min(canvas.image.shape[:2])
    low, high = HEIGHT_SHARE
    sides = np.sort(shorter * low * (high / low) ** rng.uniform(0, 1, len(people)))
    for person, side_px in zip(people, sides, strict=True):
        canvas = _paste(canvas, open_scene(person), float(side_px), keypoints, rng)
    return canvas


def _canvas(background: Scene) -> Picture:
    picture = open_scene(background)
    height, width = picture.image.shape[:2]
    zoom = CANVAS_PX / max(width, height)
    size = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    matrix = np.array([[zoom, 0, (zoom - 1) / 2], [0, zoom, (zoom - 1) / 2]])
    image = crop(picture.image, matrix, size)
    if len(background.unlabelled.boxes):
        few = (max(size[0] // BLUR_PX, 1), max(size[1] // BLUR_PX, 1))
        blurred = cv2.resize(image, few, interpolation=cv2.INTER_AREA)
        blurred = cv2.resize(blurred, size, interpolation=cv2.INTER_CUBIC)
        return _nobody(np.asarray(blurred, np.uint8), picture)
    return Picture(
        image=image,
        keypoints=apply_affine(picture.keypoints, matrix),
        shown=picture.shown.copy(),
        unknown=picture.unknown,
        boxes=_map_boxes(picture.boxes, matrix),
        ignore=_map_boxes(picture.ignore, matrix),
    )


def _map_boxes(boxes: FloatArray, matrix: Affine) -> FloatArray:
    return apply_affine(boxes.reshape(-1, 2, 2), matrix).reshape(-1, 4)


def _nobody(image: Image, like: Picture) -> Picture:
    return Picture(
        image=image,
        keypoints=like.keypoints[:0],
        shown=like.shown[:0].copy(),
        unknown=like.unknown[:0],
        boxes=like.boxes[:0],
        ignore=like.ignore[:0],
    )


def _paste(
    canvas: Picture,
    person: Picture,
    side_px: float,
    keypoints: KeypointFormat,
    rng: np.random.Generator,
) -> Picture:
    """Paste the first person of `person`, the longer side of his box `side_px` long."""
    height, width = canvas.image.shape[:2]
    x1, y1, x2, y2 = person.boxes[0].tolist()
    zoom = side_px / max(x2 - x1, y2 - y1, 1.0)
    target = rng.uniform(0, 1, 2) * (width, height)
    shift = target - zoom * np.array([x1 + x2, y1 + y2]) / 2
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    kind = CUT_OUTS[int(rng.integers(len(CUT_OUTS)))]
    box = _cut_box(person, float(rng.uniform(*CUT_MARGIN)))
    alpha = _cut_out(person, kind, _map_boxes(box, matrix)[0], matrix, (width, height), keypoints)
    pasted = crop(person.image, matrix, (width, height))
    weight = alpha[..., None]
    image = canvas.image + weight * (pasted.astype(np.float32) - canvas.image)
    xy = apply_affine(person.keypoints[:1], matrix)
    shown = person.shown[:1] & _covered(xy, alpha)
    within = np.clip(person.ignore, np.tile(box[:2], 2), np.tile(box[2:], 2))
    within = within[(within[:, :2] < within[:, 2:]).all(axis=1)]
    return Picture(
        image=np.asarray(image, np.uint8),
        keypoints=np.concatenate([canvas.keypoints, xy]),
        shown=np.concatenate([canvas.shown & ~_covered(canvas.keypoints, alpha), shown]),
        unknown=np.concatenate([canvas.unknown, person.unknown[:1]]),
        boxes=np.concatenate([canvas.boxes, _map_boxes(person.boxes[:1], matrix)]),
        ignore=np.concatenate([canvas.ignore, _map_boxes(within, matrix)]),
    )


def _covered(keypoints: FloatArray, alpha: FloatArray) -> NDArray[np.bool_]:
    """True where what is pasted prevails at a joint."""
    height, width = alpha.shape
    x, y = np.rint(np.clip(keypoints, -1, max(width, height))).astype(int).transpose(2, 0, 1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    hidden: NDArray[np.bool_] = inside & (alpha[y.clip(0, height - 1), x.clip(0, width - 1)] >= 0.5)
    return hidden


def _cut_box(person: Picture, margin: float) -> FloatArray:
    """Return (4,) px of the person's picture, what may be cut out of it."""
    height, width = person.image.shape[:2]
    # One px less than the picture: outside of it there is nothing to paste.
    limits = np.array([width - 1, height - 1] * 2, np.float32)
    box = joint_boxes(person.keypoints[:1], person.shown[:1], margin)[0]
    return np.asarray(np.clip(box, 0, limits), np.float32)


def _cut_out(
    person: Picture,
    kind: str,
    box: FloatArray,
    matrix: Affine,
    size: tuple[int, int],
    keypoints: KeypointFormat,
) -> FloatArray:
    """Draw (H, W) in [0, 1], how much of the person's picture comes onto the canvas.

    Args:
        person: whom to cut out.
        kind: one of CUT_OUTS.
        box: (4,) canvas px, what may be cut out.
        matrix: picture px -> canvas px.
        size: (W, H) of the canvas.
        keypoints: the person's format.
    """
    left, top, right, bottom = np.rint(box).astype(int).tolist()
    mask = np.zeros((size[1], size[0]), np.float32)
    cv2.rectangle(mask, (left, top), (right, bottom), 1.0, cv2.FILLED)
    if kind == "box":
        return mask
    side = max(right - left, bottom - top, 1)
    if kind == "outline":
        mask *= _outline(person, matrix, size, keypoints)
    width_px = 2 * int(SOFTNESS * side) + 1
    soft = np.asarray(cv2.blur(mask, (width_px, width_px)), np.float32)
    # Softened inwards only, for the same reason.
    return np.asarray(mask * np.clip(2 * soft - 1, 0, 1), np.float32)


def _outline(
    person: Picture, matrix: Affine, size: tuple[int, int], keypoints: KeypointFormat
) -> FloatArray:
    """Draw limbs, trunk and head with some room around them."""
    xy, shown = apply_affine(person.keypoints[0], matrix), person.shown[0]
    table = {name: i for i, name in enumerate(keypoints.keypoints)}
    joined = [(table[a], table[b]) for a, b in EXTRA_LIMBS if a in table and b in table]
    limbs = [(a, b) for a, b in (*keypoints.edges, *joined) if shown[a] and shown[b]]
    lengths = [float(np.linalg.norm(xy[a] - xy[b])) for a, b in limbs]
    thick = max(int(OUTLINE_THICKNESS * float(np.percentile(lengths or [0.0], 75))), 3)
    mask = np.zeros((size[1], size[0]), np.float32)
    points = np.rint(xy).astype(int)
    for a, b in limbs:
        cv2.line(mask, points[a].tolist(), points[b].tolist(), 1.0, thick)
    trunk = [table[name] for name in TRUNK]
    if shown[trunk].all():
        cv2.fillConvexPoly(mask, cv2.convexHull(points[trunk].astype(np.int32)), 1.0)
    return mask
