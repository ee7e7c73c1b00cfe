"""What `edge-pose model list` and `show` print: rows of plain values, and lines made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edge_pose.artifact import parse_manifest, read_manifest, read_manifest_bytes
from edge_pose.errors import ArtifactError
from edge_pose.manifest import Gate, Manifest
from edge_pose.model_store import ID_DIGITS, Entry
from edge_pose.models import DEFAULTS
from edge_pose.signature import judge_signature
from edge_pose.signing_keys import PublicKey


def list_row(entry: Entry, trusted: Sequence[PublicKey]) -> dict[str, Any]:
    """Return what a list says about an artifact; where it is damaged, `problem` says how."""
    row: dict[str, Any] = {
        "name": entry.name,
        "default": entry.shipped and entry.name in DEFAULTS.values(),
        "shipped": entry.shipped,
        "folder": str(entry.folder),
    }
    try:
        data = read_manifest_bytes(entry.folder)
        manifest = parse_manifest(data, entry.folder)
    except ArtifactError as error:
        return {**row, "problem": str(error)}
    gate, file = manifest.gate, manifest.file
    part = gate.stated if gate else None
    verdict = judge_signature(entry.folder, data, trusted)
    return {
        **row,
        "id": entry.id,
        "sha256": file.sha256,
        "task": manifest.task,
        "format": file.format,
        "precision": file.precision,
        "input_size": list(manifest.input.size),
        "params": manifest.origin.params,
        "macs": manifest.origin.macs,
        "size_bytes": file.total_bytes,
        "gate_passed": gate.passed if gate else None,
        "accuracy": part.artifact_accuracy if part else None,
        "metric": f"{part.metric}, {part.dataset}, n = {part.n_persons}" if part else None,
        "signature": verdict.state,
        "signed_by": verdict.key_id or None,
    }


def list_lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return one line per artifact."""
    head = ("name", "id", "task", "format", "precision", "accuracy", "MB", "signed by")
    return table_lines([head, *(_list_cells(row) for row in rows)])


def _list_cells(row: dict[str, Any]) -> tuple[object, ...]:
    name = row["name"] + (" (default)" if row["default"] else "")
    if "problem" in row:
        return name, Path(row["folder"]).name[-ID_DIGITS:], "damaged: see edge-pose model verify"
    accuracy = "no gate" if row["accuracy"] is None else f"{row['accuracy']} {row['metric']}"
    failed = " (failed)" if row["gate_passed"] is False else ""
    state, signer = row["signature"], row["signed_by"] or "–"
    return (
        name,
        row["id"],
        row["task"],
        row["format"],
        row["precision"],
        accuracy.partition(",")[0] + failed,
        f"{row['size_bytes'] / 1e6:.1f}",
        signer if state in ("trusted", "unsigned") else f"{signer} ({state})",
    )


def show_values(folder: Path, trusted: Sequence[PublicKey]) -> dict[str, Any]:
    """Return manifest and signature of an artifact.

    Raises:
        ArtifactError: the manifest cannot be read.
    """
    verdict = judge_signature(folder, read_manifest_bytes(folder), trusted)
    return {
        "folder": str(folder),
        "manifest": read_manifest(folder).model_dump(mode="json", by_alias=True),
        "signature": {"state": verdict.state, "key_id": verdict.key_id, "reason": verdict.reason},
    }


def manifest_lines(manifest: Manifest, signature: str) -> list[str]:
    """Return what a manifest says, for people."""
    lines = table_lines([*_facts(manifest), ("signature", signature)])
    if manifest.gate is not None:
        lines += ["", *table_lines(_gate_rows(manifest.gate))]
    if manifest.attempts:
        lines += ["", *table_lines(_attempt_rows(manifest))]
    return lines


