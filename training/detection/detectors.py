"""Person detectors behind one call: a picture in, boxes and scores out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np

from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.types import FloatArray, Image
from edge_pose.whole_picture import clip_boxes, find_boxes, fit_picture
from training.datasets.boxes import box_iou
from training.predictors import Network

Boxes: TypeAlias = tuple[FloatArray, FloatArray]
"""(M, 4) xyxy px of the picture and (M,) scores, best first."""

# OpenMMLab's constants for RTMDet (Lyu et al., https://arxiv.org/abs/2212.07784): BGR, grey border.
RTMDET_MEAN = (103.53, 116.28, 123.675)
RTMDET_STD = (57.375, 57.12, 58.395)
RTMDET_BORDER = 114
MERGE_IOU = 0.6
MIN_SCORE = 0.02  # AP wants the weak ones, too
MAX_BOXES = 100


class Detector(Protocol):
    """Anything that finds people in a picture (H, W, 3) uint8 BGR."""

    def __call__(self, image: Image) -> Boxes:
        """Return boxes and scores, best first."""
        ...


class CenterDetector:
    """A centre-point network of ours, torch's or an artifact's, decoded with the device's code.

    Args:
        network: maps pictures to centre maps.
        threshold: lowest score of a box.
    """

    def __init__(self, network: Network, threshold: float = MIN_SCORE) -> None:
        self.network, self.threshold = network, threshold

    def __call__(self, image: Image) -> Boxes:
        """Return boxes, clipped to the picture, and scores."""
        network = self.network
        view, matrix = fit_picture(image, network.spec.size)
        maps = network.maps(to_tensor(view[None], network.spec))[-1][0]
        size = (image.shape[1], image.shape[0])
        return find_boxes(
            maps, network.stride, matrix, size, threshold=self.threshold, max_boxes=MAX_BOXES
        )


class RtmDet:
    """RTMDet exported to ONNX with non-maximum suppression inside: `dets` (1, M, 5), `labels`.

    Args:
        file: the ONNX model, with an input of any height and width.
        sides: px; the picture is shown at each of them, and what is found is merged.
        threads: of ONNX Runtime.

    Raises:
        EdgePoseError: the file is missing or not such a model.
    """

    def __init__(self, file: Path, sides: Sequence[int] = (320,), threads: int = 1) -> None:
        self.sides = tuple(sides)
        self.session = _session(file, threads)
        self.input = self.session.get_inputs()[0].name
        outputs = [output.name for output in self.session.get_outputs()]
        if outputs != ["dets", "labels"]:
            raise EdgePoseError(f"{file}: found outputs {outputs}, expected dets and labels")

    def __call__(self, image: Image) -> Boxes:
        """Return boxes, clipped to the picture, and scores of class 0, person."""
        found = [self._at(image, side) for side in self.sides]
        boxes = np.concatenate([boxes for boxes, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        kept = non_maximum_suppression(boxes, scores, MERGE_IOU)
        return boxes[kept], scores[kept]

    def _at(self, image: Image, side: int) -> Boxes:
        height, width = image.shape[:2]
        zoom = side / max(height, width)
        small = (max(round(width * zoom), 1), max(round(height * zoom), 1))
        how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        canvas = np.full((side, side, 3), RTMDET_BORDER, np.uint8)
        canvas[: small[1], : small[0]] = cv2.resize(image, small, interpolation=how)
        spec = InputSpec((side, side), "bgr", mean=RTMDET_MEAN, std=RTMDET_STD)
        dets, labels = self.session.run(None, {self.input: to_tensor(canvas[None], spec)})
        person = dets[0][(labels[0] == 0) & (dets[0][:, 4] > MIN_SCORE)]
        # Its boxes count from the corner of the first pixel.
        factor = np.array([width / small[0], height / small[1]] * 2, np.float32)
        return clip_boxes(person[:, :4] * factor - 0.5, (width, height)), person[:, 4]


def _session(file: Path, threads: int) -> Any:  # noqa: ANN401 - onnxruntime ships no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if not file.is_file():
        raise EdgePoseError(f"{file}: no such ONNX model")
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - its exceptions share no base class
        reason = str(error).splitlines()[0]
        raise EdgePoseError(f"{file}: not an ONNX model that runs here: {reason}") from None


def non_maximum_suppression(boxes: FloatArray, scores: FloatArray, iou: float) -> list[int]:
    """Return the indices of boxes, best first, that overlap no better one by `iou` or more."""
    order = np.argsort(-scores, kind="stable")
    overlap = box_iou(boxes, boxes)
    kept: list[int] = []
    for index in order:
        if not kept or overlap[index, kept].max() < iou:
            kept.append(int(index))
    return kept
