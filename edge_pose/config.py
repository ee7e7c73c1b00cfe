"""Configuration of a run: file (TOML), then environment, then flags, each stronger than the last.

Environment variables are EDGE_POSE_<KEY> or EDGE_POSE_<SECTION>__<KEY>, for example
EDGE_POSE_MQTT__HOST=broker.local.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from edge_pose.errors import ConfigError
from edge_pose.lookup import suggestion

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENV_PREFIX = "EDGE_POSE_"
# Variables of this project that are not configuration keys.
ENV_OTHER = frozenset(
    {"EDGE_POSE_DATA", "EDGE_POSE_PEERS", "EDGE_POSE_CONFIG", "EDGE_POSE_KEY_PASSPHRASE"}
)
RULE = "value_error"  # pydantic's type of the ValueErrors that the models below raise
# What counts as seen: the same for the API and for a run.
MIN_KEYPOINT_SCORE = 0.3
ACQUIRE_SCORE = 0.45
CROP_PADDING = 1.4
NAME_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$"
DEVICE_PATTERN = r"^[A-Za-z0-9_.:,]{1,64}$"


class Section(BaseModel):
    """A table of the configuration: no unknown keys, never changed after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MqttConfig(Section):
    """Where and how to publish. Nothing is published by MQTT while `host` is empty."""

    host: str = Field("", description="broker; empty means no MQTT")
    port: int | None = Field(None, ge=1, le=65535, description="default 1883, with TLS 8883")
    topic_prefix: str = Field(
        "edge_pose", pattern=r"^[^+#\s]+$", description="first level of all topics"
    )
    tls: bool = Field(False, description="encrypt and verify the broker's certificate")
    ca_file: Path | None = Field(None, description="trust this CA instead of the system's")
    tls_insecure: bool = Field(False, description="accept any certificate: for experiments only")
    username: str | None = Field(None, description="for the broker")
    password: SecretStr | None = Field(None, description="better from the environment or a file")
    password_file: Path | None = Field(None, description="file whose first line is the password")
    qos: int = Field(0, ge=0, le=2, description="quality of service of pose messages")
    queue_size: int = Field(
        64, ge=1, le=100_000, description="messages kept while the broker is away"
    )
    keepalive_s: int = Field(30, ge=2, le=3600, description="a dead link is noticed after this")
    client_id: str | None = Field(
        None, pattern=NAME_PATTERN, description="default: unique per process"
    )

    @model_validator(mode="after")
    def _consistent(self) -> MqttConfig:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give password or password_file, not both")
        if (self.ca_file is not None or self.tls_insecure) and not self.tls:
            raise ValueError("ca_file and tls_insecure need tls = true")
        return self


class TrackingConfig(Section):
    """Following people from frame to frame."""

    enabled: bool = Field(True, description="false searches every frame from scratch")
    min_score: float = Field(0.35, ge=0, le=1, description="below this the person counts as lost")
    acquire_score: float = Field(
        ACQUIRE_SCORE, ge=0, le=1, description="a new person needs this much"
    )
    padding: float = Field(
        CROP_PADDING, ge=1, le=3, description="crop side over the person's longer side"
    )
    patience: int = Field(5, ge=0, description="frames a weak person is still looked for in place")
    search_crops: int = Field(4, ge=1, le=32, description="crops tried per frame while searching")
    max_people: int | None = Field(
        None, ge=1, le=100, description="default 1; with a detector or a bottom-up model 10"
    )
    detect_every: int = Field(10, ge=1, description="frames between two looks of the detector")


class SmoothingConfig(Section):
    """One-Euro filter on keypoints (Casiez et al., CHI 2012)."""

    enabled: bool = Field(False, description="steadier keypoints, a little later")
    min_cutoff_hz: float = Field(1.5, gt=0, le=100, description="at rest; lower is steadier")
    beta: float = Field(0.02, ge=0, le=100, description="speed coefficient, Hz per (px/s)")


class RunConfig(Section):
    """Everything `edge-pose run` can be told."""

    device: str = Field(
        default_factory=lambda: default_device(),
        pattern=NAME_PATTERN,
        description="name of this machine in topics",
    )
    camera: str = Field("camera0", pattern=NAME_PATTERN, description="name used in topics")
    source: str = Field("0", description="camera index, video file, folder, glob or 'synthetic'")
    model: str = Field(
        "default",
        description="name of a shipped or pulled artifact, or an artifact folder; default: in ONNX"
        " or TFLite as the runtime reads it",
    )
    detector: str | None = Field(
        None, description="person detector: name of an artifact, or its folder"
    )
    backend: str | None = Field(
        None, description="inference runtime; default: the profile's where it fits, or the model's"
    )
    threads: int = Field(
        0, ge=0, le=1024, description="inference threads; 0: the profile's, or leave one core free"
    )
    inference_device: str | None = Field(
        None, pattern=DEVICE_PATTERN, description="what to run on, such as CPU, GPU, AUTO:NPU,CPU"
    )
    strict: bool = Field(False, description="fail where a runtime or device is not there")
    compile_cache: Path | None = Field(
        None, description="folder for compiled models; default: the user's; 'off' for none"
    )
    profile: str = Field("auto", description="device profile; 'auto' takes the generic one")
    power: str = Field(
        "auto", description="meter, as `edge-pose power` lists them; 'auto' measures where it can"
    )
    jsonl: Path | None = Field(None, description="write every pose message to this file")
    video: Path | None = Field(None, description="write the annotated video to this file")
    overwrite: bool = Field(True, description="replace output files that exist")
    append: bool = Field(False, description="add to a JSONL file that exists")
    max_frames: int | None = Field(None, ge=1, description="stop after so many")
    realtime: bool = Field(
        False, description="play files at their frame rate, dropping late frames"
    )
    stats_interval_s: float = Field(10.0, gt=0, le=3600, description="between stats messages")
    min_keypoint_score: float = Field(
        MIN_KEYPOINT_SCORE, ge=0, le=1, description="drawn and boxed above this"
    )
    trust_ungated: bool = Field(False, description="run artifacts that never passed the gate")
    trusted_keys: Path | None = Field(
        None, description="public key, or folder of them: run only what one of them signed"
    )
    mqtt: MqttConfig = Field(default_factory=lambda: MqttConfig())
    tracking: TrackingConfig = Field(default_factory=lambda: TrackingConfig())
    smoothing: SmoothingConfig = Field(default_factory=lambda: SmoothingConfig())


