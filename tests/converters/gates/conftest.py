"""Networks that know the truth of drawn pictures, weak ones that know nothing, and their damage."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch

from converters.gates import Limits
from converters.gates.views import Views
from edge_pose.artifact import Artifact
from edge_pose.manifest import SCHEMA, Manifest
from edge_pose.preprocess import InputSpec, apply_affine, to_tensor
from edge_pose.skeleton import MPII16
from edge_pose.types import FloatArray
from training.datasets import Person
from training.datasets.boxes import by_picture, joints_box
from training.datasets.scenes import Scene
from training.losses.associative import people_heatmaps

SIDE, STRIDE = 64, 4
SIZE = (SIDE, SIDE)
SPEC = InputSpec(SIZE)
Maps = list[FloatArray]
Damage = Callable[[Maps], Maps]


class Known:
    """A network that has an answer to every picture of the gate; see training.predictors.Network.

    Args:
        task: of the network.
        views: the pictures.
        answers: per picture its outputs (C, h, w).
        kind: of the heatmaps.
    """

    name = "known"
    spec, stride, keypoints = SPEC, STRIDE, MPII16

    def __init__(self, task: str, views: Views, answers: list[Maps], kind: str) -> None:
        self.task, self.heatmap_kind = task, kind
        self.trained_on: Mapping[str, str] = {}
        tensors = [to_tensor(view.image[None], SPEC).tobytes() for view in views]
        self.answers = dict(zip(tensors, answers, strict=True))

    def maps(self, tensor: Any) -> Maps:
        found = [self.answers[one.tobytes()] for one in tensor]
        return [np.stack(outputs) for outputs in zip(*found, strict=True)]

    def heatmaps(self, tensor: Any) -> FloatArray:
        return self.maps(tensor)[-1]

    def resized(self, size: tuple[int, int]) -> Known:
        raise AssertionError(size)


class Damaged:
    """A runtime that returns what a network returns, after something happened to it."""

    name, version, device = "damaged", "0", "CPU"

    def __init__(self, network: Known, damage: Damage) -> None:
        self.network, self.damage = network, damage

    def run(self, tensor: Any) -> Maps:
        return self.damage([output.copy() for output in self.network.maps(tensor)])

    def close(self) -> None:
        pass


def sound(outputs: Maps) -> Maps:
    """What rounding to 8 bits does to a good network, about."""
    rng = np.random.default_rng(1)
    return [o + rng.normal(0, 2e-3, o.shape).astype(np.float32) * np.abs(o).max() for o in outputs]


def noise(outputs: Maps) -> Maps:
    rng = np.random.default_rng(1)
    return [o + rng.normal(0, 2, o.shape).astype(np.float32) * np.abs(o).max() for o in outputs]


def shifted(outputs: Maps) -> Maps:
    """By two px of the coarser maps."""
    step = outputs[0].shape[-1] // (SIDE // STRIDE)
    return [np.roll(o, 2 * step * o.shape[-1] // outputs[0].shape[-1], axis=-1) for o in outputs]


def swapped(outputs: Maps) -> Maps:
    """Every channel has its neighbour's place."""
    return [np.roll(o, 1, axis=1) for o in outputs]


def constant(outputs: Maps) -> Maps:
    return [np.full_like(o, 0.25) for o in outputs]


def nothing(outputs: Maps) -> Maps:
    """Not a number, in one px of one map."""
    outputs[-1][0, 0, 3, 3] = np.nan
    return outputs


def quiet(outputs: Maps) -> Maps:
    """Every peak is where it was; no score is what it was."""
    return [o * np.float32(0.02) for o in outputs]


def loud(outputs: Maps) -> Maps:
    return [o * np.float32(50) for o in outputs]


def one_in(n: int, damage: Damage) -> Damage:
    """Let something happen to every n-th picture only."""
    calls = itertools.count(1)
    return lambda outputs: outputs if next(calls) % n else damage(outputs)


def fainter(outputs: Maps) -> Maps:
    return [o * np.float32(0.7) for o in outputs]


def stronger(outputs: Maps) -> Maps:
    return [o * np.float32(1.5) for o in outputs]


def lifted(outputs: Maps) -> Maps:
    """By half of what each channel varies."""
    return [o + np.float32(0.5) * o.std(axis=(0, 2, 3), keepdims=True) for o in outputs]


DAMAGES = {
    "noise": noise,
    "shift": shifted,
    "swap": swapped,
    "constant": constant,
    "nan": nothing,
    "quiet": quiet,
    "loud": loud,
    "fainter": fainter,
    "stronger": stronger,
    "lifted": lifted,
}


