"""docs/android.md, step by step: whoever follows it gets the keypoints that edge_pose gets.

The steps are written here from the document, with LiteRT, numpy and OpenCV's file reading alone;
of edge_pose only what they are compared with is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_pose.artifact import load_artifact, write_manifest
from edge_pose.backends import open_backend
from edge_pose.backends.tflite import pixel_table
from edge_pose.config import ACQUIRE_SCORE, CROP_PADDING, MIN_KEYPOINT_SCORE
from edge_pose.decoding.heatmap import WINDOW_RADIUS
from edge_pose.estimator import Estimator
from edge_pose.manifest import READABLE, Manifest
from edge_pose.preprocess import Region, bbox_region
from edge_pose.search import search_regions

ROOT = Path(__file__).parents[2]
FILES = ROOT / "tests" / "fixtures" / "tflite"
KOTLIN = ROOT / "examples" / "android"
Array = Any


@dataclass
class View:
    cx: float
    cy: float
    rw: float
    rh: float


class Steps:
    """What an app does; the numbers are the document's."""

    def __init__(self, folder: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # 1. Load.
        self.manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        assert self.manifest["schema"] in ("edge_pose.artifact/1", "edge_pose.artifact/2")
        assert self.manifest["task"] == "top_down"
        model = (folder / self.manifest["file"]["name"]).read_bytes()
        assert hashlib.sha256(model).hexdigest() == self.manifest["file"]["sha256"]
        self.interpreter = Interpreter(model_content=model, num_threads=1)
        self.interpreter.allocate_tensors()
        self.w, self.h = self.manifest["input"]["size"]

    def whole(self, image: Array) -> View:
        # 2. Region.
        height, width = image.shape[:2]
        return self.fit((width - 1) / 2, (height - 1) / 2, width, height)

    def around(self, person: list[tuple[float, float, float]]) -> View:
        sure = [k for k in person if k[2] >= 0.3]
        points = sure if len(sure) >= 2 else person
        xs, ys = [k[0] for k in points], [k[1] for k in points]
        side = max(max(xs) - min(xs), max(ys) - min(ys)) * 1.4
        return self.fit((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, side, side)

    def fit(self, cx: float, cy: float, width: float, height: float) -> View:
        rw = max(width, height * self.w / self.h)
        return View(cx, cy, rw, rw * self.h / self.w)

    def crop(self, image: Array, view: View) -> Array:
        # 3. Crop.
        n = max(1, math.floor(view.rw / self.w))
        if view.rw / self.w > 2:
            height, width = image.shape[0] // n * n, image.shape[1] // n * n
            squares = image[:height, :width].reshape(height // n, n, width // n, n, 3)
            image = squares.mean(axis=(1, 3))
        else:
            n = 1
        result = np.zeros((self.h, self.w, 3))
        for j in range(self.h):
            for i in range(self.w):
                x = view.cx + (i - (self.w - 1) / 2) * view.rw / self.w
                y = view.cy + (j - (self.h - 1) / 2) * view.rh / self.h
                result[j, i] = between(image, (x + 0.5) / n - 0.5, (y + 0.5) / n - 0.5)
        return np.rint(result).astype(int)

    def fill(self, pixels: Array) -> Array:
        # 4. Input; pictures in Python are BGR.
        entry = self.manifest["input"]
        if entry["color"] == "rgb":
            pixels = pixels[..., ::-1]
        if entry["dtype"] == "uint8" and entry["quantization"] is None:
            return pixels.astype(np.uint8)
        real = (pixels - np.array(entry["mean"])) / np.array(entry["std"])
        if entry["dtype"] == "float32":
            return real.astype(np.float32)
        stored = np.rint(real / entry["quantization"]["scale"])
        stored += entry["quantization"]["zero_point"]
        limits = np.iinfo(entry["dtype"])
        return stored.clip(limits.min, limits.max).astype(entry["dtype"])

    def run(self, tensor: Array) -> Array:
        # 5. Run.
        entry = self.manifest["outputs"][0]
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], tensor[None])
        self.interpreter.invoke()
        stored = self.interpreter.get_tensor(self.interpreter.get_output_details()[0]["index"])
        assert entry["layout"] == "nhwk"
        assert list(stored.shape) == entry["shape"]
        values = stored[0].astype(float)
        if entry["quantization"] is not None:
            values = values - entry["quantization"]["zero_point"]
            values = values * entry["quantization"]["scale"]
        return values

    def decode(self, v: Array) -> tuple[float, float, float]:
        # 6. Decode one keypoint's map.
        h, w = v.shape
        py, px = divmod(int(v.argmax()), w)
        logits = self.manifest["decoder"]["kind"] == "logits"
        m = np.exp(v - v[py, px]) if logits else np.maximum(v, 0)
        score = v[py, px]
        if logits:
            near = m[max(py - 3, 0) : py + 4, max(px - 3, 0) : px + 4]
            score = near.sum() / m.sum()
        rx, ry = min(3, px, w - 1 - px), min(3, py, h - 1 - py)
        total = shift_x = shift_y = 0.0
        for dy in range(-ry, ry + 1):
            for dx in range(-rx, rx + 1):
                mass = m[py + dy, px + dx]
                total += mass
                shift_x += mass * dx
                shift_y += mass * dy
        if total > 0:
            shift_x, shift_y = shift_x / total, shift_y / total
        stride = self.manifest["decoder"]["stride"]
        x, y = (px + shift_x + 0.5) * stride - 0.5, (py + shift_y + 0.5) * stride - 0.5
        return x, y, min(max(score, 0.0), 1.0)

    def __call__(self, image: Array, view: View) -> list[tuple[float, float, float]]:
        values = self.run(self.fill(self.crop(image, view)))
        person = []
        for k in range(values.shape[-1]):
            x, y, score = self.decode(values[..., k])
            # 7. Back.
            x = view.cx + (x - (self.w - 1) / 2) * view.rw / self.w
            y = view.cy + (y - (self.h - 1) / 2) * view.rh / self.h
            person.append((x, y, score))
        return person


def between(image: Array, x: float, y: float) -> Array:
    """Bilinear interpolation; black outside."""
    left, top = math.floor(x), math.floor(y)
    value = np.zeros(3)
    for row, down in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, across in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                value += down * across * image[row, column]
    return value


@pytest.fixture
def folder(
    tiny_artifact: Path, need: Callable[[str], ModuleType], tmp_path: Path
) -> Callable[[str, str], Path]:
    """Write the blob network as a TFLite artifact: one dtype at both ends, one kind of heatmap."""
    need("ai_edge_litert")

    def write(dtype: str, kind: str) -> Path:
        model = (FILES / f"blobs_{dtype}.tflite").read_bytes()
        values = load_artifact(tiny_artifact).manifest.model_dump(mode="json", by_alias=True)
        values["file"] |= {"name": "model.tflite", "format": "tflite", "backend": "tflite"}
        values["file"] |= {"sha256": hashlib.sha256(model).hexdigest(), "size_bytes": len(model)}
        values["input"] |= {"layout": "nhwc", "dtype": dtype}
        values["outputs"][0] |= {"layout": "nhwk", "dtype": dtype}
        values["decoder"]["kind"] = kind
        if dtype != "float32":
            for entry, stored in zip(
                (values["input"], values["outputs"][0]), scales(model), strict=True
            ):
                entry["quantization"] = stored
        (tmp_path / "model.tflite").write_bytes(model)
        write_manifest(tmp_path, Manifest.model_validate(values))
        return tmp_path

    return write


def scales(model: bytes) -> list[dict[str, float]]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model)
    details = interpreter.get_input_details() + interpreter.get_output_details()
    pairs = [detail["quantization"] for detail in details]
    return [{"scale": float(scale), "zero_point": int(zero)} for scale, zero in pairs]


