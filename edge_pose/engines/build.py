"""From an artifact to an engine beside it."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_pose.artifact import Artifact
from edge_pose.backends.onnx_scan import refuse_foreign_parts
from edge_pose.engines.base import PRECISIONS, WORKSPACE_MIB, EngineBuilder, EngineRequest
from edge_pose.engines.calibration_cache import parse_cache, with_version
from edge_pose.errors import ArtifactError, UsageError


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What an engine was built from; it lies beside the engine as JSON.

    Attributes:
        model_sha256: of the artifact's model file.
        precision: the lowest that may be used.
        calibration_sha256: of the calibration cache, "" without one.
        builder: its name and version.
        engine_sha256: of the engine.
        size_bytes: of the engine.
        seconds: the build took.
    """

    model_sha256: str
    precision: str
    calibration_sha256: str
    builder: str
    engine_sha256: str
    size_bytes: int
    seconds: float


def build_engine(
    artifact: Artifact,
    engine: Path,
    builder: EngineBuilder,
    precision: str,
    *,
    calibration_cache: Path | None = None,
    workspace_mib: int = WORKSPACE_MIB,
    force: bool = False,
) -> EngineReport:
    """Build an engine for this device, unless the very same one is there already.

    Args:
        artifact: a float artifact in ONNX.
        engine: file to write; its report gets ".json" added to the name.
        builder: what builds it.
        precision: one of PRECISIONS.
        calibration_cache: needed for "int8", of this very artifact.
        workspace_mib: see EngineRequest.
        force: build anew in any case.

    Raises:
        UsageError: the precision is unknown, or goes without or with a calibration cache.
        ArtifactError: the artifact or the cache does not suit.
        BackendError: the builder refuses; nothing is left behind.
    """
    _check(artifact, precision, calibration_cache)
    cache = _read_cache(calibration_cache)
    wanted = {
        "model_sha256": artifact.manifest.file.sha256,
        "precision": precision,
        "calibration_sha256": _sha256(cache.encode()) if cache else "",
        "builder": f"{builder.name} {builder.version}".strip(),
    }
    if not force and (found := _read_report(engine, wanted)):
        return found
    start = time.monotonic()
    try:
        engine.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".engine.", dir=engine.parent) as folder:
            content = _build(Path(folder), artifact, builder, precision, cache, workspace_mib)
            report = EngineReport(
                **wanted,
                engine_sha256=_sha256(content),
                size_bytes=len(content),
                seconds=round(time.monotonic() - start, 1),
            )
            Path(folder, "report").write_text(json.dumps(asdict(report), indent=2) + "\n")
            Path(folder, "engine").replace(engine)
            Path(folder, "report").replace(_report_file(engine))
    except OSError as error:
        raise ArtifactError(f"{engine}: cannot be written: {error.strerror}") from None
    return report


def _build(
    folder: Path,
    artifact: Artifact,
    builder: EngineBuilder,
    precision: str,
    cache: str,
    workspace_mib: int,
) -> bytes:
    """Build in a folder of its own, from the bytes whose hash was checked."""
    onnx, engine, table = folder / "model.onnx", folder / "engine", folder / "calibration.cache"
    onnx.write_bytes(artifact.model)
    if cache:
        table.write_text(with_version(cache, builder.version))
    builder.build(EngineRequest(onnx, engine, precision, table if cache else None, workspace_mib))
    return engine.read_bytes()


def _check(artifact: Artifact, precision: str, calibration_cache: Path | None) -> None:
    file = artifact.manifest.file
    if precision not in PRECISIONS:
        raise UsageError(f"precision '{precision}': expected one of {', '.join(PRECISIONS)}")
    if (precision == "int8") != (calibration_cache is not None):
        raise UsageError("a calibration cache goes with the precision int8, and only with it")
    if file.format != "onnx" or file.precision not in ("fp32", "fp16"):
        raise ArtifactError(
            f"{artifact.folder}: is {file.format} {file.precision}, TensorRT takes onnx fp16 or"
            " fp32; its 8-bit integers come from a calibration cache"
        )
    refuse_foreign_parts(artifact.model, str(artifact.folder / file.name))


def _read_cache(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ArtifactError(f"{file}: cannot be read: {reason}") from None
    parse_cache(text, str(file))
    return text


def _read_report(engine: Path, wanted: dict[str, str]) -> EngineReport | None:
    """Return the report of an engine that is there, whole, and what is wanted."""
    try:
        report = EngineReport(**json.loads(_report_file(engine).read_text("utf-8")))
        same = all(getattr(report, name) == value for name, value in wanted.items())
        whole = same and _sha256(engine.read_bytes()) == report.engine_sha256
    except (OSError, TypeError, ValueError):
        return None
    return report if whole else None


def _report_file(engine: Path) -> Path:
    return engine.with_name(f"{engine.name}.json")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
