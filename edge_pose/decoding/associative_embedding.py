"""People from heatmaps and tags: associative embedding.

Newell, Huang and Deng, "Associative Embedding", NIPS 2017 (https://arxiv.org/abs/1611.05424), with
the filling in of missing keypoints of HigherHRNet (https://arxiv.org/abs/1908.10357). The network
gives every px a tag: keypoints of one person have like tags, those of two people have not. Tags
have no meaning of their own, only their distance counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_pose.decoding.assignment import Costs, Indices, assign
from edge_pose.decoding.fusion import fuse_outputs, fuse_scales
from edge_pose.decoding.peaks import local_maxima
from edge_pose.errors import ArtifactError
from edge_pose.skeleton import KeypointFormat
from edge_pose.types import FloatArray

__all__ = ["ADJUSTMENTS", "decode_poses", "fuse_outputs", "fuse_scales", "torso_first"]

NMS_RADIUS = 2  # heatmap px: a window of 5×5
ADJUSTMENTS = ("parabola", "quarter", "none")
NO_MATCH = 1e4  # cost of a pair whose tags are too far apart: more than all the others together
# Trunk and head are found best, so they open the groups; limbs join from the inside to the outside.
_TORSO_FIRST = (
    ("thorax", "upper_neck", "nose", "head_top", "eye", "ear"),
    ("shoulder",),
    ("pelvis", "hip"),
    ("elbow",),
    ("wrist",),
    ("knee",),
    ("ankle",),
)


def torso_first(keypoint_format: KeypointFormat) -> tuple[int, ...]:
    """Return the keypoints' indices in the order in which they are grouped."""

    def rank(index: int) -> tuple[int, int]:
        name = keypoint_format.keypoints[index].removeprefix("left_").removeprefix("right_")
        places = [i for i, names in enumerate(_TORSO_FIRST) if name in names]
        return (places[0] if places else len(_TORSO_FIRST), index)

    return tuple(sorted(range(len(keypoint_format.keypoints)), key=rank))


@np.errstate(over="ignore", invalid="ignore")  # a network gone wild is no reason for warnings
def decode_poses(
    heatmaps: FloatArray,
    tags: FloatArray,
    *,
    stride: float,
    order: Sequence[int] | None = None,
    max_people: int = 30,
    detection_threshold: float = 0.1,
    tag_threshold: float = 1.0,
    adjust: str = "parabola",
    refine: bool = True,
) -> list[tuple[FloatArray, FloatArray]]:
    """Find the people of one picture.

    Args:
        heatmaps: (K, h, w) float32, "gaussian" (height 1 where a keypoint is).
        tags: (K, h, w) or (K, h, w, T) float32.
        stride: input px per heatmap px.
        order: all K keypoints in the order of grouping, see `torso_first`; None: by index.
        max_people: of these the best by mean score are returned; also peaks taken per heatmap.
        detection_threshold: peaks below are not taken.
        tag_threshold: keypoints join a person whose mean tag is nearer than this.
        adjust: position within the px: "parabola" through the logarithms of the neighbours (exact
            for a Gaussian), "quarter" of a px to the higher neighbour (as published) or "none".
        refine: look for every person's missing keypoints where its tag is, however low the peak.

    Returns:
        per person keypoints (K, 2) float32 in input px and scores (K,) float32 in [0, 1], best
        mean score first; empty where nobody is. Keypoints that were not found have the score 0
        and lie at the mean of those that were.

    Raises:
        ArtifactError: shapes or `order` do not fit, or `adjust` is unknown.
    """
    maps = _Maps.of(heatmaps, tags)
    order = tuple(range(len(heatmaps))) if order is None else order
    if sorted(order) != list(range(len(heatmaps))):
        raise ArtifactError(
            f"order: found {tuple(order)}, expected each of 0 to {len(heatmaps) - 1}"
        )
    if adjust not in ADJUSTMENTS:
        raise ArtifactError(f"adjust '{adjust}': expected one of {', '.join(ADJUSTMENTS)}")
    peaks = _Peaks.of(maps, detection_threshold, max_people)
    groups = _group(peaks, order, tag_threshold)
    place = np.where(groups >= 0, peaks.place[groups], -1) if len(groups) else groups
    if refine:
        for person in place:
            _fill_missing(maps, person, tag_threshold)
    scores = np.where(place >= 0, maps.heat_at(place), 0).clip(0, 1).astype(np.float32)
    best = np.argsort(-scores.mean(axis=1), kind="stable")[:max_people]
    return [(_keypoints(maps, place[i], adjust, stride), scores[i]) for i in best]


@dataclass(frozen=True, slots=True)
class _Maps:
    """Heatmaps (K, h, w) and tags (K, h, w, T) in which every value is finite."""

    heat: FloatArray
    tags: FloatArray

    @classmethod
    def of(cls, heatmaps: FloatArray, tags: FloatArray) -> _Maps:
        if tags.ndim == heatmaps.ndim:
            tags = tags[..., None]
        if heatmaps.ndim != 3 or tags.shape[:-1] != heatmaps.shape:
            raise ArtifactError(
                f"heatmaps and tags: found shapes {heatmaps.shape} and {tags.shape},"
                " expected (K, h, w) and (K, h, w) or (K, h, w, T)"
            )
        if not np.isfinite(heatmaps.sum() + tags.sum()):  # rare: pay for it only then
            sound = np.isfinite(heatmaps) & np.isfinite(tags).all(axis=-1)
            heatmaps = np.where(sound, heatmaps, 0).astype(np.float32)
            tags = np.where(sound[..., None], tags, 0).astype(np.float32)
        return cls(heatmaps, tags)

    def heat_at(self, place: Indices) -> FloatArray:
        """Heat (..., K) at the flat px (..., K) of every keypoint's own map."""
        count = len(self.heat)
        return self.heat.reshape(count, -1)[np.arange(count), place]


