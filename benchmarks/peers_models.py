"""Other projects' networks that find the keypoints of one cropped person.

- MoveNet SinglePose (Google, Apache-2.0; tfhub.dev/google/movenet/singlepose): [1, side, side, 3]
  of 0..255 RGB in; [1, 1, 17, 3] out: y, x (shares of the side) and score of COCO's keypoints.
- BlazePose, the landmark network of MediaPipe Pose (Google, Apache-2.0; Bazarevsky et al., 2020,
  arXiv:2006.10204): [1, 256, 256, 3] of 0..1 RGB in; the output of 195 numbers holds 39 landmarks:
  x, y (px of the input), z, visibility and presence (logits).

Both do what our Estimator does around its network, with the same functions: the crop, the tensor,
the way back into the picture, the box. Only the numbers in between are read differently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_pose.backends.tflite import Graph, open_graph
from edge_pose.errors import BackendError
from edge_pose.estimator import Stopwatch
from edge_pose.preprocess import (
    InputSpec,
    Region,
    apply_affine,
    crop,
    invert_affine,
    region_affine,
    to_tensor,
)
from edge_pose.skeleton import COCO17, KeypointFormat
from edge_pose.types import FloatArray, Image, Pose

LANDMARKS = 39
# COCO's seventeen keypoints among BlazePose's landmarks; eyes are the middle one of three.
COCO_OF_LANDMARKS = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
# Both count from the picture's edge, we from the middle of the first pixel.
EDGE_PX = np.float32(0.5)

Decode = Callable[[list[NDArray[Any]], int], tuple[FloatArray, FloatArray]]
"""Stored outputs and side in px -> keypoints (17, 2) in input px, scores (17,)."""


class Poser(Protocol):
    """What is compared: an Estimator of ours, or a peer.

    Attributes:
        keypoint_format: of its keypoints.
    """

    keypoint_format: KeypointFormat

    @property
    def input_size(self) -> tuple[int, int]:
        """(w, h) px of the network's input."""
        ...

    def estimate(self, image: Image, region: Region, stopwatch: Stopwatch | None = None) -> Pose:
        """Find the keypoints of the person in a region; see Estimator.estimate."""
        ...

    def close(self) -> None:
        """Release the runtime."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """Networks with the same outputs.

    Attributes:
        name: for people.
        outputs: shapes that a file of this family has, in its order.
        divisor: of pixel values, for networks that take floats.
        decode: reads the outputs.
    """

    name: str
    outputs: tuple[tuple[int, ...], ...]
    divisor: float
    decode: Decode


def _movenet(outputs: list[NDArray[Any]], side: int) -> tuple[FloatArray, FloatArray]:
    found = outputs[0].reshape(-1, 3)
    return found[:, 1::-1] * np.float32(side) - EDGE_PX, found[:, 2]


def _blazepose(outputs: list[NDArray[Any]], side: int) -> tuple[FloatArray, FloatArray]:  # noqa: ARG001 - Decode
    found = outputs[0].reshape(LANDMARKS, 5)[COCO_OF_LANDMARKS]
    return found[:, :2] - EDGE_PX, 1.0 / (1.0 + np.exp(-found[:, 3]))


MOVENET = Family("MoveNet SinglePose", ((1, 1, 17, 3),), 1.0, _movenet)
BLAZEPOSE = Family(
    "BlazePose",
    ((1, 5 * LANDMARKS), (1, 1), (1, 256, 256, 1), (1, 64, 64, 39), (1, 117)),
    255.0,
    _blazepose,
)


class Peer:
    """A peer in its runtime; see Poser.

    Args:
        graph: with one picture as its input; closed with this.
        family: what its numbers mean.
    """

    keypoint_format = COCO17

    def __init__(self, graph: Graph, family: Family) -> None:
        self.version = graph.version
        self._graph, self._decode = graph, family.decode
        _, height, width, _ = graph.inputs[0].shape
        dtype = "uint8" if graph.inputs[0].dtype == np.uint8 else "float32"
        self._spec = InputSpec(
            (width, height), "rgb", "nhwc", dtype, (0.0, 0.0, 0.0), (family.divisor,) * 3
        )

    @property
    def input_size(self) -> tuple[int, int]:
        """(w, h) px."""
        return self._spec.size

    def estimate(self, image: Image, region: Region, stopwatch: Stopwatch | None = None) -> Pose:
        """Find the keypoints of the person in a region, as Estimator.estimate does.

        Raises:
            BackendError: the runtime fails.
        """
        watch = stopwatch or Stopwatch()
        with watch.time("preprocess"):
            matrix = region_affine(region, self.input_size)
            tensor = to_tensor(crop(image, matrix, self.input_size)[None], self._spec)
        with watch.time("infer"):
            outputs = self._graph.run(tensor)
        with watch.time("decode"):
            keypoints, scores = self._decode(outputs, self.input_size[0])
            source = apply_affine(keypoints, invert_affine(matrix))
            box = np.concatenate([source.min(axis=0), source.max(axis=0)])
            return Pose(source, scores, box, float(scores.mean()))

    def close(self) -> None:
        """Release the runtime."""
        self._graph.close()


def open_peer(model: bytes, family: Family, threads: int, where: str) -> Peer:
    """Load a peer's file; `where` names it in errors.

    Raises:
        BackendError: LiteRT is missing or refuses the file, or it is not of this family.
    """
    graph = open_graph(model, threads, where)
    shapes = tuple(output.shape for output in graph.outputs)
    first = graph.inputs[0]
    square = len(first.shape) == 4 and first.shape[1] == first.shape[2] and first.shape[3] == 3
    if not square or first.dtype not in (np.uint8, np.float32) or shapes != family.outputs:
        raise BackendError(
            f"{where}: takes {list(first.shape)} {first.dtype} and gives"
            f" {[list(shape) for shape in shapes]}; {family.name} takes [1, side, side, 3] and"
            f" gives {[list(shape) for shape in family.outputs]}"
        )
    return Peer(graph, family)
