"""Ids for the people of one frame after the other, where all of them are found anew each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_pose.config import TrackingConfig
from edge_pose.search import box_iou, oks
from edge_pose.skeleton import KeypointFormat
from edge_pose.types import Pose

SIMILAR = 0.3  # OKS or overlap of the boxes from which on a pose may be somebody known


@dataclass(slots=True)
class _Known:
    id: int
    pose: Pose
    absent: int = 0  # frames


class Identities:
    """Gives the poses of a frame the ids that the same people had in the frames before.

    Poses and people are paired greedily, the most similar first. Somebody new needs
    `acquire_score`; somebody known keeps his id while he is absent for up to `patience` frames.

    Args:
        keypoint_format: of the poses.
        config: thresholds.
        max_people: at most so many are known at a time.
    """

    def __init__(
        self, keypoint_format: KeypointFormat, config: TrackingConfig, max_people: int
    ) -> None:
        self._format, self._config, self._max_people = keypoint_format, config, max_people
        self._people: list[_Known] = []
        self._last_id = 0

    def __call__(self, poses: Sequence[Pose]) -> list[Pose]:
        """Return the poses of people who are known by now, best score first."""
        poses = [pose for pose in poses if pose.score >= self._config.min_score]
        left = self._recognise(poses)
        for pose in sorted(left, key=lambda pose: -pose.score):
            if pose.score >= self._config.acquire_score and len(self._people) < self._max_people:
                self._last_id += 1
                self._people.append(_Known(self._last_id, pose))
        seen = [replace(known.pose, id=known.id) for known in self._people if not known.absent]
        return sorted(seen, key=lambda pose: -pose.score)

    def reset(self) -> None:
        """Forget everybody; ids are not used again."""
        self._people = []

    def _recognise(self, poses: Sequence[Pose]) -> list[Pose]:
        """Give each person his pose of this frame; return the poses that are nobody's."""
        pairs = sorted(
            (
                (self._similarity(known.pose, pose), -who, -which)
                for who, known in enumerate(self._people)
                for which, pose in enumerate(poses)
            ),
            reverse=True,
        )
        taken: dict[int, int] = {}
        for similarity, who, which in pairs:
            if similarity >= SIMILAR and -who not in taken and -which not in taken.values():
                taken[-who] = -which
        for who, known in enumerate(self._people):
            if who in taken:
                known.pose, known.absent = poses[taken[who]], 0
            else:
                known.absent += 1
        self._people = [k for k in self._people if k.absent <= self._config.patience]
        return [pose for which, pose in enumerate(poses) if which not in taken.values()]

    def _similarity(self, a: Pose, b: Pose) -> float:
        return max(oks(a, b, self._format), box_iou(a.bbox_xyxy, b.bbox_xyxy))
