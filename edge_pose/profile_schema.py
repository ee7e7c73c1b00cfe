"""What a device profile may say; units and ranges are checked here."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from edge_pose.backends import BACKENDS, MAX_THREADS, READS, openvino_devices
from edge_pose.config import NAME_PATTERN, Section
from edge_pose.errors import UsageError
from edge_pose.lookup import lookup

SCHEMA = "edge_pose.device/1"

Arithmetic: TypeAlias = Literal["fp32", "fp16", "bf16", "int8"]
Format: TypeAlias = Literal["onnx", "openvino", "tflite"]
Precision: TypeAlias = Literal["fp32", "fp16", "dynamic_int8", "int8"]
Sensor: TypeAlias = Literal["ina3221", "rapl", "pmic", "battery", "none"]
Watts: TypeAlias = Annotated[float, Field(ge=0, le=10_000)]

DEVICES: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("CPU", "CUDA", "TENSORRT"),
    "tflite": ("CPU", "EDGETPU"),
}
"""Words for devices, by backend; OpenVINO has a grammar, see openvino_devices."""


class Facts(Section):
    """A table of a profile: a "4" or 4.0 is no 4, true is no 1, and no figure is infinite."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, validate_default=True)


class RuntimeFacts(Facts):
    """How inference runs on the device, and what the converter makes for it."""

    backend: str = Field(pattern=NAME_PATTERN, description="name of a runtime backend")
    device: str = Field("CPU", description="what to run on, in the backend's words")
    threads: int = Field(
        0, ge=0, le=MAX_THREADS, description="inference threads; 0 leaves one core free"
    )
    format: Format = Field("onnx", description="of the artifact that this device should run")
    precision: Precision = Field("fp32", description="of that artifact")
    static_shapes: bool = Field(False, description="the device refuses tensors of unknown size")
    integer_io: bool = Field(False, description="int8 artifacts take and return integers, too")
    fold_pixels: bool = Field(False, description="the artifact takes uint8 pixels, NHWC")
    build_engine: Literal["tensorrt"] | None = Field(
        None, description="what is built from the artifact on the device itself"
    )

    @field_validator("backend")
    @classmethod
    def _known(cls, backend: str) -> str:
        try:
            lookup(BACKENDS, backend, "backend")
        except UsageError as error:
            raise ValueError(str(error)) from None
        return backend

    @field_validator("device")
    @classmethod
    def _of_the_backend(cls, device: str, info: ValidationInfo) -> str:
        backend = info.data.get("backend", "")  # absent where it is wrong itself
        if backend == openvino_devices.NAME:
            try:
                openvino_devices.members(device)
            except UsageError as error:
                raise ValueError(str(error)) from None
        elif backend in DEVICES and device not in DEVICES[backend]:
            raise ValueError(f"expected a device of {backend}: {', '.join(DEVICES[backend])}")
        return device

    @field_validator("format")
    @classmethod
    def _readable(cls, file_format: str, info: ValidationInfo) -> str:
        backend = info.data.get("backend", "")
        if backend in READS and file_format not in READS[backend]:
            raise ValueError(f"{backend} reads {' and '.join(READS[backend])} only")
        return file_format

    @field_validator("integer_io")
    @classmethod
    def _tflite_only(cls, integer_io: bool, info: ValidationInfo) -> bool:
        made = info.data.get("format", "tflite"), info.data.get("precision", "int8")
        if integer_io and made != ("tflite", "int8"):
            raise ValueError('needs format = "tflite" and precision = "int8"')
        return integer_io


class PowerFacts(Facts):
    """How its power is known."""

    meter: str = Field(pattern=NAME_PATTERN, description="name of a power meter")
    sensor: Sensor | None = Field(None, description="the hardware that measures; None: it differs")
    rails: tuple[str, ...] = Field(
        (), strict=False, description="labels of the sensor's rails whose sum is the total"
    )
    modes_w: tuple[Watts, ...] = Field(
        (), strict=False, description="W of the device's power modes, ascending"
    )
    budget_w: Watts | None = Field(None, gt=0, description="W that it shall keep within")
    idle_w: Watts = Field(description="W at rest, for the estimate")
    max_w: Watts = Field(description="W with all cores busy, for the estimate")

    @field_validator("meter")
    @classmethod
    def _known(cls, meter: str) -> str:
        from edge_pose.power import METERS  # it imports this module

        try:
            lookup(METERS, meter, "power meter")
        except UsageError as error:
            raise ValueError(str(error)) from None
        return meter

    @field_validator("rails")
    @classmethod
    def _need_a_sensor(cls, rails: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if rails and info.data.get("sensor", "ina3221") in (None, "none"):
            raise ValueError("need a sensor")
        if len(set(rails)) < len(rails):
            raise ValueError("a rail is counted twice")
        return rails

    @field_validator("modes_w")
    @classmethod
    def _ascending(cls, modes_w: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(modes_w)):
            raise ValueError("expected ascending figures")
        return modes_w

    @field_validator("max_w")
    @classmethod
    def _above_idle(cls, max_w: float, info: ValidationInfo) -> float:
        idle_w = info.data.get("idle_w")
        if idle_w is not None and max_w < idle_w:
            raise ValueError(f"is below idle_w {idle_w:g}")
        return max_w


class DeviceProfile(Facts):
    """One device; hardware facts only. What is None or empty differs within this profile."""

    name: str = Field(pattern=NAME_PATTERN)
    description: str = ""
    arch: str = Field("", pattern=r"^[A-Za-z0-9_.-]{0,64}$", description="as `uname -m` says it")
    cores: int | None = Field(None, ge=1, le=4096)
    memory_mib: int | None = Field(None, ge=1, le=2**24)
    accelerator: str = Field("", description="what there is besides the processor")
    precisions: tuple[Arithmetic, ...] = Field(
        strict=False, description="what the device computes in"
    )
    runtime: RuntimeFacts
    power: PowerFacts

    @field_validator("precisions")
    @classmethod
    def _one_at_least(cls, precisions: tuple[Arithmetic, ...]) -> tuple[Arithmetic, ...]:
        if not precisions:
            raise ValueError("expected one at least")
        return precisions

    @field_validator("runtime")
    @classmethod
    def _fits(cls, runtime: RuntimeFacts, info: ValidationInfo) -> RuntimeFacts:
        needed = runtime.precision.removeprefix("dynamic_")
        able = info.data.get("precisions", (needed,))
        if needed not in able:
            found = ", ".join(able)
            raise ValueError(f"precision '{runtime.precision}': the device computes in {found}")
        cores = info.data.get("cores")
        if cores is not None and runtime.threads > cores:
            raise ValueError(f"threads {runtime.threads}: there are {cores} cores")
        return runtime
