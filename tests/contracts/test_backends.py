"""The contract of runtimes: whichever one runs an artifact, the same keypoints come out.

Every backend runs every format that it reads, in every precision that there is a converter for, of
networks of all three tasks; what comes out is held against the float network in torch. Distances
are px of an input of 64x64 px, 4 of them to a heatmap px.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pytest

from converters import CONVERTERS
from edge_pose.artifact import Artifact
from edge_pose.backends import BACKENDS, READS, open_backend, readers
from edge_pose.decoding.associative_embedding import decode_poses
from edge_pose.decoding.centers import decode_centers
from edge_pose.decoding.fusion import fuse_outputs
from edge_pose.decoding.heatmap import decode_heatmaps, split_keypoints
from edge_pose.errors import BackendError
from edge_pose.manifest import Manifest
from edge_pose.preprocess import to_tensor
from edge_pose.types import FloatArray, Image

TOLERANCE_PX = {"fp32": 0.01, "fp16": 0.05, "dynamic_int8": 0.25, "int8": 0.5}
"""How far a keypoint or the corner of a box may lie from the float network's, input px."""
# How far maps may lie from the float network's, as a share of what they range over.
TOLERANCE_MAPS = {"fp32": 1e-5, "fp16": 2e-3, "dynamic_int8": 0.03, "int8": 0.03}

TASKS = ("top_down", "bottom_up", "detector")
# All three tasks in float and in integers; what lies between is a matter of the formats alone.
KINDS = [
    (task, file_format, precision, "plain")
    for file_format, precision in CONVERTERS
    for task in (TASKS if precision in ("fp32", "int8") else TASKS[:1])
]
KINDS += [
    ("top_down", file_format, "fp32", "folded") for file_format, p in CONVERTERS if p == "fp32"
]
KINDS += [(task, "tflite", "int8", "integers") for task in TASKS]
CASES = [(backend, *kind) for kind in KINDS for backend in readers(kind[1])]

Case: TypeAlias = tuple[str, str, str, str, str]
Convert = Callable[..., Artifact]
Expected = Callable[[str], list[list[FloatArray]]]


def named(case: Case) -> str:
    return "-".join(part for part in case if part != "plain")


EVERY = pytest.mark.parametrize("case", CASES, ids=named)
FLOAT = pytest.mark.parametrize(
    "case", [c for c in CASES if c[1] == "top_down" and c[3:] == ("fp32", "plain")], ids=named
)


def tensor_of(artifact: Artifact, crop: Image) -> FloatArray:
    return np.asarray(to_tensor(crop[None], artifact.manifest.input.spec))


def points_of(manifest: Manifest, maps: list[FloatArray]) -> FloatArray:
    """Decode one picture: (M, 2) px of all keypoints of its person, or its box's two corners."""
    decoder = manifest.decoder
    if decoder.name == "keypoints":
        return split_keypoints(maps[0])[0][0]
    if decoder.name == "heatmap":
        return decode_heatmaps(maps[0], decoder.stride, decoder.kind)[0][0]
    if decoder.name == "centers":
        boxes, _ = decode_centers(maps[0][0], decoder.stride)
        return boxes[:1].reshape(2, 2)
    heatmaps, tags = fuse_outputs([output[0] for output in maps])
    people = decode_poses(heatmaps, tags, stride=decoder.stride / 2)
    return max(people, key=lambda person: float(person[1].mean()))[0]


def test_every_backend_and_format_is_part_of_the_contract() -> None:
    assert {case[0] for case in CASES} == set(BACKENDS) == set(READS)
    assert {case[2] for case in CASES} == {f for formats in READS.values() for f in formats}


@EVERY
def test_the_same_keypoints_come_out(
    case: Case, artifact_of: Convert, expected: Expected, crops: Image
) -> None:
    name, task, file_format, precision, ends = case
    artifact = artifact_of(task, file_format, precision, ends)
    plain = artifact_of(task, file_format, precision)  # says how the float maps are decoded
    worst = 0.0
    with closing(open_backend(artifact, name, threads=1)) as backend:
        for crop, maps in zip(crops, expected(task), strict=True):
            found = backend.run(tensor_of(artifact, crop))
            points = points_of(artifact.manifest, found)
            wanted = points_of(plain.manifest, maps)
            assert points.shape == wanted.shape
            worst = max(worst, float(np.linalg.norm(points - wanted, axis=1).max()))
    assert worst < TOLERANCE_PX[precision]


