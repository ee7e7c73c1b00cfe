"""Person detectors: a picture in, boxes out."""

from __future__ import annotations

import numpy as np

from edge_pose.artifact import Artifact
from edge_pose.backends.base import Backend
from edge_pose.errors import UsageError
from edge_pose.estimator import Stopwatch, check_image
from edge_pose.preprocess import to_tensor
from edge_pose.types import FloatArray, Image
from edge_pose.whole_picture import find_boxes, fit_picture

MIN_SCORE = 0.3


class PersonDetector:
    """Finds people as boxes. Not safe for use by several threads at once; use one per thread.

    Args:
        artifact: of the task detector.
        backend: the runtime that holds it.
        min_score: boxes below it are not returned.
        max_people: at most so many boxes are returned.

    Raises:
        UsageError: the artifact is no detector's.
    """

    def __init__(
        self,
        artifact: Artifact,
        backend: Backend,
        *,
        min_score: float = MIN_SCORE,
        max_people: int = 100,
    ) -> None:
        check_detector(artifact)
        self.manifest = artifact.manifest
        self.backend = backend
        self.min_score, self.max_people = min_score, max_people
        self._spec = self.manifest.input.spec

    @property
    def input_size(self) -> tuple[int, int]:
        """(w, h) px of the network's input."""
        return self._spec.size

    def __call__(
        self, image: Image, stopwatch: Stopwatch | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Find the people of a picture.

        Args:
            image: (H, W, 3) uint8 BGR.
            stopwatch: receives the stage "detect".

        Returns:
            boxes (M, 4) float32, x1 y1 x2 y2 in px of the picture and clipped to it; scores (M,)
            float32 in [0, 1], best first.

        Raises:
            UsageError: the array is not such a picture.
            BackendError: the runtime fails.
        """
        check_image(image)
        watch = stopwatch or Stopwatch()
        with watch.time("detect"):
            view, matrix = fit_picture(image, self.input_size)
            tensor = to_tensor(view[None], self._spec)
            watch.before_network()
            maps = self.backend.run(tensor)[0][0]
            return find_boxes(
                maps,
                self.manifest.decoder.stride,
                matrix,
                (image.shape[1], image.shape[0]),
                threshold=self.min_score,
                max_boxes=self.max_people,
            )

    def warm_up(self, runs: int = 2) -> None:
        """Run on a grey picture, so that the first real frame is not the slow one."""
        width, height = self.input_size
        for _ in range(runs):
            self(np.full((height, width, 3), 127, np.uint8))

    def close(self) -> None:
        """Release the runtime."""
        self.backend.close()

    def __enter__(self) -> PersonDetector:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def check_detector(artifact: Artifact) -> None:
    """Make sure that an artifact finds boxes.

    Raises:
        UsageError: it does not.
    """
    manifest = artifact.manifest
    if manifest.task != "detector":
        raise UsageError(
            f"detector {manifest.name}: is a {manifest.task} model, which finds keypoints:"
            " give it as --model"
        )
