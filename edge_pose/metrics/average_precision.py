"""COCO's average precision and recall, for any measure of overlap.

Lin et al., ECCV 2014; the rules are those of pycocotools' COCOeval with one category: detections
are matched to the truth greedily by score, per overlap threshold and area range; precision is read
off its envelope at 101 recalls. Equal to it, but many thresholds and area ranges at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {  # px², both ends included
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}


@dataclass(frozen=True, slots=True)
class CocoResult:
    """COCO's figures in [0, 1]; NaN where no annotated instance counts.

    Attributes:
        ap: precision, mean over the overlap thresholds 0.5, 0.55 … 0.95.
        ap50: at the threshold 0.5.
        ap75: at 0.75.
        ap_small: of areas up to 32² px²; COCO has none for keypoints.
        ap_medium: of 32² to 96² px².
        ap_large: from 96² px².
        ar: highest recall, mean over the thresholds.
        ar50: at 0.5.
        ar75: at 0.75.
        ar_small: as above.
        ar_medium: as above.
        ar_large: as above.
        ar_1: `ar` with one detection per picture.
        ar_10: with ten.
        n_pictures: pictures measured.
        n_truth: annotated instances that count.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar: float
    ar50: float
    ar75: float
    ar_small: float
    ar_medium: float
    ar_large: float
    ar_1: float
    ar_10: float
    n_pictures: int
    n_truth: int


@dataclass(frozen=True, slots=True)
class Overlaps:
    """One picture: D detections against M annotated instances.

    Attributes:
        overlap: (D, M) OKS or intersection over union, in [0, 1].
        scores: (D,).
        area: (D,) px² of the detections.
        truth_area: (M,) px².
        ignored: (M,) True where finding the instance is neither right nor wrong.
        crowd: (M,) True where more than one detection may match; these are ignored, too.
    """

    overlap: Floats
    scores: Floats
    area: Floats
    truth_area: Floats
    ignored: Mask
    crowd: Mask


def average_precision(pictures: Sequence[Overlaps], max_detections: int) -> CocoResult:
    """Measure the detections of a data set.

    Args:
        pictures: one per picture, those without detections or truth included.
        max_detections: of a picture the best so many count: COCO takes 20 for keypoints, 100 for
            boxes.
    """
    matches = _join([_match(picture, max_detections) for picture in pictures])
    precision, recall = _curves(matches)
    at = {round(float(t), 2): i for i, t in enumerate(THRESHOLDS)}
    ap, ar = precision.mean(axis=(1, 2)).tolist(), recall.mean(axis=1).tolist()
    fewer = [_curves(matches.best(limit))[1][0].mean() for limit in (1, 10)]
    return CocoResult(
        ap=ap[0],
        ap50=float(precision[0, at[0.5]].mean()),
        ap75=float(precision[0, at[0.75]].mean()),
        ap_small=ap[1],
        ap_medium=ap[2],
        ap_large=ap[3],
        ar=ar[0],
        ar50=float(recall[0, at[0.5]]),
        ar75=float(recall[0, at[0.75]]),
        ar_small=ar[1],
        ar_medium=ar[2],
        ar_large=ar[3],
        ar_1=float(fewer[0]),
        ar_10=float(fewer[1]),
        n_pictures=len(pictures),
        n_truth=int(matches.n_truth[0]),
    )


@dataclass(frozen=True, slots=True)
class _Matches:
    """What became of D detections, for A area ranges and T thresholds."""

    scores: Floats  # (D,)
    rank: NDArray[np.intp]  # (D,) place among the detections of the picture
    right: Mask  # (A, T, D)
    wrong: Mask  # (A, T, D); neither right nor wrong: ignored
    n_truth: NDArray[np.intp]  # (A,) instances that count

    def best(self, limit: int) -> _Matches:
        """Keep the first `limit` of every picture."""
        kept = self.rank < limit
        return _Matches(
            self.scores[kept],
            self.rank[kept],
            self.right[..., kept],
            self.wrong[..., kept],
            self.n_truth,
        )


def _join(parts: Sequence[_Matches]) -> _Matches:
    nothing = np.zeros((len(AREAS), len(THRESHOLDS), 0), np.bool_)
    return _Matches(
        np.concatenate([np.zeros(0), *(p.scores for p in parts)]),
        np.concatenate([np.zeros(0, np.intp), *(p.rank for p in parts)]),
        np.concatenate([nothing, *(p.right for p in parts)], axis=2),
        np.concatenate([nothing, *(p.wrong for p in parts)], axis=2),
        np.sum([np.zeros(len(AREAS), np.intp), *(p.n_truth for p in parts)], axis=0),
    )


def _outside(area: Floats) -> Mask:
    """Tell which areas (M,) lie outside of which range, (A, M)."""
    low, high = np.array(list(AREAS.values())).T
    outside: Mask = (area < low[:, None]) | (area > high[:, None])
    return outside


def _match(picture: Overlaps, max_detections: int) -> _Matches:
    order = np.argsort(-picture.scores, kind="stable")[:max_detections]
    overlap = np.nan_to_num(picture.overlap[order])
    ignored = _outside(picture.truth_area) | picture.ignored | picture.crowd  # (A, M)
    shape = (len(AREAS), len(THRESHOLDS))
    matched = np.zeros((*shape, len(order)), np.bool_)
    of_ignored = np.zeros_like(matched)
    free = np.ones((*shape, overlap.shape[1]), np.bool_)
    least = np.minimum(THRESHOLDS, 1 - 1e-10)
    near = np.flatnonzero(overlap.max(axis=1, initial=0) >= least[0])
    area_range, threshold = np.indices(shape)
    for i in near:
        possible = free & (overlap[i] >= least[:, None])
        counting = possible & ~ignored[:, None]
        found = counting.any(axis=2)  # an ignored instance is taken only where no other is left
        candidates = np.where(found[..., None], counting, possible)
        value = np.where(candidates, overlap[i], -1)
        best = value.shape[2] - 1 - value[..., ::-1].argmax(axis=2)  # of equal ones the last
        matched[..., i] = possible.any(axis=2)
        of_ignored[..., i] = matched[..., i] & ~found
        free[area_range, threshold, best] &= ~matched[..., i] | picture.crowd[best]
    neither = of_ignored | (~matched & _outside(picture.area[order])[:, None])
    return _Matches(
        picture.scores[order],
        np.arange(len(order)),
        matched & ~neither,
        ~matched & ~neither,
        (~ignored).sum(axis=1),
    )


def _curves(matches: _Matches) -> tuple[Floats, Floats]:
    """Return precision at the 101 recalls (A, T, 101) and highest recall (A, T)."""
    order = np.argsort(-matches.scores, kind="stable")
    right = matches.right[..., order].cumsum(axis=2, dtype=np.float64)
    wrong = matches.wrong[..., order].cumsum(axis=2, dtype=np.float64)
    precision = np.full((len(AREAS), len(THRESHOLDS), len(RECALLS)), np.nan)
    recall = np.full(precision.shape[:2], np.nan)
    for a, n_truth in enumerate(matches.n_truth):
        if n_truth == 0:
            continue
        recalls = right[a] / n_truth
        raw = right[a] / np.maximum(right[a] + wrong[a], 1)
        envelope = np.maximum.accumulate(raw[:, ::-1], axis=1)[:, ::-1]
        envelope = np.pad(envelope, ((0, 0), (0, 1)))  # recalls that are never reached
        recall[a] = recalls[:, -1] if len(order) else 0
        for t, reached in enumerate(recalls):
            precision[a, t] = envelope[t, np.searchsorted(reached, RECALLS)]
    return precision, recall