@EVERY
def test_outputs_are_float_maps_of_the_shapes_that_decoders_want(
    case: Case, artifact_of: Convert, expected: Expected, crops: Image
) -> None:
    name, task, file_format, precision, ends = case
    artifact = artifact_of(task, file_format, precision, ends)
    with closing(open_backend(artifact, name, threads=1)) as backend:
        assert (backend.name, backend.device) == (name, "CPU")
        assert backend.version[0].isdigit()
        found = backend.run(tensor_of(artifact, crops[0]))
    assert [output.dtype for output in found] == [np.float32] * len(found)
    if ends == "folded":
        assert [output.shape for output in found] == [(1, 16, 3)]
        return
    wanted = expected(task)[0]
    assert [output.shape for output in found] == [output.shape for output in wanted]
    for output, float_maps in zip(found, wanted, strict=True):
        allowed = TOLERANCE_MAPS[precision] * np.ptp(float_maps)
        assert np.abs(output - float_maps).max() < allowed


@EVERY
def test_results_stay_valid_after_the_next_run(
    case: Case, artifact_of: Convert, crops: Image
) -> None:
    name, *kind = case
    artifact = artifact_of(*kind)
    first, second = (tensor_of(artifact, crop) for crop in crops[:2])
    with closing(open_backend(artifact, name, threads=1)) as backend:
        kept = backend.run(first)
        copies = [output.copy() for output in kept]
        other = backend.run(second)
        assert all(map(np.array_equal, kept, copies))
        assert not np.array_equal(kept[0], other[0])
        assert all(map(np.array_equal, backend.run(first), copies))
    assert all(map(np.array_equal, kept, copies))  # nor do they hang on the runtime


@FLOAT
def test_the_number_of_threads_changes_nothing(
    case: Case, artifact_of: Convert, crops: Image
) -> None:
    name, *kind = case
    artifact = artifact_of(*kind)
    results = []
    for threads in (1, 2):
        with closing(open_backend(artifact, name, threads=threads)) as backend:
            results.append(backend.run(tensor_of(artifact, crops[0]))[0])
    assert np.allclose(*results, atol=1e-5)


@EVERY
def test_a_wrong_input_is_refused_in_one_line(
    case: Case, artifact_of: Convert, crops: Image
) -> None:
    name, *kind = case
    artifact = artifact_of(*kind)
    good = tensor_of(artifact, crops[0])
    other = np.float32 if good.dtype == np.uint8 else np.uint8
    wrong = [good[:, :-1], good[0], np.concatenate([good, good]), good.astype(other)]
    with closing(open_backend(artifact, name, threads=1)) as backend:
        before = backend.run(good)
        for tensor in wrong:
            with pytest.raises(BackendError) as caught:
                backend.run(np.ascontiguousarray(tensor))
            assert f"input {tensor.shape} refused" in str(caught.value)
            assert "\n" not in str(caught.value)
        assert all(map(np.array_equal, backend.run(good), before))  # it goes on after that


@FLOAT
def test_closing_twice_is_harmless_and_running_after_that_is_refused(
    case: Case, artifact_of: Convert, crops: Image
) -> None:
    name, *kind = case
    artifact = artifact_of(*kind)
    backend = open_backend(artifact, name, threads=1)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match=f"{name}: the model was closed"):
        backend.run(tensor_of(artifact, crops[0]))


@FLOAT
def test_what_is_no_model_is_refused_in_one_line(case: Case, artifact_of: Convert) -> None:
    name, *kind = case
    artifact = artifact_of(*kind)
    for content in (artifact.model[:100], b"", b"nothing of the kind"):
        with pytest.raises(BackendError, match="refuses it: ") as caught:
            open_backend(replace(artifact, model=content), name, threads=1)
        assert "\n" not in str(caught.value)


@FLOAT
def test_a_manifest_of_another_graph_is_refused(case: Case, artifact_of: Convert) -> None:
    name, *kind = case
    artifact = artifact_of(*kind)
    manifest = artifact.manifest
    other = manifest.input.model_copy(update={"name": "pixels"})
    wrong = replace(artifact, manifest=manifest.model_copy(update={"input": other}))
    with pytest.raises(BackendError, match="pixels") as caught:
        open_backend(wrong, name, threads=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("file_format", sorted({kind[1] for kind in KINDS}))
def test_a_format_that_a_backend_does_not_read_is_refused(
    name: str, file_format: str, artifact_of: Convert
) -> None:
    if file_format in READS[name]:
        assert name in readers(file_format)
        return
    artifact = artifact_of("top_down", file_format, "fp32")
    with pytest.raises(BackendError) as caught:
        open_backend(artifact, name)
    message = str(caught.value)
    assert f"format {file_format}, expected {' or '.join(READS[name])}" in message
    assert message.endswith(f"read by {' or '.join(readers(file_format))}")
