"""A tiny artifact that needs no trained weights, pictures that it understands, and broken copies.

The tiny network sees coloured blobs: the reddest place of the picture is every keypoint of the
first third, the greenest one of the second and the bluest one of the last. A "person" is three
blobs, so that a test knows each keypoint before the network is asked.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import hypothesis
import numpy as np
import pytest

import edge_pose.backends.openvino  # noqa: F401 - it keeps openvino, imported later, from calling home
from edge_pose.artifact import write_manifest
from edge_pose.config import ENV_OTHER, ENV_PREFIX
from edge_pose.manifest import SCHEMA, Manifest
from edge_pose.samples import WALKING
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray, Image

# A machine with other work to do is no error of the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

PACKAGES = ("edge_pose", "converters", "training", "benchmarks")
INPUT_PX, STRIDE = 64, 4
GAIN = 1.25  # so that a blob which fills a heatmap px has a score of 1 even after video coding
COLOR_OF = np.array([0] * 5 + [1] * 6 + [2] * 5)  # keypoint -> red, green, blue


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in os.environ:
        if name.startswith(ENV_PREFIX) and name not in ENV_OTHER - {"EDGE_POSE_CONFIG"}:
            monkeypatch.delenv(name)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path_factory.getbasetemp() / name.lower()))


@pytest.fixture(autouse=True)
def _logging_stays() -> Iterator[None]:
    """Commands set logging up for a process of their own; what they set ends with the test."""
    level, disabled = logging.root.level, logging.root.manager.disable
    yield
    logging.root.setLevel(level)
    logging.disable(disabled)
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in PACKAGES:
            logger.setLevel(logging.NOTSET)
            logger.handlers.clear()
            logger.propagate, logger.disabled = True, False


@pytest.fixture(scope="session")
def need() -> Callable[[str], ModuleType]:
    """Import an optional dependency; without it skip, but fail where CI=true."""

    def load(module: str) -> ModuleType:
        try:
            return importlib.import_module(module)
        except ImportError:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{module} is not installed, and CI must run these tests")
            pytest.skip(f"{module} is not installed")

    return load


def _network(onnx: ModuleType) -> bytes:
    """Mean over 4x4 px, then per keypoint its colour minus half of each of the two others."""
    helper, kinds = onnx.helper, onnx.TensorProto
    weights = np.full((16, 3, 1, 1), -0.5 * GAIN, np.float32)
    weights[np.arange(16), COLOR_OF, 0, 0] = GAIN
    pooling = {"kernel_shape": [STRIDE, STRIDE], "strides": [STRIDE, STRIDE]}
    side = INPUT_PX // STRIDE
    graph = helper.make_graph(
        [
            helper.make_node("AveragePool", ["image"], ["cells"], **pooling),
            helper.make_node("Conv", ["cells", "weights"], ["heatmaps"]),
        ],
        "blobs",
        [helper.make_tensor_value_info("image", kinds.FLOAT, [1, 3, INPUT_PX, INPUT_PX])],
        [helper.make_tensor_value_info("heatmaps", kinds.FLOAT, [1, 16, side, side])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def _manifest(model: bytes) -> Manifest:
    side = INPUT_PX // STRIDE
    return Manifest.model_validate(
        {
            "schema": "edge_pose.artifact/1",
            "name": "blobs_fp32",
            "created_by": "tests",
            "task": "top_down",
            "file": {
                "name": "model.onnx",
                "format": "onnx",
                "precision": "fp32",
                "sha256": hashlib.sha256(model).hexdigest(),
                "size_bytes": len(model),
                "backend": "onnxruntime",
            },
            "input": {
                "name": "image",
                "size": (INPUT_PX, INPUT_PX),
                "layout": "nchw",
                "dtype": "float32",
                "color": "rgb",
                "mean": (0.0, 0.0, 0.0),
                "std": (255.0, 255.0, 255.0),
            },
            "outputs": [
                {
                    "name": "heatmaps",
                    "layout": "nkhw",
                    "shape": (1, 16, side, side),
                    "dtype": "float32",
                }
            ],
            "decoder": {"name": "heatmap", "kind": "gaussian", "stride": STRIDE},
            "keypoint_format": {
                name: getattr(MPII16, name)
                for name in ("name", "keypoints", "flip_pairs", "edges", "sigmas")
            },
            "origin": {
                "model": "blobs",
                "checkpoint_sha256": "ab" * 32,
                "params": 48,
                "macs": 12_288,
            },
            "gate": {
                "passed": True,
                "dataset": "blobs",
                "metric": "PCKh@0.5",
                "n_persons": 100,
                "checkpoint_accuracy": 80.0,
                "artifact_accuracy": 80.0,
                "limit_points": 1.0,
                "drift_p50_px": 0.0,
                "drift_p95_px": 0.0,
                "argmax_agreement": 1.0,
            },
        }
    )


@pytest.fixture(scope="session")
def tiny_artifact(
    tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], ModuleType]
) -> Path:
    """The folder of an artifact of 64x64 px, stride 4, with 16 MPII keypoints and a passed gate."""
    need("onnxruntime")
    folder = tmp_path_factory.mktemp("artifact") / "blobs"
    folder.mkdir()
    model = _network(need("onnx"))
    (folder / "model.onnx").write_bytes(model)
    write_manifest(folder, _manifest(model))
    return folder


@pytest.fixture(scope="session")
def write_artifact(
    tmp_path_factory: pytest.TempPathFactory, need: Callable[[str], ModuleType]
) -> Callable[..., Path]:
    """Return a function that writes an ONNX model with the tiny artifact's manifest, changed."""
    need("onnxruntime")

    def write(name: str, model: bytes, **changes: Any) -> Path:
        folder = tmp_path_factory.mktemp("artifact") / name
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model)
        values = _manifest(model).model_dump(mode="json", by_alias=True)
        values |= {"schema": SCHEMA, "name": f"{name}_fp32", **changes}
        write_manifest(folder, Manifest.model_validate(values))
        return folder

    return write


