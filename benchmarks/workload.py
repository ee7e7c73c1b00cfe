"""What the measurements of one benchmark share, made ready once and outside of the timed part."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from edge_pose.bottom_up import BottomUpEstimator
from edge_pose.config import RunConfig
from edge_pose.errors import SourceError, UsageError
from edge_pose.estimator import Estimator
from edge_pose.loaded_model import LoadedModel, load_model
from edge_pose.preprocess import Region, bbox_region, crop, fit_region, region_affine, to_tensor
from edge_pose.sources import open_source
from edge_pose.sources.base import Source
from edge_pose.types import Frame, Image

READY_BYTES = 32 << 20  # a long clip's frames would not fit into a small device's memory


@dataclass(frozen=True, slots=True)
class Workload:
    """Everything but the clip, which every pass of the pipeline opens anew.

    Attributes:
        config: of the pipeline.
        model: loaded and warm; the pipeline runs it, too.
        images: frames of the clip in memory, (H, W, 3) uint8 BGR each; fewer than `frames` where
            the clip is large.
        frames: number of frames that every measurement handles.
        frame_rate: of the clip, per second; None where unknown.
        region: where the estimator looks.
        tensor: the network's input for that region.
    """

    config: RunConfig
    model: LoadedModel
    images: list[Image]
    frames: int
    frame_rate: float | None
    region: Region
    tensor: NDArray[np.float32] | NDArray[np.uint8]

    @property
    def estimator(self) -> Estimator:
        """Of the model."""
        return self.model.estimator


@contextmanager
def open_workload(config: RunConfig) -> Iterator[Workload]:
    """Open the artifact, read the clip once and find someone in it.

    Raises:
        EdgePoseError: the clip or the artifact cannot be opened, or holds nothing to measure.
    """
    with open_clip(config) as source:
        images, frames = _read(clip_frames(source, config))
        frame_rate = source.frame_rate
    _check_count(frames, config)
    model = load_model(config)
    with model.estimator as estimator:
        model.warm_up()
        image = images[len(images) // 2]
        region = _region(estimator, image, config.tracking.padding)
        matrix = region_affine(region, estimator.input_size)
        spec = estimator.manifest.input.spec
        tensor = to_tensor(crop(image, matrix, estimator.input_size)[None], spec)
        yield Workload(config, model, images, frames, frame_rate, region, tensor)


@contextmanager
def open_clip(config: RunConfig) -> Iterator[Source]:
    """Open a source that delivers as fast as it is read.

    Raises:
        UsageError: it is live: its own rate would be measured.
        SourceError: it cannot be opened.
    """
    with open_source(config.source) as source:
        if source.live:
            message = f"{config.source}: is live, the benchmark needs a file that can be read again"
            raise UsageError(message)
        yield source


def clip_frames(source: Source, config: RunConfig) -> Iterator[Frame]:
    """Yield as many frames as the pipeline would take."""
    return islice(source.frames(), config.max_frames)


def count_frames(config: RunConfig) -> int:
    """Read the clip once, which also brings it into the page cache.

    Raises:
        EdgePoseError: it cannot be read or holds no frame.
    """
    with open_clip(config) as source:
        frames = sum(1 for _ in clip_frames(source, config))
    _check_count(frames, config)
    return frames


def _check_count(frames: int, config: RunConfig) -> None:
    if not frames:
        raise SourceError(f"{config.source}: no frames, there is nothing to measure")


def _read(frames: Iterator[Frame]) -> tuple[list[Image], int]:
    """Return the first images, up to READY_BYTES, and the number of all."""
    images: list[Image] = []
    count = size = 0
    for frame in frames:
        count += 1
        size += frame.image.nbytes
        if not images or size <= READY_BYTES:
            images.append(frame.image)
    return images, count


def _region(estimator: Estimator, image: Image, padding: float) -> Region:
    """Return the region around the best person; the whole picture where there is none.

    Bottom-up models always see all of it.
    """
    height, width = image.shape[:2]
    if isinstance(estimator, BottomUpEstimator):
        return fit_region(
            ((width - 1) / 2, (height - 1) / 2), (width, height), estimator.input_size
        )
    poses = estimator(image)
    box = poses[0].bbox_xyxy if poses else np.array([0, 0, width - 1, height - 1], np.float32)
    return bbox_region(box, estimator.input_size, padding if poses else 1.0)
