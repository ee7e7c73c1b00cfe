"""Person detectors behind one call: a picture in, boxes and scores out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np
import torch
from torch import nn

from edge_pose.decoding.centers import decode_centers
from edge_pose.errors import EdgePoseError
from edge_pose.preprocess import (
    Affine,
    InputSpec,
    apply_affine,
    crop,
    fit_region,
    invert_affine,
    region_affine,
    to_tensor,
)
from edge_pose.types import FloatArray, Image
from training.checkpoint import CheckpointInfo
from training.datasets.boxes import box_iou

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


def letterbox(image_size: tuple[int, int], input_size: tuple[int, int]) -> Affine:
    """Return the matrix that fits a whole picture of `image_size` (w, h) into the input."""
    center = ((image_size[0] - 1) / 2, (image_size[1] - 1) / 2)
    return region_affine(fit_region(center, image_size, input_size), input_size)


class CenterDetector:
    """A centre-point network of ours, decoded with the device's own code."""

    def __init__(
        self, model: nn.Module, info: CheckpointInfo, input_size: tuple[int, int] | None = None
    ) -> None:
        self.model, self.stride = model.eval(), info.entry.stride
        self.device = next(model.parameters()).device
        own, entry = info.input_spec, info.entry
        size = input_size or own.size
        self.spec = InputSpec(size, entry.color, "nchw", "float32", entry.mean, entry.std)

    @torch.no_grad()
    def __call__(self, image: Image) -> Boxes:
        """Return boxes, clipped to the picture, and scores."""
        height, width = image.shape[:2]
        matrix = letterbox((width, height), self.spec.size)
        tensor = to_tensor(crop(image, matrix, self.spec.size)[None], self.spec)
        maps = self.model(torch.from_numpy(tensor).to(self.device))[-1]
        found, scores = decode_centers(
            maps[0].float().cpu().numpy(),
            self.stride,
            threshold=MIN_SCORE,
            max_boxes=MAX_BOXES,
        )
        boxes = apply_affine(found.reshape(-1, 2), invert_affine(matrix)).reshape(-1, 4)
        return clip(boxes, (width, height)), scores


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
        return clip(person[:, :4] * factor - 0.5, (width, height)), person[:, 4]


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


def clip(boxes: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Return (M, 4) boxes inside a picture of `size` (w, h): from -0.5 to w - 0.5 and h - 0.5."""
    limit = np.array([size[0], size[1]] * 2, np.float32) - 0.5
    return boxes.clip(-0.5, limit).astype(np.float32)


def non_maximum_suppression(boxes: FloatArray, scores: FloatArray, iou: float) -> list[int]:
    """Return the indices of boxes, best first, that overlap no better one by `iou` or more."""
    order = np.argsort(-scores, kind="stable")
    overlap = box_iou(boxes, boxes)
    kept: list[int] = []
    for index in order:
        if not kept or overlap[index, kept].max() < iou:
            kept.append(int(index))
    return kept