def default_device() -> str:
    """Return this host's name, reduced to what a topic level may contain."""
    host = socket.gethostname().split(".")[0]
    name = "".join(c if (c.isascii() and c.isalnum()) or c in "_-" else "-" for c in host)[:64]
    return name or "device"


def load_config(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> RunConfig:
    """Merge file, environment and flags, weakest first, and validate the result.

    Args:
        file: TOML file; its keys are the fields of RunConfig.
        flags: nested mapping; None values are ignored.
        env: the environment; os.environ by default.

    Raises:
        ConfigError: one line that names the place, the key, what was found and what is allowed.
    """
    merged: dict[str, Any] = {}
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if file is not None:
        layers.append((str(file), read_toml(file)))
    layers.append(("environment", env_layer(os.environ if env is None else env)))
    layers.append(("flags", drop_none(flags or {})))
    for where, layer in layers:
        check_keys(layer, RunConfig, where)
        check_values(RunConfig, layer, where)  # layer by layer, so that the error names its place
        merge_into(merged, layer)
    return validate(RunConfig, merged, "configuration")


def read_toml(file: Path) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        ConfigError: it is missing, unreadable or not TOML.
    """
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not valid TOML: it is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None


def env_layer(env: Mapping[str, str]) -> dict[str, Any]:
    """Turn EDGE_POSE_A__B=c into {"a": {"b": "c"}}.

    Raises:
        ConfigError: one variable sets a table, another one a key in it.
    """
    layer: dict[str, Any] = {}
    for name, value in env.items():
        if not name.startswith(ENV_PREFIX) or name in ENV_OTHER:
            continue
        *sections, key = name[len(ENV_PREFIX) :].lower().split("__")
        table = layer
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise ConfigError(f"environment: {name}: '{section}' is set as a value, too")
        if isinstance(table.get(key), dict):
            raise ConfigError(f"environment: {name}: '{key}' is a table, set its keys instead")
        table[key] = value
    return layer


def drop_none(layer: Mapping[str, Any]) -> dict[str, Any]:
    """Remove keys whose value is None, and tables that are empty after that."""
    kept: dict[str, Any] = {}
    for key, value in layer.items():
        if isinstance(value, Mapping):
            value = drop_none(value) or None
        if value is not None:
            kept[key] = value
    return kept


def merge_into(base: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Lay `layer` over `base`, table by table."""
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            merge_into(base[key], value)
        else:
            base[key] = dict(value) if isinstance(value, Mapping) else value


def check_keys(
    layer: Mapping[str, Any], model: type[BaseModel], where: str, path: str = ""
) -> None:
    """Raise ConfigError for the first key that the model does not have."""
    fields = model.model_fields
    for key, value in layer.items():
        if key not in fields:
            hint = suggestion(key, fields)
            known = ", ".join(fields)
            raise ConfigError(f"{where}: unknown key '{path}{key}'{hint} (known: {known})")
        inner = fields[key].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
            check_keys(value, inner, where, f"{path}{key}.")


def validate(model: type[RunConfig], values: Mapping[str, Any], where: str) -> RunConfig:
    """Validate, turning pydantic's report into one line."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_error(error)}") from None


def check_values(model: type[RunConfig], layer: Mapping[str, Any], where: str) -> None:
    """Check each value of one layer by itself; what must agree may come from several layers."""
    try:
        model.model_validate(dict(layer))
    except ValidationError as error:
        kinds = {problem["type"] for problem in error.errors(include_url=False)}
        if kinds != {RULE}:
            raise ConfigError(f"{where}: {first_error(error)}") from None


def first_error(error: ValidationError) -> str:
    """Return "key: message (found value)" for the first problem of a validation error."""
    problems = error.errors(include_url=False)
    # A wrong value first: a rule about several values may be broken only because of it.
    problem = min(problems, key=lambda problem: problem["type"] == RULE)
    key = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    found = problem["input"]
    shown = f" (found {found!r})" if isinstance(found, (str, int, float, bool)) else ""
    if "password" in key:
        shown = ""
    return f"{key}: {message}{shown}" if key else message
