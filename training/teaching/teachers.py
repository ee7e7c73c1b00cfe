"""Teachers: networks of ours or of others that say where the joints of a cropped person are.

A teacher is a checkpoint, an artifact (both give heatmaps), or another project's model file whose
inputs and outputs are known here:

- MoveNet SinglePose (Google, Apache-2.0; tfhub.dev/google/movenet/singlepose): one picture
  [1, side, side, 3] of 0..255 RGB in, [1, 1, 17, 3] out: y, x (0..1) and score of COCO's keypoints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_pose.backends import available_cores
from edge_pose.errors import BackendError
from edge_pose.preprocess import (
    InputSpec,
    Region,
    apply_affine,
    crop,
    invert_affine,
    region_affine,
    to_tensor,
)
from edge_pose.skeleton import COCO17, MPII16, KeypointFormat
from edge_pose.types import FloatArray, Image
from training.checkpoint import CheckpointInfo
from training.evaluate import Predictor, open_predictor, predict_crops
from training.keypoints import to_mpii

PEERS = (".tflite", ".onnx")
ONNX_DTYPES = {"tensor(int32)": "int32", "tensor(uint8)": "uint8", "tensor(float)": "float32"}


class Teacher(Protocol):
    """Finds MPII's sixteen joints in crops.

    Attributes:
        name: what it was opened by.
        trained_on: per data set the persons it was trained on, see checkpoint.pack_persons; empty
            where that is not known.
        input_size: (w, h) px that it looks at; crops of other sizes are resized.
        knows: (16,) bool, the joints that it finds.
        crop_factor: side of the crop that suits it best over the ground-truth crop's.
    """

    name: str
    trained_on: Mapping[str, str]
    input_size: tuple[int, int]
    knows: NDArray[np.bool_]
    crop_factor: float

    def keypoints(self, crops: Image) -> tuple[FloatArray, FloatArray]:
        """Look at (N, h, w, 3) uint8 BGR crops.

        Returns:
            keypoints (N, 16, 2) in crop px, and scores (N, 16) in [0, 1]: 0 for joints that the
            teacher does not know.
        """
        ...


class HeatmapTeacher:
    """A network of ours; see Teacher.

    Attributes:
        predictor: maps crops to heatmaps.
    """

    crop_factor = 1.0

    def __init__(self, predictor: Predictor, name: str, trained_on: Mapping[str, str]) -> None:
        self.name, self.trained_on, self.predictor = name, trained_on, predictor
        self.input_size = predictor.spec.size
        self.knows = _knows(predictor.keypoints)

    def keypoints(self, crops: Image) -> tuple[FloatArray, FloatArray]:
        """See Teacher.keypoints."""
        resized = resize(crops, self.input_size)
        found, scores = predict_crops(self.predictor, resized, flip_test=False)
        return _in_crop(found, scores, self.predictor.keypoints, crops, self.input_size)


@dataclass(frozen=True, slots=True)
class Graph:
    """A model file in its runtime, one picture at a time.

    Attributes:
        input_shape: of the only input.
        input_dtype: of the only input.
        output_shapes: of all outputs.
        run: from the input tensor to the output tensors.
    """

    input_shape: tuple[int, ...]
    input_dtype: str
    output_shapes: tuple[tuple[int, ...], ...]
    run: Callable[[NDArray[Any]], list[NDArray[Any]]]


class MoveNetTeacher:
    """MoveNet SinglePose; see Teacher. It knows the twelve joints that COCO and MPII share."""

    # Measured with Lightning int8 on 200 held-out persons of LSPET, PCK@0.2 over the twelve:
    # 57.2 at 0.75, 60.5 at 0.85, 57.4 at 1.
    crop_factor = 0.85

    def __init__(self, graph: Graph, name: str) -> None:
        self.name, self.graph = name, graph
        self.trained_on: Mapping[str, str] = {}
        height, width = graph.input_shape[1:3]
        self.input_size = (width, height)
        self.knows = _knows(COCO17)

    @staticmethod
    def fits(graph: Graph) -> bool:
        """Tell whether a file has MoveNet's inputs and outputs."""
        picture = len(graph.input_shape) == 4 and graph.input_shape[3] == 3
        return picture and graph.output_shapes == ((1, 1, len(COCO17.keypoints), 3),)

    def keypoints(self, crops: Image) -> tuple[FloatArray, FloatArray]:
        """See Teacher.keypoints."""
        spec = InputSpec(self.input_size, "rgb", "nhwc", "uint8")
        tensors = to_tensor(resize(crops, self.input_size), spec)
        dtype = np.dtype(self.graph.input_dtype)
        answers = [self.graph.run(one[None].astype(dtype))[0].reshape(-1, 3) for one in tensors]
        y, x, scores = np.moveaxis(np.array(answers, np.float32), 2, 0)
        # It counts in shares of the side, from the picture's edge: 0.5 px before the first centre.
        found = np.stack([x, y], axis=2) * np.array(self.input_size, np.float32) - np.float32(0.5)
        return _in_crop(found, scores, COCO17, crops, self.input_size)


