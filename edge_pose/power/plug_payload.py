"""Watts in what smart plugs publish.

| who | topic | payload |
| Shelly, first generation | shellies/<id>/relay/0/power | `23.4` |
| Shelly, later ones | <id>/status/switch:0, pm1:0 without a relay | `{"apower": 23.4, …}` |
| Tasmota | tele/<topic>/SENSOR | `{"ENERGY": {"Power": 23, …}, …}` |
| edge_pose's own | <prefix>/<device>/power | `{"schema": "edge_pose.power/1", "watts": 23.4, …}` |

Sources: shelly-api-docs.shelly.cloud (Gen1 and Gen2, MQTT), tasmota.github.io/docs/MQTT.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from edge_pose.errors import PowerError
from edge_pose.schemas import validate_message

OWN_SCHEMA = "edge_pose.power/1"
KNOWN = (
    (re.compile(r"(^|/)status/(switch|pm1):\d+$"), "apower"),
    (re.compile(r"(^|/)SENSOR$"), "ENERGY.Power"),
)
MAX_BYTES = 65_536


def usual_path(topic: str) -> str:
    """Return the JSON path of the power in messages of this topic; "" for a plain number."""
    return next((path for pattern, path in KNOWN if pattern.search(topic)), "")


def read_payload(payload: bytes, path: str) -> float:
    """Return the W that a message tells.

    Args:
        payload: as it arrived.
        path: keys and list positions joined by dots, as in "emeters.0.power"; "" for a plain number
            or a message of our own schema.

    Raises:
        PowerError: it tells none; one line without the meter's name.
    """
    try:
        value = json.loads(payload[: MAX_BYTES + 1])
    except (ValueError, RecursionError):
        raise PowerError(f"found {_shown(payload)}, expected a number or JSON") from None
    if not path and isinstance(value, dict):
        return _own(payload, value)
    for key in path.split(".") if path else ():
        value = _step(value, key, path)
    if path and isinstance(value, list) and value:  # Tasmota with several channels
        raise PowerError(f"{path}: found {len(value)} values, say which one: path={path}.0")
    return _watts(value)


def _own(payload: bytes, message: dict[str, Any]) -> float:
    if message.get("schema") != OWN_SCHEMA:
        raise PowerError(f"found {_shown(payload)}: say where the power is: path=KEY.KEY")
    return float(validate_message(payload)["watts"])


def _step(value: object, key: str, path: str) -> object:
    if isinstance(value, dict) and key in value:
        return value[key]
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    raise PowerError(f"{path}: no {key!r} in the message")


def _watts(value: object) -> float:
    number = math.nan
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not 0 <= number < math.inf:
        raise PowerError(f"found {str(value)[:40]!r}, expected watts, 0 or more")
    return number


def _shown(payload: bytes) -> str:
    return repr(payload[:40].decode("utf-8", "replace"))