@pytest.mark.parametrize("kind", ["gaussian", "logits"])
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
@pytest.mark.parametrize(
    ("picture", "person", "span"),
    [
        ((160, 120), (70.0, 60.0), 40.0),  # about the input's own size
        ((160, 120), (24.0, 96.0), 40.0),  # a part of the region lies outside
        ((640, 480), (301.0, 233.0), 200.0),  # more than twice the input: shrunk first
    ],
)
def test_the_steps_give_the_keypoints_of_the_estimator(
    folder: Callable[[str, str], Path],
    scene: Any,
    picture: tuple[int, int],
    person: tuple[float, float],
    span: float,
    dtype: str,
    kind: str,
) -> None:
    image = scene(picture).person(person, span).image
    artifact = load_artifact(folder(dtype, kind))
    estimator = Estimator(artifact, open_backend(artifact, threads=1))
    # Not in its middle: a blob on the line between two heatmap px has two peaks.
    center = np.array(person) + 0.1 * span
    box = np.concatenate([center - span / 2, center + span / 2])
    region = bbox_region(box, estimator.input_size, CROP_PADDING)
    expected = estimator.estimate(image, region)
    steps = Steps(artifact.folder)
    found = np.array(steps(image, View(*region.center, *region.size)))
    assert np.abs(found[:, :2] - expected.keypoints).max() < 0.5
    assert np.abs(found[:, 2] - expected.scores).max() < 0.05
    # And that is where the blobs are, within a heatmap px of the source.
    truth = scene.keypoints(person, span)
    assert np.abs(found[:, :2] - truth).max() < 4 * region.size[0] / 64


