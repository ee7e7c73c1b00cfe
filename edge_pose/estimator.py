"""One artifact, ready to find people in pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import open_backend, resolve_model
from edge_pose.backends.base import CPU, Backend
from edge_pose.backends.cache import cache_root
from edge_pose.config import ACQUIRE_SCORE, CROP_PADDING, MIN_KEYPOINT_SCORE
from edge_pose.decoding.heatmap import decode_heatmaps, split_keypoints
from edge_pose.errors import UsageError
from edge_pose.preprocess import (
    Region,
    apply_affine,
    bbox_region,
    crop,
    invert_affine,
    region_affine,
    to_tensor,
)
from edge_pose.search import search_regions, without_duplicates
from edge_pose.skeleton import KeypointFormat
from edge_pose.types import FloatArray, Image, Pose

if TYPE_CHECKING:
    from edge_pose.detector import PersonDetector

REFINEMENTS = 2  # a coarse crop may show half of a person, the first closer look the rest
CANDIDATE_FACTOR = 0.5  # a coarse crop with this share of the wanted score is worth a closer look
DETECTED_PADDING = 1.25  # crop side over the longer side of a detector's box, as in training


class Stopwatch:
    """Adds up seconds per stage.

    It goes wherever a network runs, and so it carries there what the pipeline has to be told then,
    however deep in trackers, searches and detectors that is.

    Args:
        before_network: called whenever a network is about to run.
    """

    def __init__(self, before_network: Callable[[], None] = lambda: None) -> None:
        self.stage_s: dict[str, float] = {}
        self.before_network = before_network

    def time(self, stage: str) -> _Timed:
        """Return a context manager that adds the time of its block to a stage."""
        return _Timed(self.stage_s, stage)


class _Timed:
    __slots__ = ("_stage", "_stage_s", "_start")

    def __init__(self, stage_s: dict[str, float], stage: str) -> None:
        self._stage_s, self._stage = stage_s, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        took = time.perf_counter() - self._start
        self._stage_s[self._stage] = self._stage_s.get(self._stage, 0.0) + took


class Estimator:
    """Finds body keypoints.

    Call it with a picture to search all of it, or use `estimate` where the person's place is known.
    Not safe for use by several threads at once; use one per thread.

    Args:
        artifact: a loaded artifact.
        backend: the runtime that holds it.
        min_keypoint_score: keypoints above it span the box.
        min_score: people below it are not returned by a call.
        padding: crop side over the longer side of the box around the keypoints.
        detector: says where people are; without one a search looks everywhere. The estimator
            closes it.
    """

    def __init__(
        self,
        artifact: Artifact,
        backend: Backend,
        *,
        min_keypoint_score: float = MIN_KEYPOINT_SCORE,
        min_score: float = ACQUIRE_SCORE,
        padding: float = CROP_PADDING,
        detector: PersonDetector | None = None,
    ) -> None:
        self.padding = padding
        self.detector = detector
        self.manifest = artifact.manifest
        self.backend = backend
        self.min_keypoint_score = min_keypoint_score
        self.min_score = min_score
        self.keypoint_format: KeypointFormat = self.manifest.keypoint_format.format
        self._spec = self.manifest.input.spec
        self._decoder = self.manifest.decoder

    @property
    def input_size(self) -> tuple[int, int]:
        """(w, h) px of the network's input."""
        return self._spec.size

    def __call__(self, image: Image) -> list[Pose]:
        """Search a whole picture.

        Args:
            image: (H, W, 3) uint8 BGR.

        Returns:
            The people found, best score first; empty where there is none.

        Raises:
            UsageError: the array is not such a picture.
        """
        return self.search(image)

    def search(self, image: Image, stopwatch: Stopwatch | None = None) -> list[Pose]:
        """Search a whole picture, as a call does, and time the stages."""
        check_image(image)
        if self.detector is not None:
            found = [self.estimate(image, r, stopwatch) for r in self.detect(image, stopwatch)]
            found = [pose for pose in found if pose.score >= self.min_score]
            return without_duplicates(found, self.keypoint_format)
        found = []
        for region in search_regions(image.shape[1], image.shape[0], self.input_size):
            pose = self.estimate(image, region, stopwatch)
            if pose.score >= CANDIDATE_FACTOR * self.min_score:
                found.append(self.refine(image, pose, stopwatch))
        found = [pose for pose in found if pose.score >= self.min_score]
        return without_duplicates(found, self.keypoint_format)

    def detect(self, image: Image, stopwatch: Stopwatch | None = None) -> Iterator[Region]:
        """Yield the regions of the people whom the detector finds, best score first.

        Args:
            image: (H, W, 3) uint8 BGR.
            stopwatch: receives the stage "detect".

        Raises:
            UsageError: there is no detector.
        """
        if self.detector is None:
            raise UsageError(f"model {self.manifest.name}: has no detector, load it with one")
        boxes, _ = self.detector(image, stopwatch)
        for box in boxes:
            yield bbox_region(box, self.input_size, DETECTED_PADDING)

    def refine(self, image: Image, pose: Pose, stopwatch: Stopwatch | None = None) -> Pose:
        """Look again at crops that fit the pose, as long as it gets better; return the best."""
        for _ in range(REFINEMENTS):
            region = bbox_region(pose.bbox_xyxy, self.input_size, self.padding)
            closer = self.estimate(image, region, stopwatch)
            if closer.score <= pose.score:
                break
            pose = closer
        return pose

    def estimate(self, image: Image, region: Region, stopwatch: Stopwatch | None = None) -> Pose:
        """Find the keypoints of the person in a region.

        Args:
            image: (H, W, 3) uint8 BGR.
            region: where to look.
            stopwatch: receives the stages "preprocess", "infer" and "decode".

        Raises:
            BackendError: the runtime fails.
        """
        watch = stopwatch or Stopwatch()
        with watch.time("preprocess"):
            matrix = region_affine(region, self.input_size)
            tensor = to_tensor(crop(image, matrix, self.input_size)[None], self._spec)
        watch.before_network()
        with watch.time("infer"):
            output = self.backend.run(tensor)[0]
        with watch.time("decode"):
            decoder = self._decoder
            if decoder.name == "keypoints":
                keypoints, scores = split_keypoints(output)
            else:
                keypoints, scores = decode_heatmaps(output, decoder.stride, decoder.kind)
            source = apply_affine(keypoints[0], invert_affine(matrix))
            return self._pose(source, scores[0])

    def warm_up(self, runs: int = 2) -> None:
        """Run on a grey picture, so that the first real frame is not the slow one."""
        width, height = self.input_size
        gray = np.full((height, width, 3), 127, np.uint8)
        region = Region((width / 2, height / 2), (float(width), float(height)))
        for _ in range(runs):
            self.estimate(gray, region)
        if self.detector is not None:
            self.detector.warm_up(runs)

    def close(self) -> None:
        """Release the runtime, and the detector's."""
        self.backend.close()
        if self.detector is not None:
            self.detector.close()

    def __enter__(self) -> Estimator:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _pose(self, keypoints: FloatArray, scores: FloatArray) -> Pose:
        # Lists: for so few numbers they are quicker than arrays.
        listed = scores.tolist()
        # Scores are low on average where half of a person is hidden, so the better half counts.
        best = sorted(listed)[len(listed) // 2 :]
        points = keypoints.tolist()
        sure = [
            p for p, score in zip(points, listed, strict=True) if score >= self.min_keypoint_score
        ]
        xs, ys = zip(*(sure if len(sure) >= 2 else points), strict=True)
        box = np.array([min(xs), min(ys), max(xs), max(ys)], np.float32)
        return Pose(keypoints, scores, box, sum(best) / len(best))


def check_image(image: Image) -> None:
    """Raise UsageError unless `image` is (H, W, 3) uint8 with at least 2 px a side."""
    shape, dtype = getattr(image, "shape", None), getattr(image, "dtype", None)
    if shape is None or len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or min(shape[:2]) < 2:
        found = f"shape {shape}, dtype {dtype}" if shape is not None else type(image).__name__
        raise UsageError(f"image: found {found}, expected (H, W, 3) uint8 BGR")


def load(
    model: str | Path | Artifact = "default",
    *,
    backend: str | None = None,
    device: str = CPU,
    threads: int = 0,
    strict: bool = False,
    cache: str | Path | None = None,
    trust_ungated: bool = False,
    trusted_keys: Sequence[Path] = (),
    min_keypoint_score: float = MIN_KEYPOINT_SCORE,
    min_score: float = ACQUIRE_SCORE,
    padding: float = CROP_PADDING,
    detector: PersonDetector | None = None,
) -> Estimator:
    """Load an artifact into a runtime: an Estimator, of bottom-up models a BottomUpEstimator.

    Args:
        model: name of a shipped artifact, an artifact folder, or what `load_artifact` returned. The
            default is there in ONNX and TFLite: the backend decides.
        backend: runtime; by default the one that the artifact was made for, or another one that
            reads it where that is not installed.
        device: what to run on, in the runtime's words: "CPU" everywhere, "CUDA" or "TENSORRT" with
            onnxruntime, "GPU", "NPU" or "AUTO:NPU,CPU" with openvino, "EDGETPU" with tflite.
        threads: inference threads; 0 leaves one core to capture.
        strict: a device that is not there is an error; otherwise the CPU is taken, with a warning.
        cache: folder for what runtimes compile; the user's cache folder by default, "off" for none.
        trust_ungated: also run artifacts whose accuracy was never checked.
        trusted_keys: public keys (PEM files, or folders of them): only what one of them signed.
        min_keypoint_score: keypoints above it span the box.
        min_score: people below it are not returned.
        padding: crop side over the longer side of the box around the keypoints.
        detector: says a top-down model where people are, see `load_detector`.

    Raises:
        ArtifactError: the artifact is missing, damaged or not trusted.
        BackendError: the runtime is missing or refuses the model.
        UsageError: the runtime or its device is unknown, the model finds no keypoints, or it takes
            no detector.
    """
    if not isinstance(model, Artifact):
        folder = resolve_model(model, asked=backend)
        model = load_artifact(folder, trust_ungated=trust_ungated, trusted_keys=trusted_keys)
    artifact, root = model, cache_root(cache)
    check_task(artifact, detector=detector is not None)
    opened = open_backend(artifact, backend, threads, device=device, strict=strict, cache=root)
    if artifact.manifest.task == "bottom_up":
        from edge_pose.bottom_up import BottomUpEstimator

        return BottomUpEstimator(
            artifact,
            opened,
            min_keypoint_score=min_keypoint_score,
            min_score=min_score,
            padding=padding,
        )
    return Estimator(
        artifact,
        opened,
        min_keypoint_score=min_keypoint_score,
        min_score=min_score,
        padding=padding,
        detector=detector,
    )


def check_task(artifact: Artifact, *, detector: bool) -> None:
    """Make sure that an artifact finds keypoints, and that a detector beside it is of use.

    Raises:
        UsageError: it does not, or it is not.
    """
    manifest = artifact.manifest
    if manifest.task == "detector":
        raise UsageError(
            f"model {manifest.name}: is a person detector, it finds boxes and no keypoints:"
            " give it as --detector beside a top-down model"
        )
    if detector and manifest.task != "top_down":
        raise UsageError(
            f"model {manifest.name}: finds everybody by itself, leave the detector out"
        )


def load_detector(
    model: str | Path | Artifact,
    *,
    backend: str | None = None,
    device: str = CPU,
    threads: int = 0,
    strict: bool = False,
    cache: str | Path | None = None,
    trust_ungated: bool = False,
    trusted_keys: Sequence[Path] = (),
) -> PersonDetector:
    """Load a detector's artifact into a runtime; the arguments are those of `load`.

    Raises:
        ArtifactError: the artifact is missing, damaged or not trusted.
        BackendError: the runtime is missing or refuses the model.
        UsageError: the runtime or its device is unknown, or the artifact is no detector's.
    """
    from edge_pose.detector import PersonDetector, check_detector

    if not isinstance(model, Artifact):
        model = load_artifact(model, trust_ungated=trust_ungated, trusted_keys=trusted_keys)
    check_detector(model)
    root = cache_root(cache)
    opened = open_backend(model, backend, threads, device=device, strict=strict, cache=root)
    return PersonDetector(model, opened)
