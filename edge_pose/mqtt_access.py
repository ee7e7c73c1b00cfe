"""Who a client is and whom it trusts: client id, password and TLS."""

from __future__ import annotations

import ssl
import uuid

from edge_pose.config import MqttConfig
from edge_pose.errors import PublisherError


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(config: MqttConfig) -> ssl.SSLContext:
    """Return a context that verifies the broker's certificate and name unless told otherwise.

    Raises:
        PublisherError: the CA file cannot be read or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except ssl.SSLError:
        raise PublisherError(f"mqtt.ca_file {config.ca_file}: no PEM certificate in it") from None
    except OSError as error:
        message = f"mqtt.ca_file {config.ca_file}: cannot be read: {error.strerror}"
        raise PublisherError(message) from None
    context.sslsocket_class = _Socket
    if config.tls_insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def read_password(config: MqttConfig) -> str | None:
    """Return the password, or the first line of the password file.

    Raises:
        PublisherError: the file cannot be read.
    """
    if config.password is not None:
        return config.password.get_secret_value()
    if config.password_file is None:
        return None
    where = f"mqtt.password_file {config.password_file}"
    try:
        lines = config.password_file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PublisherError(f"{where}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PublisherError(f"{where}: not UTF-8 text") from None
    if not lines or not lines[0]:
        raise PublisherError(f"{where}: the first line is empty, expected the password")
    return lines[0]


def unique_client_id() -> str:
    """Return an id of 20 letters and digits; MQTT 3.1.1 lets brokers refuse more than 23."""
    return f"edgepose{uuid.uuid4().hex[:12]}"