def test_regions_are_those_of_the_estimator(folder: Callable[[str, str], Path]) -> None:
    steps = Steps(folder("float32", "gaussian"))
    image = np.zeros((120, 160, 3), np.uint8)
    whole, first = steps.whole(image), search_regions(160, 120, (64, 64))[0]
    assert (whole.cx, whole.cy, whole.rw, whole.rh) == (*first.center, *first.size)
    person = [(10.0, 20.0, 0.9), (50.0, 100.0, 0.5), (500.0, 0.0, 0.1)]
    around = steps.around(person)
    expected = bbox_region(np.array([10, 20, 50, 100], np.float32), (64, 64), CROP_PADDING)
    assert expected == Region((around.cx, around.cy), (around.rw, around.rh))


def test_input_integers_are_those_of_the_backend(folder: Callable[[str, str], Path]) -> None:
    artifact = load_artifact(folder("int8", "gaussian"))
    steps = Steps(artifact.folder)
    pixels = np.arange(256).reshape(16, 16, 1).repeat(3, axis=2)
    stored = open_backend(artifact, threads=1)
    table = pixel_table(artifact.manifest.input, stored._graph.inputs[0], "here")
    assert table is not None
    assert steps.fill(pixels)[..., 0].ravel().tolist() == table[0].tolist()


def test_the_kotlin_sources_have_the_documents_numbers() -> None:
    source = (KOTLIN / "PoseEstimator.kt").read_text("utf-8")
    constants = dict(re.findall(r"const val (\w+) = ([\d.]+)", source))
    assert {name: float(value) for name, value in constants.items()} == {
        "WINDOW_RADIUS": WINDOW_RADIUS,
        "CROP_PADDING": CROP_PADDING,
        "MIN_KEYPOINT_SCORE": MIN_KEYPOINT_SCORE,
        "ACQUIRE_SCORE": ACQUIRE_SCORE,
    }
    document = (ROOT / "docs" / "android.md").read_text("utf-8")
    for value in (CROP_PADDING, MIN_KEYPOINT_SCORE, ACQUIRE_SCORE):
        assert str(value) in document


def test_the_kotlin_sources_read_keys_that_manifests_have(
    folder: Callable[[str, str], Path],
) -> None:
    source = (KOTLIN / "Manifest.kt").read_text("utf-8")
    schemas = set(re.findall(r'"(edge_pose\.artifact/\d+)"', source))
    assert schemas == set(READABLE)
    asked = set(re.findall(r'(?:get|opt)\w+\("(\w+)"\)', source))
    assert len(asked) > 15
    values = json.loads((folder("int8", "logits") / "manifest.json").read_text("utf-8"))
    assert asked <= set(keys(values))


def keys(values: Any) -> list[str]:
    if isinstance(values, dict):
        return [*values, *(key for value in values.values() for key in keys(value))]
    return [key for value in values for key in keys(value)] if isinstance(values, list) else []