class ArtifactCopy:
    """A copy of the tiny artifact that a test may break."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "model.onnx"
        self.manifest = folder / "manifest.json"

    def set(self, key: str, value: object) -> ArtifactCopy:
        """Set "a.b" of the manifest; None removes it."""
        values = json.loads(self.manifest.read_text("utf-8"))
        *tables, name = key.split(".")
        table = values
        for part in tables:
            table = table[int(part) if part.isdigit() else part]
        if value is None:
            del table[name]
        else:
            table[name] = value
        self.manifest.write_text(json.dumps(values), "utf-8")
        return self

    def replace_model(self, model: bytes, *, rehash: bool = True) -> ArtifactCopy:
        """Replace the model file; `rehash` lets the manifest agree with it."""
        self.model.write_bytes(model)
        if rehash:
            self.set("file.sha256", hashlib.sha256(model).hexdigest())
            self.set("file.size_bytes", len(model))
        return self


@pytest.fixture
def artifact_copy(tiny_artifact: Path, tmp_path: Path) -> ArtifactCopy:
    return ArtifactCopy(Path(shutil.copytree(tiny_artifact, tmp_path / "copy")))


def _blob(
    image: Image, center: tuple[float, float], sigma: float, bgr: tuple[int, int, int]
) -> None:
    height, width = image.shape[:2]
    ys, xs = np.mgrid[:height, :width]
    heat = np.exp(-((xs - center[0]) ** 2 + (ys - center[1]) ** 2) / (2 * sigma**2))[..., None]
    image[:] = np.rint(image * (1 - heat) + np.array(bgr) * heat).astype(np.uint8)


class BlobScene:
    """A grey picture with a "person" in it."""

    def __init__(self, size: tuple[int, int] = (160, 120)) -> None:
        self.image: Image = np.full((size[1], size[0], 3), 40, np.uint8)

    @staticmethod
    def keypoints(center: tuple[float, float], span: float) -> FloatArray:
        """Return the (16, 2) px of the person that `person` draws."""
        x, y = center
        blobs = np.array([(x - span / 2, y - span / 2), (x + span / 2, y), (x, y + span / 2)])
        return np.asarray(blobs[COLOR_OF], np.float32)

    def person(self, center: tuple[float, float], span: float = 40.0) -> BlobScene:
        """Draw a person whose longer side is `span` px."""
        red, green, blue = self.keypoints(center, span)[[0, 5, 15]]
        for place, bgr in ((red, (0, 0, 255)), (green, (0, 255, 0)), (blue, (255, 0, 0))):
            _blob(self.image, (float(place[0]), float(place[1])), span / 7, bgr)
        return self


@pytest.fixture(scope="session")
def scene() -> type[BlobScene]:
    return BlobScene


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes pictures of one size as a video of 25 frames per second."""

    def make(images: list[Image], name: str = "pictures.mp4") -> Path:
        path = tmp_path / name
        height, width = images[0].shape[:2]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (width, height))
        assert writer.isOpened()
        for image in images:
            writer.write(image)
        writer.release()
        return path

    return make


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a video with a person who walks to the right, 2 px a frame."""

    def make(frames: int = 20, name: str = "blobs.mp4", fps: float = 25.0) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (160, 120))
        assert writer.isOpened()
        for index in range(frames):
            x = 40 + 2 * (index % 40)
            writer.write(BlobScene((160, 120)).person((x, 60), 48).image)
        writer.release()
        return path

    return make


@pytest.fixture
def cut_clip(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that keeps a part of the walking clip.

    With `index_first` its index lies before its data, as for streaming: the file opens and breaks
    off in the middle. Without, the index at its end is lost and it cannot be opened at all.
    """

    def cut(part: float, *, index_first: bool) -> Path:
        data = WALKING.read_bytes()
        data = _index_first(data) if index_first else data
        path = tmp_path / "cut.mp4"
        path.write_bytes(data[: round(len(data) * part)])
        return path

    return cut


@pytest.fixture
def index_first() -> Callable[[bytes], bytes]:
    return _index_first


def _index_first(data: bytes) -> bytes:
    """Move the moov box of an MP4 file in front of its mdat box (ISO/IEC 14496-12)."""
    moov_at, mdat_at = data.index(b"moov") - 4, data.index(b"mdat") - 4
    moov = bytearray(data[moov_at:])
    table = moov.index(b"stco")
    (count,) = struct.unpack_from(">I", moov, table + 8)
    for place in range(table + 12, table + 12 + 4 * count, 4):
        (offset,) = struct.unpack_from(">I", moov, place)
        struct.pack_into(">I", moov, place, offset + len(moov))
    return data[:mdat_at] + bytes(moov) + data[mdat_at:moov_at]


def _frame_count(path: Path) -> int:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


@pytest.fixture
def count_frames() -> Callable[[Path], int]:
    """Return a function that decodes a video and counts its frames; 0 when it cannot be read."""
    return _frame_count
