"""What the manifest says of a converted model."""

from __future__ import annotations

import hashlib

from torch import nn

from converters.base import Converted
from converters.calibration import CalibrationSet
from edge_pose._version import __version__
from edge_pose.artifact import (
    SCHEMA,
    Calibration,
    Decoder,
    Keypoints,
    Manifest,
    ModelFile,
    Origin,
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
    entry, cost = info.entry, count(model, info.input_size)
    keypoints = keypoint_format(info.keypoint_format)
    return Manifest.model_validate(
        {
            "schema": SCHEMA,
            "name": f"{info.model}_{converted.precision}",
            "created_by": __version__,
            "task": entry.task,
            "file": ModelFile(
                name=converted.file_name,
                format=converted.format,
                precision=converted.precision,
                sha256=hashlib.sha256(converted.model).hexdigest(),
                size_bytes=len(converted.model),
                backend=converted.backend,
            ),
            "input": converted.input,
            "outputs": (converted.output,),
            "decoder": Decoder(name="heatmap", kind=info.heatmap_kind, stride=entry.stride),
            "keypoint_format": Keypoints(
                name=keypoints.name,
                keypoints=keypoints.keypoints,
                flip_pairs=keypoints.flip_pairs,
                edges=keypoints.edges,
                sigmas=keypoints.sigmas,
            ),
            "origin": Origin(
                model=info.model,
                checkpoint_sha256=checkpoint_sha256,
                params=cost.params,
                macs=cost.macs,
                recipe=info.recipe,
                trained_on=info.trained_on,
                data_sha256=info.data_sha256,
            ),
            "calibration": calibration
            and Calibration(
                dataset=calibration.dataset,
                n_images=len(calibration.crops),
                sha256=calibration.sha256,
                method=converted.method,
            ),
            "tools": converted.tools,
        }
    )
