"""The MQTT contract as JSON Schema (draft-07), and the check of a message against it.

Within one schema number nothing is renamed, removed or given another meaning, and what is added is
optional; any other change takes the next number.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from edge_pose.errors import PublisherError
from edge_pose.lookup import lookup
from edge_pose.strict_json import finite

SCHEMAS: dict[str, str] = {
    "edge_pose.poses/1": "poses-1.json",
    "edge_pose.status/1": "status-1.json",
    "edge_pose.state/1": "state-1.json",
    "edge_pose.stats/1": "stats-1.json",
    "edge_pose.power/1": "power-1.json",
}
"""Schema id, as in a message's "schema", to the file that describes it."""

SHOWN_CHARS = 80  # of a foreign value in an error message


def load_schema(schema_id: str) -> dict[str, Any]:
    """Read the JSON Schema of one kind of message, for example "edge_pose.poses/1".

    Raises:
        UsageError: there is no such schema.
    """
    file = lookup(SCHEMAS, schema_id, "message schema")
    text = resources.files("edge_pose.schemas").joinpath(file).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@functools.cache
def validator(schema_id: str) -> Callable[[object], object]:
    """Return a function that raises `fastjsonschema.JsonSchemaException` for a wrong message.

    Compiled at the first call, then kept.

    Raises:
        UsageError: there is no such schema.
    """
    import fastjsonschema

    check: Callable[[object], object] = fastjsonschema.compile(
        load_schema(schema_id), detailed_exceptions=True
    )
    return check


def validate_message(payload: bytes | str) -> dict[str, Any]:
    """Parse a message and check it against the schema that it names.

    Raises:
        PublisherError: one line: not JSON, an unknown schema, or the violated rule and its path.
    """
    from fastjsonschema import JsonSchemaValueException

    message = _parse(payload)
    if not isinstance(message, dict):
        raise PublisherError(f"message: found a JSON {_kind(message)}, expected an object")
    schema_id = message.get("schema")
    if not isinstance(schema_id, str) or schema_id not in SCHEMAS:
        found = "no schema" if schema_id is None else f"unknown schema {_shown(schema_id)}"
        raise PublisherError(f"message: {found} (supported: {', '.join(SCHEMAS)})")
    try:
        validator(schema_id)(message)
    except JsonSchemaValueException as error:
        rule = error.message.removeprefix(error.name or "").strip()
        found = "" if isinstance(error.value, dict) else f" (found {_shown(error.value)})"
        raise PublisherError(f"{schema_id}: {_path(error.path[1:])}{rule}{found}") from None
    return message


def _parse(payload: bytes | str) -> object:
    try:
        text = payload.decode("utf-8") if isinstance(payload, bytes) else payload
        parsed: object = json.loads(text, parse_float=finite, parse_constant=finite)
    except UnicodeDecodeError as error:
        raise PublisherError(f"message: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise PublisherError("message: not usable JSON: nested too deeply") from None
    except ValueError as error:
        raise PublisherError(f"message: not valid JSON: {error}") from None
    return parsed


def _path(parts: list[str]) -> str:
    """Return "poses[0].score: " for ["poses", "0", "score"], and nothing for the message itself."""
    steps = (f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
    return "".join(steps).removeprefix(".") + ": " if parts else ""


def _kind(value: object) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
