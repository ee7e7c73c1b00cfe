"""Everybody of a picture in one pass: networks that see the whole picture and group keypoints."""

from __future__ import annotations

import numpy as np

from edge_pose.artifact import Artifact
from edge_pose.backends.base import Backend
from edge_pose.config import ACQUIRE_SCORE, CROP_PADDING, MIN_KEYPOINT_SCORE
from edge_pose.decoding.associative_embedding import torso_first
from edge_pose.decoding.fusion import fuse_outputs
from edge_pose.estimator import Estimator, Stopwatch, check_image
from edge_pose.preprocess import (
    Region,
    apply_affine,
    crop,
    fit_region,
    invert_affine,
    region_affine,
    to_tensor,
)
from edge_pose.search import without_duplicates
from edge_pose.types import Image, Pose
from edge_pose.whole_picture import find_people


class BottomUpEstimator(Estimator):
    """Finds the keypoints of everybody at once; see Estimator.

    Args:
        artifact: of the task bottom_up.
        backend: the runtime that holds it.
        min_keypoint_score: keypoints above it span the box.
        min_score: people below it are not returned by a call.
        padding: crop side over the longer side of the box around the keypoints.
    """

    def __init__(
        self,
        artifact: Artifact,
        backend: Backend,
        *,
        min_keypoint_score: float = MIN_KEYPOINT_SCORE,
        min_score: float = ACQUIRE_SCORE,
        padding: float = CROP_PADDING,
    ) -> None:
        super().__init__(
            artifact,
            backend,
            min_keypoint_score=min_keypoint_score,
            min_score=min_score,
            padding=padding,
        )
        self._order = torso_first(self.keypoint_format)

    def search(
        self, image: Image, stopwatch: Stopwatch | None = None, *, min_score: float | None = None
    ) -> list[Pose]:
        """Find everybody in a picture, best score first; see Estimator.search.

        Args:
            image: (H, W, 3) uint8 BGR.
            stopwatch: receives the stages "preprocess", "infer" and "decode".
            min_score: in place of the estimator's own.
        """
        check_image(image)
        height, width = image.shape[:2]
        center = ((width - 1) / 2, (height - 1) / 2)
        whole = fit_region(center, (width, height), self.input_size)
        least = self.min_score if min_score is None else min_score
        found = [pose for pose in self._people(image, whole, stopwatch) if pose.score >= least]
        return without_duplicates(found, self.keypoint_format)

    def estimate(self, image: Image, region: Region, stopwatch: Stopwatch | None = None) -> Pose:
        """Find the person of a region who is seen best; see Estimator.estimate.

        Where nobody is, the pose has the score 0 and all of its keypoints are at the centre.
        """
        people = self._people(image, region, stopwatch)
        if people:
            return max(people, key=lambda pose: pose.score)
        count = len(self.keypoint_format.keypoints)
        nowhere = np.tile(np.array(region.center, np.float32), (count, 1))
        return self._pose(nowhere, np.zeros(count, np.float32))

    def _people(self, image: Image, region: Region, stopwatch: Stopwatch | None) -> list[Pose]:
        watch = stopwatch or Stopwatch()
        with watch.time("preprocess"):
            matrix = region_affine(region, self.input_size)
            tensor = to_tensor(crop(image, matrix, self.input_size)[None], self._spec)
        watch.before_network()
        with watch.time("infer"):
            outputs = self.backend.run(tensor)
        with watch.time("decode"):
            heatmaps, tags = fuse_outputs([output[0] for output in outputs])
            keypoints, scores = find_people(heatmaps, tags, self._decoder.stride, self._order)
            source = apply_affine(keypoints, invert_affine(matrix))
            return [self._pose(points, s) for points, s in zip(source, scores, strict=True)]
