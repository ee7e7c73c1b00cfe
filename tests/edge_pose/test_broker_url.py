from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from edge_pose.broker_url import check_filter, parse_broker_url
from edge_pose.errors import UsageError


@pytest.mark.parametrize(
    ("url", "host", "port", "topic_filter"),
    [
        ("mqtt://localhost", "localhost", None, "edge_pose/#"),
        ("mqtt://localhost/", "localhost", None, "edge_pose/#"),
        ("mqtt://10.0.0.1:1884", "10.0.0.1", 1884, "edge_pose/#"),
        ("mqtt://[::1]:1884/#", "::1", 1884, "#"),
        ("mqtt://broker/a/+/poses", "broker", None, "a/+/poses"),
        ("mqtt://broker/site/7/#", "broker", None, "site/7/#"),
        ("mqtt://broker/a?b/c", "broker", None, "a?b/c"),
    ],
)
def test_addresses(url: str, host: str, port: int | None, topic_filter: str) -> None:
    address = parse_broker_url(url)
    assert (address.config.host, address.config.port) == (host, port)
    assert address.topic_filter == topic_filter
    assert address.config.tls is False


def test_user_password_and_tls() -> None:
    config = parse_broker_url("mqtts://me%40home:p%2Fw%23d@broker", ca_file=Path("ca.pem")).config
    assert config.username == "me@home"
    assert config.password.get_secret_value() == "p/w#d"
    assert (config.tls, config.tls_insecure, config.ca_file) == (True, False, Path("ca.pem"))
    assert "p/w#d" not in repr(config)


def test_passwords_from_elsewhere() -> None:
    given = SecretStr("from-env")
    assert parse_broker_url("mqtt://broker", password=given).config.password is None
    assert parse_broker_url("mqtt://u@broker", password=given).config.password == given
    with_own = parse_broker_url("mqtt://u:own@broker", password=given).config
    assert with_own.password.get_secret_value() == "own"
    file = Path("password")
    with_file = parse_broker_url("mqtt://u@broker", password=given, password_file=file).config
    assert (with_file.password, with_file.password_file) == (None, file)


@pytest.mark.parametrize(
    "url",
    [
        "localhost",
        "http://localhost",
        "mqtt://",
        "mqtt:///topic",
        "mqtt://u:geheim@broker:port",
        "mqtt://u:geheim/@broker",
        "mqtt://broker:99999",
        "mqtt://[::1",
        "mqtt://u:geheim@broker:0",
    ],
)
def test_wrong_addresses_do_not_show_the_password(url: str) -> None:
    with pytest.raises(UsageError, match="broker address: ") as caught:
        parse_broker_url(url)
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ca_file_needs_tls() -> None:
    with pytest.raises(UsageError, match="need tls"):
        parse_broker_url("mqtt://broker", ca_file=Path("ca.pem"))


@pytest.mark.parametrize("topic_filter", ["#", "+", "a/#", "+/+/poses", "a//b", "/"])
def test_filters(topic_filter: str) -> None:
    check_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", ["a#", "a/#/b", "a+/b", "##", "a/b+", "a\0"])
def test_wrong_filters(topic_filter: str) -> None:
    with pytest.raises(UsageError, match="topic filter"):
        check_filter(topic_filter)