def artifact_of(network: Known, task: str, decoder: str, shapes: list[tuple[int, ...]]) -> Artifact:
    names = ("name", "keypoints", "flip_pairs", "edges", "sigmas")
    box: dict[str, Any] = dict.fromkeys(names, ()) | {"name": "box"}
    body = {name: getattr(MPII16, name) for name in names}
    manifest = Manifest.model_validate(
        {
            "schema": SCHEMA,
            "name": "known_int8",
            "created_by": "tests",
            "task": task,
            "file": {
                "name": "model.onnx",
                "format": "onnx",
                "precision": "int8",
                "sha256": "ab" * 32,
                "size_bytes": 1,
                "backend": "onnxruntime",
            },
            "input": {
                "name": "image",
                "size": SIZE,
                "layout": "nchw",
                "dtype": "float32",
                "color": SPEC.color,
                "mean": SPEC.mean,
                "std": SPEC.std,
            },
            "outputs": [
                {"name": f"output{i}", "layout": "nkhw", "shape": shape, "dtype": "float32"}
                for i, shape in enumerate(shapes)
            ],
            "decoder": {"name": decoder, "kind": network.heatmap_kind, "stride": STRIDE},
            "keypoint_format": box if task == "detector" else body,
            "origin": {"model": "known", "checkpoint_sha256": "ab" * 32, "params": 1, "macs": 1},
        }
    )
    return Artifact(Path(), manifest, b"")


def weak_maps(count: int, channels: int, side: int, seed: int, height: float) -> list[FloatArray]:
    """Smooth hills at random, of pictures in which nobody is found."""
    rng = np.random.default_rng(seed)
    fields = rng.normal(size=(count, channels, side, side))
    smooth = scipy.ndimage.gaussian_filter(fields, (0, 0, 1.5, 1.5), mode="constant")
    scale = np.abs(smooth).max(axis=(2, 3), keepdims=True)
    return list((height * smooth / scale).astype(np.float32))


def person_maps(persons: tuple[Person, ...], views: Views) -> list[Maps]:
    """Heatmaps of height 1 of the persons in their crops, joints that are not there included."""
    answers = []
    for person, view in zip(persons, views, strict=True):
        inside = apply_affine(person.keypoints, view.matrix).clip(2, SIDE - 3)
        points = torch.from_numpy(inside)[None, None]
        shown = torch.ones(1, 1, 16, dtype=torch.bool)
        cells = (SIDE // STRIDE,) * 2
        answers.append([people_heatmaps(points, shown, STRIDE, cells, 1.0)[0].numpy()])
    return answers


def scene_maps(scenes: list[Scene], views: Views) -> list[Maps]:
    """Heatmaps and tags of everybody."""
    answers = []
    for scene, view in zip(scenes, views, strict=True):
        points = torch.from_numpy(apply_affine(scene.keypoints, view.matrix))[None]
        shown = torch.from_numpy(scene.present)[None]
        coarse, fine = (
            people_heatmaps(points, shown, s, (SIDE // s, SIDE // s), 1.0)[0].numpy()
            for s in (STRIDE, STRIDE // 2)
        )
        cells = (SIDE // STRIDE,) * 2
        each = [
            people_heatmaps(points[:, [p]], shown[:, [p]], STRIDE, cells, 4.0)[0].numpy()
            for p in range(len(scene.present))
        ]
        tags = 4.0 * np.stack(each).argmax(axis=0).astype(np.float32)
        answers.append([np.concatenate([coarse, tags]), fine])
    return answers


def center_maps(persons: tuple[Person, ...], views: Views) -> list[Maps]:
    """Centre maps of everybody's box."""
    answers = []
    side = SIDE // STRIDE
    for people, view in zip(by_picture(persons).values(), views, strict=True):
        maps = np.zeros((5, side, side), np.float32)
        maps[0] = -6
        for person in people:
            corners = apply_affine(joints_box(person).reshape(2, 2), view.matrix)
            x, y = (corners.mean(axis=0) + 0.5) / STRIDE - 0.5
            column, row = int(np.rint(x)), int(np.rint(y))
            maps[1:3] = 0  # every px names its own centre: what is left is next to the peak
            near = np.s_[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            maps[0][near] = np.maximum(maps[0][near], -1)
            maps[0, row, column] = 4
            size = (corners[1] - corners[0]) / STRIDE
            ys, xs = np.mgrid[near]
            maps[1][near], maps[2][near] = x - xs, y - ys
            maps[3][near], maps[4][near] = size
        answers.append([maps])
    return answers


@pytest.fixture(scope="session")
def lab() -> SimpleNamespace:
    """Everything above."""
    return SimpleNamespace(**globals())


@pytest.fixture(scope="session")
def limits() -> Limits:
    return Limits(1.5)


@pytest.fixture(params=list(DAMAGES))
def damage(request: pytest.FixtureRequest) -> Damage:
    return DAMAGES[request.param]
