"""What to convert to: from a device's profile, from flags, or from both."""

from __future__ import annotations

from dataclasses import dataclass

from converters import CONVERTERS, Entry
from edge_pose.backends import READS
from edge_pose.backends.base import CPU
from edge_pose.errors import UsageError
from edge_pose.lookup import lookup
from edge_pose.profile import DeviceProfile

FORMAT, PRECISION = "onnx", "int8"
# What a device has to compute in, one of them, to run a file of a precision: where there is no
# arithmetic of halves, runtimes widen fp16 to fp32.
ARITHMETIC = {
    "fp32": ("fp32",),
    "fp16": ("fp16", "fp32"),
    "dynamic_int8": ("int8",),
    "int8": ("int8",),
}
N_IMAGES = 256
LIMIT_DRIFT_PX = 1.5
EDGETPU = "EDGETPU"  # a device of the runtime tflite


@dataclass(frozen=True, slots=True)
class Settings:
    """How to convert.

    Attributes:
        precision: with `format` a key of CONVERTERS.
        format: of the model file.
        arch: processor for which integers are chosen, as `uname -m` says it; empty: this one.
        fold_pixels: the graph takes uint8 pixels and normalises.
        fold_decoder: the graph returns keypoints; top-down networks only.
        integer_io: inputs and outputs of a full int8 TFLite graph are integers, too.
        limit_points: largest fall of accuracy that passes the gate, percent points; None: by
            precision, see converters.gates.LIMITS.
        limit_drift_px: largest p95 of the keypoints' drift that passes, heatmap px.
        n_images: calibration pictures of the first try.
        seed: of their choice.
        ladder: try other ways when the first one fails the gate.
        fall_back: the last of them is another precision.
        force: write the best try even if none passes the gate.
        precisions: what the device computes in, see edge_pose.profile; empty: anything.
    """

    precision: str = PRECISION
    format: str = FORMAT
    arch: str = ""
    fold_pixels: bool = False
    fold_decoder: bool = False
    integer_io: bool = False
    limit_points: float | None = None
    limit_drift_px: float = LIMIT_DRIFT_PX
    n_images: int = N_IMAGES
    seed: int = 1
    ladder: bool = True
    fall_back: bool = True
    force: bool = False
    precisions: tuple[str, ...] = ()

    def can_run(self, precision: str) -> bool:
        """Return whether the device runs files of a precision."""
        needed = ARITHMETIC.get(precision, (precision,))
        return not self.precisions or any(name in self.precisions for name in needed)

    @property
    def entry(self) -> Entry:
        """The converter.

        Raises:
            UsageError: there is none for this format and precision.
        """
        table = {" ".join(key): entry for key, entry in CONVERTERS.items()}
        return lookup(table, f"{self.format} {self.precision}", "converter")


def profile_settings(profile: DeviceProfile) -> Settings:
    """Return what a device of this profile should run.

    Raises:
        UsageError: no converter makes it.
    """
    runtime = profile.runtime
    settings = Settings(
        precision=runtime.precision,
        format=runtime.format,
        arch=profile.arch,
        fold_pixels=runtime.fold_pixels,
        integer_io=runtime.integer_io,
        precisions=profile.precisions,
    )
    try:
        _ = settings.entry
    except UsageError as error:
        raise UsageError(f"profile '{profile.name}': {error}") from None
    return settings


def check_device(profile: DeviceProfile, settings: Settings) -> None:
    """Make sure that a device can run what flags ask for.

    A device that computes on its processor can have another runtime than the profile's, an
    accelerator cannot.

    Raises:
        UsageError: it cannot.
    """
    runtime, name = profile.runtime, f"profile '{profile.name}'"
    if not settings.can_run(settings.precision):
        able = ", ".join(settings.precisions)
        raise UsageError(f"{name}: precision '{settings.precision}': the device computes in {able}")
    if runtime.device != CPU and settings.format not in READS[runtime.backend]:
        able = " and ".join(READS[runtime.backend])
        raise UsageError(
            f"{name}: format '{settings.format}': {runtime.backend} reads {able} on"
            f" {runtime.device}"
        )
    if runtime.device == EDGETPU and not settings.integer_io:
        raise UsageError(f"{name}: the Edge TPU takes integer inputs and outputs only")