def _facts(manifest: Manifest) -> Iterable[tuple[str, str]]:
    file, input_, origin = manifest.file, manifest.input, manifest.origin
    width, height = input_.size
    keypoints = manifest.keypoint_format
    yield "name", f"{manifest.name} ({manifest.schema_}, made by edge_pose {manifest.created_by})"
    yield "task", f"{manifest.task}, {keypoints.name} ({len(keypoints.keypoints)} keypoints)"
    arch = f", for {file.arch}" if file.arch else ""
    yield "file", f"{file.name}: {file.format} {file.precision} for {file.backend}{arch}"
    yield "SHA-256", f"{file.sha256}, {file.size_bytes} bytes"
    if file.weights:
        yield "weights", f"{file.weights.name}: {file.weights.sha256}"
    yield (
        "input",
        f"{input_.name}: {width}x{height} px {input_.color} {input_.layout} {input_.dtype}",
    )
    for output in manifest.outputs:
        shape = "x".join(str(side) for side in output.shape)
        yield "output", f"{output.name}: {shape} {output.layout} {output.dtype}"
    contains = ", ".join(("network", *manifest.contains))
    yield "graph", f"contains {contains}"
    yield (
        "decoder",
        f"{manifest.decoder.name} of {manifest.decoder.kind}, stride {manifest.decoder.stride} px",
    )
    yield (
        "network",
        f"{origin.model}: {origin.params / 1e6:.2f} M parameters, {origin.macs / 1e9:.2f} GMAC,"
        f" checkpoint {origin.checkpoint_sha256[:12]}…",
    )
    if (calibration := manifest.calibration) is not None:
        kept = len(calibration.float_layers)
        how = f"{calibration.method} {calibration.scheme}".strip()
        yield (
            "calibration",
            f"{how}, {calibration.n_images} pictures of {calibration.dataset}, {kept} layers kept"
            " float",
        )
    yield "gate", _verdict(manifest.gate)


def _verdict(gate: Gate | None) -> str:
    if gate is None:
        return "none: never measured against its checkpoint"
    reasons = f": {'; '.join(gate.reasons)}" if gate.reasons else ""
    return f"{'passed' if gate.passed else 'FAILED'}{reasons}"


def _gate_rows(gate: Gate) -> Iterable[tuple[object, ...]]:
    yield "gate", "metric", "persons", "checkpoint", "artifact", "limit"
    measured = (gate.n_persons, gate.checkpoint_accuracy, gate.artifact_accuracy)
    yield gate.dataset, gate.metric, *measured, f"-{gate.limit_points} points"
    for part in gate.parts:
        numbers = (part.n_persons, part.checkpoint_accuracy, part.artifact_accuracy)
        yield f"  {part.dataset}", part.metric, *numbers
    drift = f"{gate.drift_p50_px} / {gate.drift_p95_px}"
    yield "", "drift p50 / p95, px", "", "", drift, _limit(gate.limit_drift_px)
    yield "", "agreement", "", "", gate.argmax_agreement, _limit(gate.min_agreement)


def _limit(value: float | None) -> str:
    return "" if value is None else str(value)


def _attempt_rows(manifest: Manifest) -> Iterable[tuple[object, ...]]:
    numbers = ("float layers", "MB", "accuracy", "p95 px", "agreement")
    yield "attempt", "method", "pictures", *numbers, "verdict"
    for attempt in manifest.attempts:
        yield (
            attempt.precision,
            attempt.method or "–",
            attempt.n_images or "–",
            attempt.float_layers,
            f"{attempt.size_bytes / 1e6:.1f}",
            attempt.artifact_accuracy,
            attempt.drift_p95_px,
            attempt.argmax_agreement,
            "passed" if attempt.passed else "failed",
        )


def table_lines(rows: Iterable[Sequence[object]]) -> list[str]:
    """Return rows as lines with aligned columns, never wrapped; rows may be short."""
    texts = [[str(value) for value in row] for row in rows]
    count = max(map(len, texts))
    full = [row for row in texts if len(row) == count]
    widths = [max(len(row[column]) for row in full) for column in range(count)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False)).rstrip()
        for row in texts
    ]


def to_json(values: object) -> str:
    """Return one line of JSON."""
    return json.dumps(values, ensure_ascii=True)
