"""Reports that were written earlier, perhaps by another version or on another machine."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmarks.report import READABLE, SCHEMA, Report
from edge_pose.config import first_error
from edge_pose.errors import UsageError
from edge_pose.lookup import lookup

# Kind -> module:class, imported on use. "run" is what `edge-pose-bench run` wrote in schema 1.
KINDS: dict[str, str] = {
    "cold_start": "benchmarks.cold_start:ColdStartReport",
    "device": "benchmarks.result:DeviceResult",
    "fleet": "benchmarks.fleet.report:FleetReport",
    "mediapipe": "benchmarks.mediapipe_peer:MediapipeReport",
    "peers": "benchmarks.peers_report:PeersReport",
    "run": "benchmarks.run_report:RunReport",
    "scaling": "benchmarks.scaling:ScalingReport",
}


def read_report(file: Path) -> Report:
    """Read a report from a file.

    Raises:
        UsageError: it is missing, not JSON, of an unknown schema or incomplete.
    """
    try:
        values = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not valid JSON: {error}") from None
    return parse_report(values, str(file))


def parse_report(values: Any, where: str) -> Report:  # noqa: ANN401 - any JSON value
    """Validate a report.

    Args:
        values: what the JSON text holds.
        where: named in errors.

    Raises:
        UsageError: the schema or the kind is unknown, a key is missing or a value is wrong.
    """
    table = values if isinstance(values, dict) else {}
    _check_schema(table.get("schema"), where)
    kind = lookup(KINDS, str(table.get("kind")), f"{where}: kind")
    module, _, name = kind.partition(":")
    model: type[Report] = getattr(importlib.import_module(module), name)
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise UsageError(f"{where}: {first_error(error)}") from None


def _check_schema(found: object, where: str) -> None:
    if found in READABLE:
        return
    name, _, newest = SCHEMA.partition("/")
    number = re.fullmatch(rf"{re.escape(name)}/(\d+)", str(found))
    if number and int(number[1]) > int(newest):
        raise UsageError(
            f"{where}: schema '{found}' is newer than this version of edge_pose, which reads up to"
            f" '{SCHEMA}': update edge-pose"
        )
    expected = " or ".join(f"'{name}'" for name in READABLE)
    raise UsageError(f"{where}: schema {found!r} is not known here, expected {expected}")
