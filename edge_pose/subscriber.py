"""The other end: messages from a broker, each checked against its schema."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from paho.mqtt.client import MQTTMessage

from edge_pose.broker_url import check_filter
from edge_pose.config import MqttConfig
from edge_pose.errors import PublisherError
from edge_pose.mqtt_link import OPEN_S, LinkError, MqttLink
from edge_pose.schemas import validate_message

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Received:
    """One message.

    Attributes:
        topic: where it was published.
        message: the parsed message; None where it is not valid.
        problem: why it is not valid, one line; None where it is.
        retained: True for what the broker had kept from before the subscription.
    """

    topic: str
    message: dict[str, Any] | None
    problem: str | None
    retained: bool


class Subscriber:
    """Receives messages and comes back after every outage; a context manager.

    A lost connection and its return are logged; that there is none at the start is for the caller
    to say, who knows how long it is worth waiting.

    Args:
        config: broker and credentials.
        topics: topic filters.
        open_s: how long one attempt to connect may take.
        judge: examines a message, `judge(topic, payload, retained=…)`; against the schemas by
            default.

    Attributes:
        ever_connected: True once the broker has answered.
        problem: why there is no connection; None while there is one, and before the first attempt.

    Raises:
        PublisherError: the configuration cannot be used (host, CA file, password).
        UsageError: a topic filter is wrong.
    """

    def __init__(
        self,
        config: MqttConfig,
        topics: Sequence[str],
        open_s: float = OPEN_S,
        judge: Callable[..., Received] | None = None,
    ) -> None:
        for topic_filter in topics:
            check_filter(topic_filter)
        self._topics = tuple(topics)
        self._judge = judge or examine
        self._received: collections.deque[Received] = collections.deque()
        self._link = MqttLink(config, open_s)
        self._link.on_message = self._on_message
        self._up = False
        self._lost = False
        self._pause_s = FIRST_PAUSE_S
        self._next_attempt_s = 0.0
        self.ever_connected = False
        self.problem: str | None = None

    @property
    def target(self) -> str:
        """The broker as "host:port"."""
        return self._link.target

    @property
    def listening(self) -> bool:
        """True while the broker has granted every topic filter: nothing is missed from here on."""
        return self._up and self._link.subscriptions == len(self._topics)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._link.close()

    def receive(self, timeout_s: float) -> Received | None:
        """Return the next message, or None after `timeout_s`, be the broker there or not.

        An attempt to connect that has begun is finished first.

        Raises:
            PublisherError: the broker refuses the credentials or the subscription, or its
                certificate is not trusted; waiting does not help.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self._received:
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                return None
            try:
                self._advance(remaining_s)
            except LinkError as error:
                self._went_down(error)
        return self._received.popleft()

    def _advance(self, timeout_s: float) -> None:
        """Take one step towards the next message."""
        if self._up:
            self._link.step(timeout_s)
            if self._link.subscription_refused:
                filters = ", ".join(self._topics)
                raise PublisherError(f"MQTT broker {self.target}: refused to subscribe {filters}")
            return
        pause_s = self._next_attempt_s - time.monotonic()
        if pause_s > 0:
            time.sleep(min(pause_s, timeout_s))
            return
        self._link.open()
        for topic_filter in self._topics:
            self._link.subscribe(topic_filter, 1)
        if self._lost:
            logger.warning("MQTT broker %s: connected", self.target)
        self._up, self._lost, self.ever_connected, self.problem = True, False, True, None
        self._pause_s = FIRST_PAUSE_S

    def _went_down(self, error: LinkError) -> None:
        if error.permanent:
            raise PublisherError(f"MQTT broker {self.target}: {error}") from None
        self.problem = str(error)
        if self._up:
            self._up, self._lost = False, True
            logger.warning("MQTT broker %s: connection lost (%s); trying again", self.target, error)
        self._next_attempt_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _on_message(self, message: MQTTMessage) -> None:
        if not message.payload or is_control(message.topic):
            return  # an empty message deletes a retained one
        payload = bytes(message.payload)
        self._received.append(self._judge(message.topic, payload, retained=message.retain))


def is_control(topic: str) -> bool:
    """Return True for control topics (…/set/<x>), which have no schema."""
    return topic.split("/")[-2:-1] == ["set"]


def examine(topic: str, payload: bytes, *, retained: bool = False) -> Received:
    """Validate one message: its schema, and that it is the kind that the topic announces."""
    try:
        message = validate_message(payload)
    except PublisherError as error:
        return Received(topic, None, str(error), retained)
    kind = topic.rsplit("/", 1)[-1]
    if message["schema"] != f"edge_pose.{kind}/1":
        problem = f"{message['schema']}: found on a topic that ends in /{kind}"
        return Received(topic, None, problem, retained)
    return Received(topic, message, None, retained)
