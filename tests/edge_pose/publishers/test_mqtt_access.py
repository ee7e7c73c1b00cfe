"""Users, passwords and certificates, against mosquitto and the embedded broker."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from edge_pose.broker import embedded_broker
from edge_pose.config import MqttConfig
from edge_pose.errors import PublisherError
from edge_pose.messages import MessageContext
from edge_pose.mqtt_access import unique_client_id
from edge_pose.publishers.mqtt import MqttPublisher
from edge_pose.subscriber import Subscriber

FAST = (0.05, 0.2)
WORDS = "correct horse"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA and a certificate for 127.0.0.1 and localhost that it has signed."""
    folder = tmp_path_factory.mktemp("tls")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other-ca"):
        openssl(
            "req", "-x509", *new_key, "-subj", f"/CN={name}", "-days", "2",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", f"{name}.key", "-out", f"{name}.pem",
        )  # fmt: skip
    for name, subjects in (("server", "IP:127.0.0.1"), ("stranger", "DNS:elsewhere.test")):
        extensions = folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={subjects}\nauthorityKeyIdentifier=keyid\n")
        openssl("req", *new_key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", "csr")
        openssl(
            "x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", extensions.name, "-out", f"{name}.pem",
        )  # fmt: skip
    return folder


@pytest.fixture
def tls_broker(mosquitto: Callable[..., Any], certificates: Path) -> Callable[..., Any]:
    def start(name: str = "server") -> object:
        pair = {"certificate": certificates / f"{name}.pem", "key": certificates / f"{name}.key"}
        return mosquitto(users={"camera": WORDS}, tls=pair)

    return start


def config_for(port: int, **values: object) -> MqttConfig:
    return MqttConfig.model_validate({"host": "127.0.0.1", "port": port, **values})


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("edge_pose")]


def test_wrong_password_gives_one_line_and_the_right_one_works(
    mosquitto: Callable[..., Any],
    context: MessageContext,
    publish: Callable[..., None],
    until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    process = mosquitto(users={"camera": WORDS})
    wrong = config_for(process.port, username="camera", password="wrong-" + WORDS)
    publisher = MqttPublisher(wrong, context, backoff_s=FAST)
    publish(publisher, [0])
    until(lambda: any("refused" in line for line in lines_of(caplog)))
    assert not publisher.connected
    caplog_count = len(lines_of(caplog))
    with pytest.raises(AssertionError, match="not met in time"):
        until(lambda: len(lines_of(caplog)) > caplog_count, 0.6)  # it tries again, silently
    assert publisher.close().dropped == 1
    [line] = [line for line in lines_of(caplog) if "refused" in line]
    assert "Not authorized" in line
    assert "wrong-" not in caplog.text
    assert "wrong-" not in repr(wrong) + repr(publisher)

    right = config_for(process.port, username="camera", password=WORDS)
    publisher = MqttPublisher(right, context)
    publish(publisher, [0])
    assert publisher.close().sent == 1
    assert WORDS not in caplog.text


def test_a_password_that_is_corrected_later(
    context: MessageContext,
    publish: Callable[..., None],
    until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A broker that starts to accept the user is found without a restart."""
    with embedded_broker(users={"camera": "other"}) as address:
        config = config_for(address.port, username="camera", password=WORDS)
        publisher = MqttPublisher(config, context, backoff_s=FAST)
        until(lambda: any("refused" in line for line in lines_of(caplog)))
    with embedded_broker(port=address.port, users={"camera": WORDS}):
        until(lambda: publisher.connected)
        publish(publisher, [0])
        assert publisher.close().sent == 1


def test_password_from_the_first_line_of_a_file(
    mosquitto: Callable[..., Any],
    context: MessageContext,
    publish: Callable[..., None],
    tmp_path: Path,
) -> None:
    process = mosquitto(users={"camera": WORDS})
    file = tmp_path / "password"
    file.write_text(f"{WORDS}\nsomething else\n")
    publisher = MqttPublisher(
        config_for(process.port, username="camera", password_file=file), context
    )
    publish(publisher, [0])
    assert publisher.close().sent == 1


def test_tls_with_a_trusted_ca(
    tls_broker: Callable[..., Any],
    certificates: Path,
    context: MessageContext,
    publish: Callable[..., None],
    listen_to: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    process = tls_broker()
    config = config_for(
        process.port, tls=True, ca_file=certificates / "ca.pem", username="camera", password=WORDS
    )
    ear = listen_to(config)
    publisher = MqttPublisher(config, context, block_s=5)
    publish(publisher, range(200), persons=5)
    assert publisher.close().sent == 200
    until(lambda: len(ear.frames()) == 200)


@pytest.mark.parametrize(
    ("server", "ca", "reason"),
    [
        ("server", None, "not trusted"),  # the system's CAs
        ("server", "other-ca.pem", "not trusted"),
        ("stranger", "ca.pem", "IP address mismatch"),
    ],
)
def test_tls_is_verified(
    tls_broker: Callable[..., Any],
    certificates: Path,
    context: MessageContext,
    publish: Callable[..., None],
    until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    server: str,
    ca: str | None,
    reason: str,
) -> None:
    process = tls_broker(server)
    config = config_for(
        process.port, tls=True, ca_file=ca and certificates / ca, username="camera", password=WORDS
    )
    publisher = MqttPublisher(config, context, backoff_s=FAST)
    publish(publisher, [0])
    until(lambda: any(reason in line for line in lines_of(caplog)))
    report = publisher.close()
    assert (report.sent, report.dropped) == (0, 1)
    with (
        Subscriber(config, ["edge_pose/#"]) as subscriber,
        pytest.raises(PublisherError, match=reason),
    ):
        subscriber.receive(5)


def test_tls_verification_can_be_switched_off(
    tls_broker: Callable[..., Any], context: MessageContext, publish: Callable[..., None]
) -> None:
    process = tls_broker("stranger")
    config = config_for(
        process.port, tls=True, tls_insecure=True, username="camera", password=WORDS
    )
    publisher = MqttPublisher(config, context)
    publish(publisher, [0])
    assert publisher.close().sent == 1


def test_plain_and_tls_mixed_up(
    tls_broker: Callable[..., Any],
    mosquitto: Callable[..., Any],
    context: MessageContext,
    until: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain_to_tls = config_for(tls_broker().port)
    tls_to_plain = config_for(mosquitto().port, tls=True)
    for config in (plain_to_tls, tls_to_plain):
        caplog.clear()
        publisher = MqttPublisher(config, context, backoff_s=FAST)
        until(lambda: any("is it a TLS port?" in line for line in lines_of(caplog)))
        publisher.close()


def test_client_ids_are_unique_and_short_enough_for_every_broker() -> None:
    ids = {unique_client_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) <= 23 and one.isalnum() for one in ids)


def test_a_refused_listener_says_so(mosquitto: Callable[..., Any]) -> None:
    process = mosquitto(users={"camera": WORDS})
    config = config_for(process.port, username="camera", password=SecretStr("nope"))
    with (
        Subscriber(config, ["edge_pose/#"]) as subscriber,
        pytest.raises(PublisherError, match="refused: Not authorized"),
    ):
        subscriber.receive(5)