@dataclass(frozen=True, slots=True)
class _Peaks:
    """What the heatmaps offer: P peaks, those of one keypoint together, best first."""

    keypoint: Indices  # (P,)
    place: Indices  # (P,) flat px of the heatmap
    scores: FloatArray  # (P,)
    tags: FloatArray  # (P, T)

    @classmethod
    def of(cls, maps: _Maps, threshold: float, limit: int) -> _Peaks:
        k, y, x = local_maxima(maps.heat, NMS_RADIUS, threshold)
        scores = maps.heat[k, y, x]
        order = np.lexsort((-scores, k))
        first = np.searchsorted(k[order], k[order])  # where this keypoint's peaks begin
        order = order[np.arange(len(order)) - first < limit]
        k, y, x = k[order], y[order], x[order]
        return cls(k, y * maps.heat.shape[2] + x, scores[order], maps.tags[k, y, x])


def _group(peaks: _Peaks, order: Sequence[int], tag_threshold: float) -> Indices:
    """Return which peak (or -1) is which keypoint of whom, (people, K)."""
    groups = np.full((0, len(order)), -1)
    total = np.zeros((0, peaks.tags.shape[1]))  # sum of the tags per person
    for keypoint in order:
        found = np.flatnonzero(peaks.keypoint == keypoint)
        counts = (groups >= 0).sum(axis=1)
        means = total / counts[:, None]
        distance = np.linalg.norm(peaks.tags[found][:, None] - means, axis=2)
        rows, columns = assign(_cost(distance, peaks.scores[found], tag_threshold))
        near = distance[rows, columns] < tag_threshold
        rows, columns = rows[near], columns[near]
        groups[columns, keypoint] = found[rows]
        total[columns] += peaks.tags[found[rows]]
        new = np.delete(found, rows)
        added = np.full((len(new), len(order)), -1)
        added[:, keypoint] = new
        groups = np.concatenate([groups, added])
        total = np.concatenate([total, peaks.tags[new]])
    return groups


def _cost(distance: Costs, scores: FloatArray, tag_threshold: float) -> Costs:
    """Rounded tag distance first, as published; among equals near tags and high scores."""
    cost = 100 * np.round(distance) + distance - scores[:, None]
    return np.where(distance < tag_threshold, cost, NO_MATCH)


def _fill_missing(maps: _Maps, person: Indices, tag_threshold: float) -> None:
    """Put missing keypoints (-1) where their heat is highest among px of the person's tag."""
    found, missing = np.flatnonzero(person >= 0), np.flatnonzero(person < 0)
    if not len(missing):
        return
    count, _, _, dimensions = maps.tags.shape
    flat = maps.tags.reshape(count, -1, dimensions)
    mean = flat[found, person[found]].mean(axis=0)
    for keypoint in missing:
        distance = np.sqrt(((flat[keypoint] - mean) ** 2).sum(axis=1))
        value = maps.heat[keypoint].ravel() - np.round(distance)
        best = int(value.argmax())
        if distance[best] < tag_threshold and maps.heat[keypoint].flat[best] > 0:
            person[keypoint] = best


def _keypoints(maps: _Maps, person: Indices, adjust: str, stride: float) -> FloatArray:
    """Return (K, 2) input px of one person's px (K,), -1 where missing."""
    found = np.flatnonzero(person >= 0)
    height, width = maps.heat.shape[1:]
    y, x = np.divmod(person[found], width)
    flat = maps.heat.reshape(len(maps.heat), -1)
    shift_x = np.where((x > 0) & (x < width - 1), _shift(flat, found, y * width + x, 1, adjust), 0)
    shift_y = np.where(
        (y > 0) & (y < height - 1), _shift(flat, found, y * width + x, width, adjust), 0
    )
    # Heatmap px i covers input px [i*stride, (i+1)*stride): its centre is (i+0.5)*stride-0.5.
    points = (np.stack([x + shift_x, y + shift_y], axis=1) + 0.5) * stride - 0.5
    keypoints = np.tile(points.mean(axis=0), (len(person), 1))
    keypoints[found] = points
    return keypoints.astype(np.float32)


def _shift(flat: FloatArray, row: Indices, px: Indices, step: int, adjust: str) -> Costs:
    """Return how far the peak lies from the px's centre, heatmap px; `step` to the next px."""
    last = flat.shape[1] - 1
    around = [flat[row, (px + offset).clip(0, last)] for offset in (-step, 0, step)]
    if adjust == "none":
        return np.zeros(len(px))
    if adjust == "quarter":
        return np.asarray(0.25 * np.sign(around[2] - around[0]), np.float64)
    before, center, after = np.log(np.maximum(around, 1e-6, dtype=np.float64))
    curvature = 2 * center - before - after
    peaked = curvature > 1e-9
    shift = (after - before) / (2 * np.where(peaked, curvature, 1))
    return np.where(peaked, shift, 0).clip(-0.5, 0.5)
