"""Checkpoint to artifact folder: convert, gate, and write everything or nothing."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from converters import CONVERTERS, Entry
from converters.base import Options
from converters.calibration import draw_calibration
from converters.data import ConversionData, need_calibration
from converters.folder import check_target, write_artifact
from converters.gate import LIMIT_POINTS, run_gate, verdict
from converters.manifest import describe
from edge_pose.artifact import Artifact
from edge_pose.backends import open_backend
from edge_pose.errors import EdgePoseError
from edge_pose.lookup import lookup
from training.checkpoint import CheckpointInfo, load_checkpoint, sha256_file
from training.evaluate import ArtifactPredictor, NetworkPredictor

log = logging.getLogger(__name__)

N_IMAGES = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """How to convert.

    Attributes:
        precision: "fp32" or "int8".
        format: "onnx".
        arch: processor for which integers are chosen.
        limit_points: largest fall of accuracy that passes the gate, percent points.
        n_images: calibration pictures.
        seed: of their choice.
        force: write the artifact even if it fails the gate.
    """

    precision: str
    format: str = "onnx"
    arch: str = ""
    limit_points: float = LIMIT_POINTS
    n_images: int = N_IMAGES
    seed: int = 1
    force: bool = False

    @property
    def entry(self) -> Entry:
        """The converter.

        Raises:
            UsageError: there is none for this format and precision.
        """
        table = {" ".join(key): entry for key, entry in CONVERTERS.items()}
        return lookup(table, f"{self.format} {self.precision}", "converter")


def build(checkpoint: Path, out: Path, data: ConversionData, settings: Settings) -> Artifact:
    """Convert a checkpoint, compare the result with it and write the artifact folder `out`.

    The same checkpoint, data and settings give the same bytes.

    Raises:
        EdgePoseError: an input is wrong, the conversion or the gate failed, or `out` cannot be
            written; nothing is left behind.
    """
    convert = settings.entry.load()
    sha256 = sha256_file(checkpoint)
    model, info = load_checkpoint(checkpoint)
    if sha256_file(checkpoint) != sha256:
        raise EdgePoseError(
            f"{checkpoint}: was replaced while it was read; its training seems to go on, try again"
        )
    check_target(out)
    calibration = None
    if settings.entry.calibrated:
        group = need_calibration(data.calibration)
        log.info("drawing %d calibration pictures from %s", settings.n_images, group.dataset)
        calibration = draw_calibration(
            group.persons, group.dataset, info.input_size, settings.n_images, settings.seed
        )
    log.info("converting %s to %s %s", info.model, settings.format, settings.precision)
    converted = convert(model, info, calibration, Options(arch=settings.arch))
    manifest = describe(model, info, sha256, converted, calibration)
    artifact = Artifact(out, manifest, converted.model, converted.weights)
    artifact = gated(artifact, model, info, data, settings)
    write_artifact(artifact)
    return artifact


def gated(
    artifact: Artifact,
    model: nn.Module,
    info: CheckpointInfo,
    data: ConversionData,
    settings: Settings,
) -> Artifact:
    """Return the artifact with its gate report.

    Raises:
        EdgePoseError: it failed and `settings.force` is not set.
    """
    group = data.gate
    log.info("measuring on %d persons of %s", len(group.persons), group.dataset)
    reference = NetworkPredictor(model, info, torch.device("cpu"))
    with closing(open_backend(artifact)) as backend:
        predictor = ArtifactPredictor(artifact, backend)
        gate = run_gate(reference, predictor, group.persons, group.dataset, settings.limit_points)
    if not gate.passed:
        if not settings.force:
            message = f"{artifact.manifest.name}: {verdict(gate)}; nothing was written"
            raise EdgePoseError(message)
        log.warning("%s: written all the same; it needs --trust-ungated to run", verdict(gate))
    else:
        log.info("%s", verdict(gate))
    manifest = artifact.manifest.model_copy(update={"gate": gate})
    return Artifact(artifact.folder, manifest, artifact.model, artifact.weights)
