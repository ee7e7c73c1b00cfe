"""Follow several people from frame to frame.

Two kinds of network, two ways: top-down ones look at each person's own crop, which follows the
person; somebody new is found by the detector, which is asked every few frames, or by the search of
edge_pose.tracking where there is none. Bottom-up ones find everybody in every frame; there only the
ids have to stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_pose.bottom_up import BottomUpEstimator
from edge_pose.config import TrackingConfig
from edge_pose.estimator import Estimator, Stopwatch
from edge_pose.identities import Identities
from edge_pose.preprocess import Region
from edge_pose.search import SAME_PERSON_OKS, box_iou, oks
from edge_pose.tracking import Sweep, inside, next_region
from edge_pose.types import Image, Pose

FOLLOWED_IOU = 0.5  # a detector's crop that overlaps a followed person's so much shows him


@dataclass(slots=True)
class _Followed:
    id: int
    pose: Pose
    region: Region
    weak: int = 0  # frames

    @property
    def seen(self) -> bool:
        return self.weak == 0


class PeopleTracker:
    """Finds and follows people with a top-down model, each in a crop of his own.

    Args:
        estimator: finds keypoints in a region; its detector says where people are.
        config: thresholds.
        max_people: at most so many are followed.
    """

    def __init__(self, estimator: Estimator, config: TrackingConfig, max_people: int) -> None:
        self._estimator, self._config, self._max_people = estimator, config, max_people
        self._sweep = Sweep(estimator, config)
        self._people: list[_Followed] = []
        self._last_id = 0
        self._frames_since_look = 0

    def __call__(self, image: Image, stopwatch: Stopwatch) -> list[Pose]:
        """Return the followed people who are seen in this frame, best score first.

        Args:
            image: (H, W, 3) uint8 BGR, the next frame.
            stopwatch: receives the estimator's stages, and "detect" where the detector looked.
        """
        for person in self._people:
            self._look_again(person, image, stopwatch)
        self._forget()
        self._frames_since_look += 1
        if self._should_look():
            self._frames_since_look = 0
            for pose in self._newcomers(image, stopwatch):
                self._follow(pose)
        poses = [replace(person.pose, id=person.id) for person in self._people if person.seen]
        return sorted(poses, key=lambda pose: -pose.score)

    def reset(self) -> None:
        """Forget everybody; ids are not used again."""
        self._people = []

    def _look_again(self, person: _Followed, image: Image, stopwatch: Stopwatch) -> None:
        pose = self._estimator.estimate(image, person.region, stopwatch)
        if pose.score >= self._config.min_score and inside(pose, image):
            person.pose, person.weak = pose, 0
            person.region = next_region(pose, person.region, self._estimator)
        else:
            person.weak += 1

    def _forget(self) -> None:
        """Drop who is lost, and of two crops that came to show one person the younger one."""
        kept: list[_Followed] = []
        for person in self._people:
            alone = not any(self._same(person.pose, other.pose) for other in kept)
            if person.weak <= self._config.patience and alone:
                kept.append(person)
        self._people = kept

    def _should_look(self) -> bool:
        if len(self._people) >= self._max_people:
            return False
        waited = self._frames_since_look >= self._config.detect_every
        return waited or not any(person.seen for person in self._people)

    def _newcomers(self, image: Image, stopwatch: Stopwatch) -> list[Pose]:
        least = self._config.acquire_score
        if self._estimator.detector is None:
            found = self._sweep(image, stopwatch, least)
        else:
            regions = [r for r in self._estimator.detect(image, stopwatch) if self._is_free(r)]
            seen = (self._estimator.estimate(image, region, stopwatch) for region in regions)
            found = [pose for pose in seen if pose.score >= least and inside(pose, image)]
        return sorted(found, key=lambda pose: -pose.score)

    def _is_free(self, region: Region) -> bool:
        box = region.bbox_xyxy
        return all(box_iou(box, p.region.bbox_xyxy) < FOLLOWED_IOU for p in self._people)

    def _follow(self, pose: Pose) -> None:
        known = any(self._same(pose, person.pose) for person in self._people)
        if known or len(self._people) >= self._max_people:
            return
        self._last_id += 1
        region = next_region(pose, None, self._estimator)
        self._people.append(_Followed(self._last_id, pose, region))

    def _same(self, a: Pose, b: Pose) -> bool:
        return oks(a, b, self._estimator.keypoint_format) >= SAME_PERSON_OKS


class CrowdTracker:
    """Keeps the ids of people whom a bottom-up model finds in every frame anew.

    Args:
        estimator: finds everybody.
        config: thresholds.
        max_people: at most so many are known at a time.
    """

    def __init__(
        self, estimator: BottomUpEstimator, config: TrackingConfig, max_people: int
    ) -> None:
        self._estimator, self._config = estimator, config
        self._identities = Identities(estimator.keypoint_format, config, max_people)

    def __call__(self, image: Image, stopwatch: Stopwatch) -> list[Pose]:
        """Return the people of the next frame; see PeopleTracker."""
        found = self._estimator.search(image, stopwatch, min_score=self._config.min_score)
        return self._identities(found)

    def reset(self) -> None:
        """Forget everybody; ids are not used again."""
        self._identities.reset()
