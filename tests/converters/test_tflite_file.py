"""What a TFLite file says of itself: names, order, heads; and a runtime that goes by names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters import tflite_file, torch_tflite
from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import open_backend
from edge_pose.manifest import Manifest, OutputTensor

NAMES = ("small", "large", "fine")


class Pyramid(nn.Module):
    """Maps at two resolutions, and finer ones from features and maps as in bottom-up networks."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, padding=1)
        self.first, self.second = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)
        self.third = nn.Conv2d(12, 4, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = torch.relu(self.body(image))
        large = self.first(features)
        small = nn.functional.avg_pool2d(self.second(features), 2)
        return small, large, self.third(torch.cat([features, large], dim=1)) + 1


@pytest.fixture(scope="module")
def pyramid() -> Pyramid:
    torch.manual_seed(1)
    return Pyramid().eval()


@pytest.fixture(scope="module")
def file(pyramid: Pyramid, need: Callable[[str], ModuleType]) -> bytes:
    need("litert_torch")
    return torch_tflite.export(pyramid, torch.zeros(1, 3, 64, 64), NAMES)


@pytest.fixture
def manifest(tiny_artifact: Path) -> Manifest:
    """The outputs of the pyramid; no decoder has such."""
    found = load_artifact(tiny_artifact).manifest
    outputs = tuple(
        OutputTensor(name=name, layout="nhwk", shape=(1, side, side, 4), dtype="float32")
        for name, side in zip(NAMES, (32, 64, 64), strict=True)
    )
    update = {"format": "tflite", "backend": "tflite"}
    return found.model_copy(
        update={
            "outputs": outputs,
            "file": found.file.model_copy(update=update),
            "input": found.input.model_copy(update={"layout": "nhwc"}),
        }
    )


def test_tensors_are_named_and_ordered_as_asked_for(file: bytes) -> None:
    inputs, outputs = tflite_file.tensors(file)
    assert [(t.name, t.shape) for t in inputs] == [("image", (1, 64, 64, 3))]
    assert [t.name for t in outputs] == list(NAMES)
    assert [t.shape for t in outputs] == [(1, 32, 32, 4), (1, 64, 64, 4), (1, 64, 64, 4)]
    content = tflite_file.unpack(file)
    signature = content.signatureDefs[0]
    assert signature.signatureKey == b"serving_default"
    assert [entry.name for entry in signature.outputs] == [name.encode() for name in NAMES]
    named = [tensor.name for tensor in content.subgraphs[0].tensors]
    assert len(set(named)) == len(named)


def test_the_head_is_what_lies_behind_the_last_weights_or_reads_an_output(file: bytes) -> None:
    found = tflite_file.operators(file)
    assert [o.kind for o in found if not o.head] == ["CONV_2D"]  # the body
    assert {"CONV_2D", "CONCATENATION", "AVERAGE_POOL_2D"} <= {o.kind for o in found if o.head}
    assert not any(operator.integer for operator in found)


def test_the_files_order_of_outputs_does_not_matter(
    file: bytes, manifest: Manifest, pyramid: Pyramid
) -> None:
    content = tflite_file.unpack(file)
    content.subgraphs[0].outputs.reverse()
    image = np.random.default_rng(2).standard_normal((1, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        expected = pyramid(torch.from_numpy(image).permute(0, 3, 1, 2))
    for model in (file, tflite_file.pack(content)):
        artifact = Artifact(Path("pyramid"), manifest, model)
        with closing(open_backend(artifact, threads=1)) as backend:
            found = backend.run(image)
        for ours, theirs in zip(expected, found, strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-5)


def test_parts_come_as_one_map(file: bytes, manifest: Manifest, pyramid: Pyramid) -> None:
    small, *parts = manifest.outputs
    outputs = (small, *(part.model_copy(update={"part_of": "both"}) for part in parts))
    artifact = Artifact(Path("pyramid"), manifest.model_copy(update={"outputs": outputs}), file)
    image = np.random.default_rng(2).standard_normal((1, 64, 64, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = pyramid(torch.from_numpy(image).permute(0, 3, 1, 2))
    with closing(open_backend(artifact, threads=1)) as backend:
        found = backend.run(image)
    for ours, theirs in zip((wanted[0], torch.cat(wanted[1:], dim=1)), found, strict=True):
        np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-5)
