"""One connection to an MQTT broker, driven step by step by the thread that owns it.

paho's own network thread is not used: driving its socket functions from one thread makes it
certain which message was written, which was acknowledged, and why a connection failed (paho's
callback for a failed connection does not say). MQTT 3.1.1, which every broker speaks.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_pose.config import MqttConfig
from edge_pose.errors import PublisherError
from edge_pose.mqtt_access import read_password, tls_context, unique_client_id

OPEN_S = 10.0  # from the first TCP packet to the broker's answer
STEP_S = 1.0  # keep-alive is looked after at least this often
TRANSIENT_REFUSALS = frozenset({"Server unavailable", "Server busy", "Connection rate exceeded"})
NO_REASON = frozenset({"Unspecified error", "Normal disconnection", "Success"})


class LinkError(PublisherError):
    """There is no connection (any more).

    Attributes:
        permanent: trying again does not help before somebody changes something.
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class MqttLink:
    """A paho client without a thread. Only `wake` may be called from other threads.

    Args:
        config: broker, credentials and TLS.
        open_s: how long `open` may take.

    Attributes:
        target: "host:port" for logs.
        on_message: called with each message that arrives.
        on_published: called with the id of each message that was acknowledged (QoS 1 and 2).
        subscriptions: how many the broker has granted on this connection.
        subscription_refused: True once the broker has denied one.

    Raises:
        PublisherError: the host is empty, or the password or CA file cannot be used.
    """

    def __init__(self, config: MqttConfig, open_s: float = OPEN_S) -> None:
        if not config.host:
            raise PublisherError("mqtt.host: empty, expected the broker's name or address")
        self._config = config
        self._open_s = open_s
        self._port = config.port or (8883 if config.tls else 1883)
        self.target = f"{config.host}:{self._port}"
        self.on_message: Callable[[paho.MQTTMessage], None] = lambda _: None
        self.on_published: Callable[[int], None] = lambda _: None
        self.subscriptions = 0
        self.subscription_refused = False
        self._connected = False
        self._problem = LinkError("not connected")
        self._client = self._new_client(config)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._woken = False

    def _new_client(self, config: MqttConfig) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=config.client_id or unique_client_id(),
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = self._open_s / 2
        client.max_inflight_messages_set(0)  # the owner bounds what is in flight
        password = read_password(config)
        if password is not None and config.username is None:
            raise PublisherError("mqtt.password: given without mqtt.username")
        client.username_pw_set(config.username, password)
        if config.tls:
            client.tls_set_context(tls_context(config))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = lambda _client, _data, message: self.on_message(message)
        client.on_publish = lambda _client, _data, mid, _code, _props: self.on_published(mid)
        client.on_subscribe = self._on_subscribe
        return client

    def set_will(self, topic: str, payload: bytes) -> None:
        """Choose the retained message that the broker publishes when the connection breaks."""
        self._client.will_set(topic, payload, qos=1, retain=True)

    def open(self) -> None:
        """Connect and wait for the broker's answer.

        Raises:
            LinkError: no connection, no answer in time, or a refusal.
        """
        deadline = time.monotonic() + self._open_s
        self._connected = False
        self.subscriptions = 0
        hint = "" if self._config.tls else "; is it a TLS port?"
        self._problem = LinkError(f"the broker closed the connection{hint}")
        try:
            self._client.connect(self._config.host, self._port, self._config.keepalive_s)
        except (OSError, ValueError) as error:
            raise connect_problem(error, tls=self._config.tls) from None
        while not self._connected:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise LinkError(f"no answer of an MQTT broker within {self._open_s:g} s")
            self.step(min(remaining, STEP_S))

    def step(self, timeout_s: float) -> None:
        """Wait for the socket, `wake` or the timeout; read and write what can be.

        Raises:
            LinkError: the connection is lost.
        """
        sock = self._client.socket()
        if sock is None:
            raise self._problem
        pending = sock.pending() if isinstance(sock, ssl.SSLSocket) else 0
        events = self._poll(sock.fileno(), 0.0 if pending else min(timeout_s, STEP_S))
        try:
            if pending or events & ~select.POLLOUT:
                self._client.loop_read()
            if self.want_write:
                self._client.loop_write()
            self._client.loop_misc()
        except Exception as error:  # noqa: BLE001 - what paho raises for malformed packets is open
            raise LinkError(f"unreadable answer ({type(error).__name__})") from None
        if self._client.socket() is None:
            raise self._problem

    def _poll(self, fileno: int, timeout_s: float) -> int:
        poll = select.poll()
        poll.register(fileno, select.POLLIN | (select.POLLOUT if self.want_write else 0))
        poll.register(self._wake_read.fileno(), select.POLLIN)
        events = dict(poll.poll(timeout_s * 1e3))
        if self._wake_read.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                self._wake_read.recv(64)
            self._woken = False  # after the read: whoever comes between is seen after this step
        return events.get(fileno, 0)

    def wake(self) -> None:
        """End a `step` that waits; callable from any thread."""
        if not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):  # full (a wake-up is there already) or closed
                self._wake_write.send(b"\0")

    @property
    def want_write(self) -> bool:
        """True while something that was published is not yet written to the socket."""
        return self._client.want_write()

    def publish(
        self, topic: str, payload: bytes, qos: int = 0, *, retain: bool = False
    ) -> paho.MQTTMessageInfo:
        """Hand a message over; what the socket does not take at once, the next steps write."""
        return self._client.publish(topic, payload, qos, retain)

    def subscribe(self, topic_filter: str, qos: int) -> None:
        """Ask for messages; the answer shows in `subscriptions` or `subscription_refused`."""
        self._client.subscribe(topic_filter, qos)

    def close(self, timeout_s: float = 1.0) -> None:
        """Say goodbye to the broker (no last will) and release the sockets."""
        deadline = time.monotonic() + timeout_s
        self._client.disconnect()
        with contextlib.suppress(LinkError):
            while time.monotonic() < deadline:
                self.step(0.1)
        self._wake_read.close()
        self._wake_write.close()

    def _on_connect(
        self,
        client: paho.Client,  # noqa: ARG002 - paho's signature
        userdata: object,  # noqa: ARG002
        flags: paho.ConnectFlags,  # noqa: ARG002
        code: ReasonCode,
        properties: Properties | None,  # noqa: ARG002
    ) -> None:
        self._connected = not code.is_failure
        if code.is_failure:
            reason = str(code)
            permanent = reason not in TRANSIENT_REFUSALS
            self._problem = LinkError(f"the broker refused: {reason}", permanent=permanent)

    def _on_disconnect(
        self,
        client: paho.Client,  # noqa: ARG002 - paho's signature
        userdata: object,  # noqa: ARG002
        flags: paho.DisconnectFlags,  # noqa: ARG002
        code: ReasonCode,
        properties: Properties | None,  # noqa: ARG002
    ) -> None:
        if self._connected:
            reason = str(code)
            self._problem = LinkError("closed by the broker" if reason in NO_REASON else reason)
        self._connected = False

    def _on_subscribe(
        self,
        client: paho.Client,  # noqa: ARG002 - paho's signature
        userdata: object,  # noqa: ARG002
        mid: int,  # noqa: ARG002
        codes: list[ReasonCode],
        properties: Properties | None,  # noqa: ARG002
    ) -> None:
        refused = any(code.is_failure for code in codes)
        self.subscription_refused |= refused
        self.subscriptions += not refused


def connect_problem(error: OSError | ValueError, *, tls: bool) -> LinkError:
    """Say in words why a connection attempt failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"the broker's TLS certificate is not trusted: {error.verify_message}"
        return LinkError(reason, permanent=True)
    if isinstance(error, ssl.SSLError) or (tls and isinstance(error, ConnectionResetError)):
        return LinkError(f"TLS failed ({getattr(error, 'reason', 'reset')}); is it a TLS port?")
    if isinstance(error, socket.gaierror):
        return LinkError(f"unknown host: {error.strerror}")
    if isinstance(error, TimeoutError):
        return LinkError("timed out")
    if isinstance(error, OSError):
        return LinkError(error.strerror or str(error) or type(error).__name__)
    return LinkError("not a host name", permanent=True)
