"""What the manifest says of a converted model."""

from __future__ import annotations

import hashlib

from torch import nn

from converters.base import Converted
from converters.calibration import CalibrationSet
from edge_pose._version import __version__
from edge_pose.manifest import (
    SCHEMA,
    Calibration,
    Keypoints,
    Manifest,
    ModelFile,
    Origin,
    WeightsFile,
)
from edge_pose.skeleton import keypoint_format
from training.checkpoint import CheckpointInfo
from training.complexity import count


def describe(
    model: nn.Module,
    info: CheckpointInfo,
    checkpoint_sha256: str,
    converted: Converted,
    calibration: CalibrationSet | None,
) -> Manifest:
    """Return the manifest, still without a gate report."""
    cost = count(model, info.input_size)
    return Manifest.model_validate(
        {
            "schema": SCHEMA,
            "name": artifact_name(info.model, converted.format, converted.precision),
            "created_by": __version__,
            "task": info.entry.task,
            "file": ModelFile(
                name=converted.file_name,
                format=converted.format,
                precision=converted.precision,
                sha256=_sha256(converted.model),
                size_bytes=len(converted.model),
                backend=converted.backend,
                arch=converted.arch,
                weights=_weights(converted),
            ),
            "input": converted.graph.input,
            "outputs": converted.graph.outputs,
            "contains": converted.graph.contains,
            "decoder": converted.graph.decoder,
            "keypoint_format": _keypoints(info),
            "origin": Origin(
                model=info.model,
                checkpoint_sha256=checkpoint_sha256,
                params=cost.params,
                macs=cost.macs,
                recipe=info.recipe,
                trained_on=info.trained_on,
                data_sha256=info.data_sha256,
            ),
            "calibration": calibration and _calibration(calibration, converted),
            "tools": converted.tools,
        }
    )


def artifact_name(model: str, file_format: str, precision: str) -> str:
    """Return the name of an artifact; ONNX, the usual format, goes without saying."""
    return "_".join([model, *([] if file_format == "onnx" else [file_format]), precision])


def _keypoints(info: CheckpointInfo) -> Keypoints:
    if info.entry.task == "detector":
        return Keypoints(name="box", keypoints=(), flip_pairs=(), edges=(), sigmas=())
    keypoints = keypoint_format(info.keypoint_format)
    return Keypoints(
        name=keypoints.name,
        keypoints=keypoints.keypoints,
        flip_pairs=keypoints.flip_pairs,
        edges=keypoints.edges,
        sigmas=keypoints.sigmas,
    )


def _calibration(drawn: CalibrationSet, converted: Converted) -> Calibration:
    return Calibration(
        dataset=drawn.dataset,
        n_images=len(drawn.crops),
        sha256=drawn.sha256,
        method=converted.method,
        scheme=converted.scheme,
        float_layers=converted.float_layers,
    )


def _weights(converted: Converted) -> WeightsFile | None:
    if converted.weights is None:
        return None
    return WeightsFile(
        name=converted.weights_name,
        sha256=_sha256(converted.weights),
        size_bytes=len(converted.weights),
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
