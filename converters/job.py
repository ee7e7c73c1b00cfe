"""One checkpoint on its way to artifacts, and what all of its conversions share."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from converters import CONVERTERS
from converters.base import Options
from converters.calibration import CalibrationSet, draw_calibration
from converters.data import ConversionData, need_calibration
from converters.export_graph import OUTPUTS
from converters.gates import Limits, Yardstick, open_yardstick
from converters.manifest import describe
from converters.steps import LOGGED, Steps
from edge_pose.artifact import Artifact
from edge_pose.backends import open_backend
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.manifest import Gate
from training.checkpoint import load_checkpoint, read_info, sha256_file


class Job:
    """A loaded checkpoint with the data to calibrate and to measure.

    Attributes:
        model: the float network in evaluation mode.
        info: of the checkpoint.
        sha256: of the checkpoint file.
        data: where pictures come from.
        steps: told where the work is.

    Args:
        checkpoint: a .safetensors file.
        data: see Attributes.
        seed: of the choice of calibration pictures.
        steps: see Attributes.

    Raises:
        CheckpointError: the file is missing, damaged, of another model or replaced meanwhile.
        UsageError: networks of this task have no artifact.
    """

    def __init__(
        self, checkpoint: Path, data: ConversionData, seed: int = 1, steps: Steps = LOGGED
    ) -> None:
        self.data, self.steps = data, steps
        task = read_info(checkpoint).entry.task
        if task not in OUTPUTS:
            raise UsageError(
                f"{checkpoint}: a network of task {task}, artifacts are of {', '.join(OUTPUTS)};"
                " --graph-only writes its ONNX graph"
            )
        self.sha256 = sha256_file(checkpoint)
        self.model, self.info = load_checkpoint(checkpoint)
        if sha256_file(checkpoint) != self.sha256:
            raise EdgePoseError(
                f"{checkpoint}: was replaced while it was read; its training seems to go on,"
                " try again"
            )
        self._seed = seed
        self._calibration: tuple[int, CalibrationSet] | None = None

    @property
    def n_calibration(self) -> int:
        """Pictures that there are to calibrate with: one per person, or one for all in it."""
        persons = self.data.calibration.persons
        if self.info.entry.task == "top_down":
            return len(persons)
        return len({person.image for person in persons})

    def calibration(self, n_images: int) -> CalibrationSet:
        """Draw calibration pictures; the last set is kept.

        Raises:
            EdgePoseError: there are too few pictures, or nothing is on them.
        """
        if self._calibration is None or self._calibration[0] != n_images:
            group = need_calibration(self.data.calibration)
            count = min(n_images, self.n_calibration)
            self.steps(f"drawing {count} calibration pictures from {group.dataset}")
            drawn = draw_calibration(
                group.persons,
                group.dataset,
                self.info.input_size,
                n_images,
                self._seed,
                task=self.info.entry.task,
                tick=self.steps.tick,
            )
            self._calibration = (n_images, drawn)
        return self._calibration[1]

    @cached_property
    def yardstick(self) -> Yardstick:
        """The float network's keypoints on the pictures to measure with."""
        self.steps(f"measuring the checkpoint on {self.data.gate.dataset}")
        return open_yardstick(self.model, self.info, self.data, self.steps.tick)

    def convert(
        self, key: tuple[str, str], options: Options, n_images: int, limits: Limits
    ) -> tuple[Artifact, Gate]:
        """Convert once and measure; nothing is written.

        Args:
            key: of CONVERTERS.
            options: how.
            n_images: calibration pictures; not asked for where the converter needs none.
            limits: of the gate.

        Returns:
            The artifact, in no folder yet, and its gate report, which may say that it failed.

        Raises:
            EdgePoseError: the converter cannot express the network, or the runtime refuses it.
        """
        entry = CONVERTERS[key]
        convert = entry.load()
        name = f"{self.info.model} to {' '.join(key)}"
        calibration = self.calibration(n_images) if entry.calibrated else None
        self.steps(f"converting {name}")
        converted = convert(self.model, self.info, calibration, options)
        manifest = describe(self.model, self.info, self.sha256, converted, calibration)
        artifact = Artifact(Path(), manifest, converted.model, converted.weights)
        yardstick = self.yardstick
        self.steps(f"measuring {name}")
        with closing(open_backend(artifact)) as backend:
            gate = yardstick.gate(artifact, backend, limits)
        manifest = manifest.model_copy(update={"gate": gate})
        return replace(artifact, manifest=manifest), gate