def open_teacher(spec: str) -> Teacher:
    """Open a checkpoint file, an artifact folder, a shipped artifact's name, or a peer's model.

    Raises:
        EdgePoseError: it is none of them, damaged, or a model whose outputs are not known here.
    """
    if Path(spec).suffix in PEERS:
        graph = open_graph(Path(spec))
        if not MoveNetTeacher.fits(graph):
            raise BackendError(
                f"{spec}: takes {list(graph.input_shape)} and gives"
                f" {[list(shape) for shape in graph.output_shapes]}; the only peer known here is"
                " MoveNet SinglePose: [1, side, side, 3] -> [1, 1, 17, 3]"
            )
        return MoveNetTeacher(graph, spec)
    predictor, opened = open_predictor(spec)
    known = opened if isinstance(opened, CheckpointInfo) else opened.manifest.origin
    return HeatmapTeacher(predictor, spec, known.trained_on)


def open_graph(file: Path) -> Graph:
    """Load a .tflite or .onnx file that has one input of a fixed shape.

    Raises:
        BackendError: it cannot be read, or its runtime is missing or refuses it.
    """
    try:
        model = file.read_bytes()
    except OSError as error:
        raise BackendError(f"{file}: cannot be read: {error.strerror}") from None
    return _tflite(model, file) if file.suffix == ".tflite" else _onnx(model, file)


def resize(crops: Image, size: tuple[int, int]) -> Image:
    """Bring (N, h, w, 3) crops to `size` (w, h)."""
    matrix = _to_size(crops, size)
    if crops.shape[1:3] == size[::-1]:
        return crops
    return np.stack([crop(one, matrix, size) for one in crops])


def _knows(keypoints: KeypointFormat) -> NDArray[np.bool_]:
    return np.isin(MPII16.keypoints, keypoints.keypoints)


def _to_size(crops: Image, size: tuple[int, int]) -> NDArray[np.float64]:
    height, width = crops.shape[1:3]
    return region_affine(Region(((width - 1) / 2, (height - 1) / 2), (width, height)), size)


def _in_crop(
    found: FloatArray,
    scores: FloatArray,
    keypoints: KeypointFormat,
    crops: Image,
    size: tuple[int, int],
) -> tuple[FloatArray, FloatArray]:
    joints, known = to_mpii(found, keypoints)
    sure, _ = to_mpii(scores[..., None], keypoints)
    back = invert_affine(_to_size(crops, size))
    return apply_affine(joints, back), (sure[..., 0] * known).clip(0.0, 1.0)


def _tflite(model: bytes, file: Path) -> Graph:
    from edge_pose.backends.tflite import open_graph as open_tflite

    graph = open_tflite(model, available_cores(), str(file))
    shapes = tuple(output.shape for output in graph.outputs)
    return Graph(graph.inputs[0].shape, graph.inputs[0].dtype.name, shapes, graph.run)


def _onnx(model: bytes, file: Path) -> Graph:
    import onnxruntime as ort

    from edge_pose.backends.onnxruntime import OnnxRuntimeBackend

    options = ort.SessionOptions()
    options.intra_op_num_threads = available_cores()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - the runtime's own exceptions share no base class
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackendError(f"{file}: ONNX Runtime refuses it: {reason}") from None
    taken = session.get_inputs()[0]
    shapes = tuple(_fixed(output.shape) for output in session.get_outputs())
    backend = OnnxRuntimeBackend(session, taken.name, ort.__version__, "CPU")
    dtype = ONNX_DTYPES.get(taken.type, taken.type)
    return Graph(_fixed(taken.shape), dtype, shapes, backend.run)


def _fixed(shape: list[Any]) -> tuple[int, ...]:
    """Return a shape with 0 for sides that the file leaves open."""
    return tuple(side if isinstance(side, int) else 0 for side in shape)
