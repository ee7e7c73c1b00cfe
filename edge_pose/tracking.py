"""Follow one person from frame to frame without a detector.

The crop of a frame follows the keypoints of the frame before. When confidence falls for longer than
`patience` frames the person counts as lost, and the picture is searched, a few crops per frame so
that the frame rate holds, until someone is found; of several people the largest. The search starts
as soon as the followed person is doubtful: somebody who is plainly better to see takes over.
"""

from __future__ import annotations

from dataclasses import replace

from edge_pose.config import TrackingConfig
from edge_pose.estimator import CANDIDATE_FACTOR, Estimator, Stopwatch
from edge_pose.preprocess import Region, bbox_region, fit_region
from edge_pose.search import SAME_PERSON_OKS, oks, search_regions, without_duplicates
from edge_pose.types import Image, Pose

SHRINK = 0.9  # a hidden limb must not make the crop collapse: per frame it loses 10 % at most
TAKE_OVER = 0.2  # by so much must somebody else score better than a doubtful person
INSIDE = 0.2  # share of the box that must lie within the picture for the person to be there


class PersonTracker:
    """Finds and follows one person.

    Args:
        estimator: finds keypoints in a region.
        config: thresholds.
    """

    def __init__(self, estimator: Estimator, config: TrackingConfig) -> None:
        self._estimator = estimator
        self._config = config
        self._region: Region | None = None
        self._weak = 0
        self._id = 0
        self._sweep = Sweep(estimator, config)

    def __call__(self, image: Image, stopwatch: Stopwatch) -> list[Pose]:
        """Return the followed person, or an empty list while nobody is found.

        Args:
            image: (H, W, 3) uint8 BGR, the next frame.
            stopwatch: receives the estimator's stages.
        """
        if self._region is None:
            found = self._search(image, stopwatch, self._config.acquire_score)
            return [] if found is None else self._follow(found, new=True)
        pose = self._estimator.estimate(image, self._region, stopwatch)
        if pose.score < self._config.acquire_score:
            wanted = max(self._config.acquire_score, pose.score + TAKE_OVER)
            other = self._search(image, stopwatch, wanted)
            if other is not None:
                return self._follow(other, new=not self._same(pose, other))
        if pose.score >= self._config.min_score and inside(pose, image):
            return self._follow(pose)
        self._weak += 1
        if self._weak > self._config.patience:
            self.reset()
        return []

    def reset(self) -> None:
        """Forget the person and search from the next frame on."""
        self._region, self._weak = None, 0
        self._sweep.restart()

    def _same(self, a: Pose, b: Pose) -> bool:
        return oks(a, b, self._estimator.keypoint_format) >= SAME_PERSON_OKS

    def _follow(self, pose: Pose, *, new: bool = False) -> list[Pose]:
        if new:
            self._id += 1
        self._region = next_region(pose, None if new else self._region, self._estimator)
        self._weak = 0
        return [replace(pose, id=self._id)]

    def _search(self, image: Image, stopwatch: Stopwatch, min_score: float) -> Pose | None:
        """Return the largest person with the wanted score, who is most likely the nearest one."""
        return max(self._sweep(image, stopwatch, min_score), key=_longer_side, default=None)


class Sweep:
    """Searches a picture, a few regions per frame, and goes round.

    Args:
        estimator: finds keypoints in a region.
        config: how many regions.
    """

    def __init__(self, estimator: Estimator, config: TrackingConfig) -> None:
        self._estimator, self._crops = estimator, config.search_crops
        self._next = 0

    def __call__(self, image: Image, stopwatch: Stopwatch, min_score: float) -> list[Pose]:
        """Try the next few regions and look closer at whoever seems to be there."""
        regions = search_regions(image.shape[1], image.shape[0], self._estimator.input_size)
        first = self._next % len(regions)
        turn = (regions + regions)[first : first + min(self._crops, len(regions))]
        self._next = first + len(turn)
        seen = [self._estimator.estimate(image, region, stopwatch) for region in turn]
        seen = [pose for pose in seen if pose.score >= CANDIDATE_FACTOR * min_score]
        people = [
            self._estimator.refine(image, pose, stopwatch)
            for pose in without_duplicates(seen, self._estimator.keypoint_format)
        ]
        return [pose for pose in people if pose.score >= min_score and inside(pose, image)]

    def restart(self) -> None:
        """Begin with the first region again."""
        self._next = 0


def next_region(pose: Pose, before: Region | None, estimator: Estimator) -> Region:
    """Return where to look for a person in the next frame; `before` is the region of this one."""
    size = estimator.input_size
    region = bbox_region(pose.bbox_xyxy, size, estimator.padding)
    if before is not None and region.size[0] < before.size[0] * SHRINK:
        floor = before.size[0] * SHRINK
        region = fit_region(region.center, (floor, floor), size)
    return region


def _longer_side(pose: Pose) -> float:
    x1, y1, x2, y2 = pose.bbox_xyxy.tolist()
    longer: float = max(x2 - x1, y2 - y1)
    return longer


def inside(pose: Pose, image: Image) -> bool:
    """Tell whether enough of the pose's box lies within the picture."""
    x1, y1, x2, y2 = pose.bbox_xyxy.tolist()
    height, width = image.shape[:2]
    visible_w = max(0.0, min(x2, width) - max(x1, 0.0))
    visible_h = max(0.0, min(y2, height) - max(y1, 0.0))
    visible: float = visible_w * visible_h
    area: float = max((x2 - x1) * (y2 - y1), 1.0)
    return visible >= INSIDE * area
