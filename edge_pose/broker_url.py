"""Broker addresses on the command line: mqtt://[user[:password]@]host[:port][/topic/filter]."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr, ValidationError

from edge_pose.config import MqttConfig, first_error
from edge_pose.errors import UsageError

DEFAULT_FILTER = "edge_pose/#"
FORM = "mqtt://[user[:password]@]host[:port][/topic/filter], or mqtts:// for TLS"


class BrokerUrl(NamedTuple):
    """A parsed address."""

    config: MqttConfig
    topic_filter: str


def parse_broker_url(
    url: str,
    *,
    ca_file: Path | None = None,
    tls_insecure: bool = False,
    password: SecretStr | None = None,
    password_file: Path | None = None,
) -> BrokerUrl:
    """Parse a broker's address; user and password may be percent-encoded.

    Args:
        url: the address; without a topic filter it is `edge_pose/#`.
        ca_file: trust this CA instead of the system's (mqtts only).
        tls_insecure: accept any certificate (mqtts only).
        password: used where a user is given and neither the address nor a file has a password.
        password_file: its first line is the password.

    Raises:
        UsageError: the address has another form. The message never shows a password.
    """
    try:
        parts = urlsplit(url, allow_fragments=False)  # '#' is a wildcard here
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"broker address: host or port is wrong, expected {FORM}") from None
    if parts.scheme not in ("mqtt", "mqtts") or not host:
        raise UsageError(f"broker address: expected {FORM}")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    topic_filter = unquote(path.removeprefix("/")) or DEFAULT_FILTER
    check_filter(topic_filter)
    values: dict[str, object] = {
        "host": host,
        "port": port,
        "tls": parts.scheme == "mqtts",
        "ca_file": ca_file,
        "tls_insecure": tls_insecure,
        "password_file": password_file,
        **_credentials(parts, None if password_file else password),
    }
    try:
        return BrokerUrl(MqttConfig.model_validate(values), topic_filter)
    except ValidationError as error:
        raise UsageError(f"broker address: {first_error(error)}") from None


def _credentials(parts: SplitResult, fallback: SecretStr | None) -> dict[str, object]:
    if parts.username is None:
        return {"username": None, "password": None}
    password = None if parts.password is None else SecretStr(unquote(parts.password))
    return {"username": unquote(parts.username), "password": password or fallback}


def check_filter(topic_filter: str) -> None:
    """Check a topic filter (MQTT 3.1.1, section 4.7).

    Raises:
        UsageError: a wildcard shares its level with something else, or `#` is not the last level.
    """
    levels = topic_filter.split("/")
    for number, level in enumerate(levels, 1):
        shared = len(level) > 1 and ("+" in level or "#" in level)
        early = level == "#" and number < len(levels)
        if shared or early or "\0" in level:
            rule = "+ stands for one whole level, # for the rest at the end"
            raise UsageError(f"topic filter {topic_filter!r}: {rule}")
