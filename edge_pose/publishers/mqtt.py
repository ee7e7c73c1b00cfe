"""Messages to an MQTT broker, sent by a thread that lives through every outage."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time

from paho.mqtt.client import MQTTMessage, MQTTMessageInfo

from edge_pose.config import MqttConfig
from edge_pose.errors import PublisherError
from edge_pose.messages import (
    DeviceState,
    MessageContext,
    encode,
    poses_topic,
    state_topic,
    stats_topic,
    status_message,
    status_topic,
)
from edge_pose.mqtt_link import LinkError, MqttLink
from edge_pose.publishers.base import Message, PublisherReport
from edge_pose.publishers.outage_log import OutageLog
from edge_pose.publishers.outbox import Outbox
from edge_pose.types import FrameResult

logger = logging.getLogger(__name__)

BACKOFF_S = (1.0, 30.0)
STABLE_S = 10.0  # a connection that held so long makes the next pause short again
CLOSE_S = 5.0
GOODBYE_S = 1.0  # extra time for the offline message
UNACKNOWLEDGED = 64  # pose messages in flight at QoS 1 and 2
BATCH = 64  # pose messages between two looks at the socket


class MqttPublisher:
    """Publishes to a broker that need not be there: not at the start, and not all the time.

    `poses` encodes and queues, nothing more; a thread owns the connection. While the broker is away
    the oldest messages are dropped and counted. "sent" means written to the socket at QoS 0 and
    acknowledged at QoS 1 and 2. The device's status is retained, and the last will sets it to
    offline; when another process of the same device ends and leaves "offline" behind, this one
    says again that the device is online.

    Args:
        config: broker, credentials, QoS and queue size.
        context: what the messages have in common.
        block_s: how long `poses` may wait for space in the queue: 0 for live sources, some seconds
            for files, which then lose nothing to a broker that is merely slower.
        backoff_s: first and longest pause between two attempts to connect.
        close_s: how long `close` may take to send what is queued.

    Raises:
        PublisherError: the configuration cannot be used (host, CA file, password).
    """

    name = "mqtt"

    def __init__(
        self,
        config: MqttConfig,
        context: MessageContext,
        *,
        block_s: float = 0.0,
        backoff_s: tuple[float, float] = BACKOFF_S,
        close_s: float = CLOSE_S,
    ) -> None:
        self._context = context
        self._qos = config.qos
        self._block_s = block_s
        self._backoff_s = backoff_s
        self._close_s = close_s
        device, camera, prefix = context.device, context.camera, config.topic_prefix
        self._poses_topic = poses_topic(prefix, device, camera)
        self._state_topic = state_topic(prefix, device, camera)
        self._stats_topic = stats_topic(prefix, device)
        self._status_topic = status_topic(prefix, device)
        self._outbox = Outbox(config.queue_size)
        self._writing: tuple[MQTTMessageInfo, bytes] | None = None  # QoS 0, not yet on the socket
        self._unacknowledged: set[int] = set()  # QoS 1 and 2
        self._goodbye: bytes | None = None
        self._goodbye_echoed = False
        self._status_readable = False
        self._closing = threading.Event()
        self._deadline_s = float("inf")
        self._link = MqttLink(config)
        self._link.on_message = self._on_own_status
        self._link.on_published = self._on_published
        self._log = OutageLog(logger, f"MQTT broker {self._link.target}", self._outbox)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    @property
    def sent(self) -> int:
        """Pose messages sent so far."""
        return self._outbox.sent

    @property
    def dropped(self) -> int:
        """Pose messages lost so far."""
        return self._outbox.dropped

    @property
    def connected(self) -> bool:
        """True while the broker is there."""
        return self._log.up

    def poses(self, result: FrameResult, message: Message) -> None:  # noqa: ARG002 - the protocol's
        """Queue one message; waits at most `block_s`."""
        try:
            payload = encode(message)
        except PublisherError:
            self._outbox.count_lost()
            raise
        self._outbox.put(payload, self._block_s)
        self._link.wake()

    def state(self, message: Message) -> None:
        """Queue the camera's state, retained; only the newest is kept while the broker is away."""
        self._outbox.note(self._state_topic, encode(message), retain=True)
        self._link.wake()

    def stats(self, message: Message) -> None:
        """Queue the figures; only the newest are kept while the broker is away."""
        self._outbox.note(self._stats_topic, encode(message), retain=False)
        self._link.wake()

    def close(self) -> PublisherReport:
        """Send what is queued within `close_s`, say offline, disconnect; twice is allowed."""
        if not self._closing.is_set():
            self._deadline_s = time.monotonic() + self._close_s
            self._closing.set()
            self._link.wake()
            self._thread.join(self._close_s + 2 * GOODBYE_S)
            self._outbox.close()
            if self._outbox.dropped:
                logger.warning(
                    "MQTT broker %s: %d of %d pose messages were not sent",
                    self._link.target,
                    self._outbox.dropped,
                    self._outbox.dropped + self._outbox.sent,
                )
        box = self._outbox
        return PublisherReport(self.name, self._link.target, box.sent, box.dropped)

    # From here on everything runs in the publisher's own thread.

    def _run(self) -> None:
        pause_s, longest_s = self._backoff_s
        try:
            while True:
                self._link.set_will(self._status_topic, self._status("offline"))
                opened_s = float("inf")
                try:
                    self._link.open()
                    opened_s = time.monotonic()
                    self._log.came_up()
                    self._session()
                    break
                except LinkError as error:
                    self._reclaim()
                    self._log.went_down(error)
                    # A broker that throws the client out at once is not asked every second.
                    if time.monotonic() - opened_s > STABLE_S:
                        pause_s = self._backoff_s[0]
                    wait_s = longest_s if error.permanent else pause_s
                # A closing publisher tries once, so that a run of one picture reaches the broker.
                if self._closing.wait(wait_s):
                    break
                pause_s = min(2 * pause_s, longest_s)
        finally:
            self._link.close()

    def _session(self) -> None:
        """Send until the publisher closes.

        Raises:
            LinkError: the connection is lost.
        """
        self._link.publish(self._status_topic, self._status("online"), 1, retain=True)
        self._link.subscribe(self._status_topic, 0)
        self._outbox.repeat_retained()
        while True:
            closing = self._closing.is_set()
            more = self._hand_over()
            if closing and (self._finished() or time.monotonic() > self._deadline_s):
                break
            self._link.step(0.0 if more else 1.0)
            self._settle()
            self._log.check_drops()
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        """Publish offline and wait until the broker sends it back to this very client.

        Only then has it taken everything that came before: a broker may forget what it has
        acknowledged and not yet passed on when the client disconnects (amqtt does).
        """
        self._goodbye = self._status("offline")
        self._link.publish(self._status_topic, self._goodbye, 1, retain=True)
        deadline_s = time.monotonic() + GOODBYE_S  # for users who may not read their own status
        if self._status_readable:
            deadline_s = max(self._deadline_s, deadline_s)
        while not self._goodbye_echoed and time.monotonic() < deadline_s:
            self._link.step(0.1)

    def _finished(self) -> bool:
        in_flight = self._writing is not None or self._unacknowledged or self._link.want_write
        return self._outbox.empty and not in_flight

    def _hand_over(self) -> bool:
        """Give paho what it can take; True when there may be more."""
        while (note := self._outbox.take_note()) is not None:
            self._link.publish(note.topic, note.payload, int(note.retain), retain=note.retain)
        for _ in range(BATCH):
            busy = self._writing is not None or self._link.want_write
            if busy or len(self._unacknowledged) >= UNACKNOWLEDGED:
                return False  # the next step waits for the socket
            payload = self._outbox.take()
            if payload is None:
                return False
            info = self._link.publish(self._poses_topic, payload, self._qos)
            if self._qos:
                self._unacknowledged.add(info.mid)
            else:
                self._writing = info, payload
                self._settle()
        return True

    def _settle(self) -> None:
        """Count the message that was being written once it is on the socket."""
        if self._writing is not None and written(self._writing[0]):
            self._writing = None
            self._outbox.mark_sent()

    def _reclaim(self) -> None:
        """After a loss: what was not written goes back; paho repeats what was not acknowledged."""
        self._settle()
        if self._writing is not None:
            self._outbox.put_back(self._writing[1])
            self._writing = None

    def _on_published(self, mid: int) -> None:
        if mid in self._unacknowledged:
            self._unacknowledged.discard(mid)
            self._outbox.mark_sent()

    def _on_own_status(self, message: MQTTMessage) -> None:
        """Say online again when somebody else left "offline": a late will, or a sister process."""
        if message.topic != self._status_topic:
            return  # amqtt sends retained messages of other clients' subscriptions too
        self._status_readable = True
        self._goodbye_echoed |= message.payload == self._goodbye
        with contextlib.suppress(ValueError, AttributeError, RecursionError):
            offline = json.loads(message.payload).get("state") == "offline"
            if offline and not self._closing.is_set():
                self._link.publish(self._status_topic, self._status("online"), 1, retain=True)

    def _status(self, state: DeviceState) -> bytes:
        return encode(status_message(self._context, state))


def written(info: MQTTMessageInfo) -> bool:
    """True once paho has written a QoS 0 message; False while it has not, or failed."""
    return info.rc == 0 and info.is_published()
