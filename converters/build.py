"""Checkpoint to artifact folder: convert, gate, and write everything or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converters.data import ConversionData
from converters.folder import check_target, write_artifact
from converters.job import Job
from converters.ladder import climb
from converters.settings import Settings
from converters.steps import LOGGED, Steps
from edge_pose.artifact import Artifact


def build(
    checkpoint: Path, out: Path, data: ConversionData, settings: Settings, steps: Steps = LOGGED
) -> Artifact:
    """Convert a checkpoint, compare the result with it and write the artifact folder `out`.

    The same checkpoint, data and settings give the same bytes.

    Args:
        checkpoint: a .safetensors file.
        out: a new folder, or an artifact's, which is replaced.
        data: pictures to calibrate and to measure with.
        settings: what to convert to.
        steps: told where the work is.

    Raises:
        GateError: no try passed the gate.
        EdgePoseError: an input is wrong, the conversion failed, or `out` cannot be written;
            whatever it is, nothing is left behind.
    """
    _ = settings.entry
    check_target(out)
    job = Job(checkpoint, data, settings.seed, steps)
    return write(climb(job, settings), out)


def write(artifact: Artifact, out: Path) -> Artifact:
    """Write an artifact to its folder and return it as it lies there.

    Raises:
        ArtifactError: it cannot be written; what was there stays.
    """
    artifact = replace(artifact, folder=out)
    write_artifact(artifact)
    return artifact
