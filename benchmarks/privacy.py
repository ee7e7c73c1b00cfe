"""What a result that is shown to everybody must not hold: names, places and numbers of its sender.

Only forms can be recognised: a path, an address, a serial number. The names of the machine and of
its user are known on that machine alone, so a result is checked there, before it is sent.
"""

from __future__ import annotations

import contextlib
import getpass
import re
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

REMOVED = "[removed]"
# Below /sys and /proc are the kernel's own names.
LEAKS: dict[str, re.Pattern[str]] = {
    "an address with a scheme": re.compile(r"\w+://\S*"),
    "a path": re.compile(
        r"(?<![\w/.])(?:(?:\.{1,2}|~\w*)?/(?!sys/|proc/)[\w.@+-][^\s,;]*|[A-Za-z]:\\\S*|\\\\\S+)"
    ),
    "a name at a host": re.compile(r"[\w.+-]+@[A-Za-z][\w.-]*"),
    "a host name": re.compile(
        r"\b[\w-]+\.(?:local|lan|home|internal|intranet|localdomain|corp|fritz\.box)\b",
        re.IGNORECASE,
    ),
}
NUMBERS: dict[str, re.Pattern[str]] = {
    "an IP address": re.compile(
        r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[0-9a-f]{0,4}:){3,}[0-9a-f]{0,4}"
    ),
    "a serial number": re.compile(
        r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{12,}\b"
        r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
        r"|\bserial\W{1,3}\w*\d\w*",
        re.IGNORECASE,
    ),
}
# Versions look like numbers: 5.0.0.93 is no address.
VERSIONS = re.compile(r"(?:environment\.(?:libraries|kernel|python)|\w+\.backend_version)\b.*")
SHA256 = re.compile(r"[0-9a-f]{64}")
# Of what was asked for only names are of interest.
NAMES_ONLY = re.compile(r"setup\..*|source\.name")
SEPARATORS = re.compile(r"[/\\]")
# Names that thousands of machines have.
COMMON = re.compile(
    r"root|users?|admin|home|runner|localhost|ubuntu|debian|raspberrypi|jetson|nvidia|orin|nano",
    re.IGNORECASE,
)
# Where these meters' own words say where they are.
METER_WORDS = {"smart_plug": "smart plug over MQTT", "file": "log as it grows"}


def leaks(values: object, names: Collection[str] = ()) -> list[str]:
    """Return one line for every text of a result that should not be in it.

    Args:
        values: JSON values.
        names: of the machine and its user, see local_names.
    """
    found = []
    for where, text in _texts(values):
        if where.endswith("sha256") and SHA256.fullmatch(text):
            continue
        what = [name for name, form in _forms(where).items() if form.search(text)]
        if NAMES_ONLY.fullmatch(where) and SEPARATORS.search(text):
            what.append("a path")
        if any(_named(name).search(text) for name in names):
            what.append("the name of this machine or of its user")
        found += [f"{where}: holds {one}" for one in dict.fromkeys(what)]
    meter = values.get("meter") if isinstance(values, Mapping) else None
    words = METER_WORDS.get(str(meter.get("name"))) if isinstance(meter, Mapping) else None
    if words is not None and isinstance(meter, Mapping) and meter.get("detail") != words:
        found.append("meter.detail: says where the meter is")
    return found


def local_names() -> frozenset[str]:
    """Return the names of this machine and of its user, without those that many have."""
    host = socket.gethostname()
    found = {host, host.partition(".")[0]}
    # In a container a user may be a number without a name.
    with contextlib.suppress(KeyError, OSError, RuntimeError):
        found |= {getpass.getuser(), Path.home().name}
    return frozenset(name for name in found if len(name) > 2 and not COMMON.fullmatch(name))


def without_leaks(values: dict[str, Any]) -> dict[str, Any]:
    """Return a device result's JSON values without paths, addresses and places of meters.

    Names instead of paths where something was asked for; in free text REMOVED.
    """
    meter = values["meter"]
    words = METER_WORDS.get(meter["name"])
    cleaned: dict[str, Any] = _replace(values, "", str(meter["detail"]), words)
    setup = cleaned["setup"]
    setup["model"] = cleaned["artifact"]["name"]
    setup["detector"] = cleaned["detector"] and cleaned["detector"]["name"]
    cleaned["source"]["name"] = re.split(r"[/\\]", values["source"]["name"])[-1]
    setup["source"] = cleaned["source"]["name"]
    setup["power"] = str(values["setup"]["power"]).partition(":")[0]
    return cleaned


def _replace(value: Any, where: str, detail: str, words: str | None) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _replace(one, _join(where, key), detail, words) for key, one in value.items()}
    if isinstance(value, list):
        return [_replace(one, _join(where, n), detail, words) for n, one in enumerate(value)]
    if not isinstance(value, str) or where.endswith("sha256"):
        return value
    if words is not None:
        value = value.replace(detail, words)
    for form in _forms(where).values():
        value = form.sub(REMOVED, value)
    return value


def _texts(value: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its place, keys included."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield where or "result", str(key)
            yield from _texts(one, _join(where, key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, one in enumerate(value):
            yield from _texts(one, _join(where, number))
    elif isinstance(value, str):
        yield where, value


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


def _forms(where: str) -> dict[str, re.Pattern[str]]:
    return LEAKS if VERSIONS.fullmatch(where) else {**LEAKS, **NUMBERS}


def _named(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE)
