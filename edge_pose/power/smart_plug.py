"""A smart plug that publishes watts over MQTT: what the whole device draws from the wall."""

from __future__ import annotations

import threading
from pathlib import Path

from edge_pose.broker_url import BrokerUrl, parse_broker_url
from edge_pose.errors import PowerError, PublisherError, UsageError
from edge_pose.power.base import Accuracy, PowerMeter, Scope
from edge_pose.power.feed import STALE_S, Feed
from edge_pose.power.options import split_options
from edge_pose.power.plug_payload import read_payload, usual_path
from edge_pose.profile import DeviceProfile
from edge_pose.subscriber import Received, Subscriber

KEYS = ("path", "stale_s", "password_file", "ca_file")
STEP_S = 0.5


class SmartPlugMeter(PowerMeter):
    """Listens to one topic in a thread of its own; the broker may go and come back meanwhile.

    Args:
        url: the broker and the plug's topic, without wildcards.
        path: where the power is in a message, see plug_payload; None for what the topic tells.
        stale_s: a reading older than this is no reading any more; also the wait for the first one.

    Raises:
        PowerError: no reading in time; the reason is named where it is known.
        PublisherError: password or CA file cannot be used.
    """

    name = "smart_plug"
    scope: Scope = "wall"

    def __init__(self, url: BrokerUrl, path: str | None = None, stale_s: float = STALE_S) -> None:
        topic = url.topic_filter
        self._path = usual_path(topic) if path is None else path
        self._subscriber = Subscriber(url.config, [topic], judge=self._examine)
        self.detail = f"MQTT topic {topic} at {self._subscriber.target}"
        self._feed = Feed(f"smart_plug: {self.detail}", stale_s)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="smart plug", daemon=True)
        self._thread.start()
        try:
            self._feed.wait()
        except PowerError:
            self.close()
            raise

    @property
    def accuracy(self) -> Accuracy:  # type: ignore[override]  # it grows with what was seen
        """Makers state none that holds for all plugs; how often this one speaks is seen here."""
        return Accuracy(update_s=self._feed.update_s)

    def read_w(self) -> float:
        """Return what the plug said last, in W.

        Raises:
            PowerError: that is too long ago.
        """
        return self._feed.latest_w()

    def close(self) -> None:
        """Leave the broker."""
        self._stop.set()
        self._thread.join()

    def _listen(self) -> None:
        with self._subscriber as subscriber:
            while not self._stop.is_set():
                try:
                    received = subscriber.receive(STEP_S)
                except PublisherError as error:  # waiting does not help
                    self._feed.fail(str(error))
                    return
                if received is not None:
                    self._take(received)
                elif subscriber.problem is not None:
                    self._feed.note(subscriber.problem)

    def _take(self, received: Received) -> None:
        if received.problem is not None:
            self._feed.note(received.problem)
        elif received.retained:  # the broker has kept it for nobody knows how long
            self._feed.note("only an old message that the broker kept")
        elif received.message is not None:
            self._feed.put(received.message["watts"])

    def _examine(self, topic: str, payload: bytes, *, retained: bool = False) -> Received:
        try:
            message = {"watts": read_payload(payload, self._path)}
        except (PowerError, PublisherError) as error:
            return Received(topic, None, str(error), retained)
        return Received(topic, message, None, retained)


def open_smart_plug(profile: DeviceProfile, root: Path, options: str = "") -> SmartPlugMeter:  # noqa: ARG001 - common signature
    """Return the meter.

    Args:
        profile: not used.
        root: not used.
        options: "mqtt[s]://[user@]host[:port]/topic[,path=A.B][,stale_s=90][,password_file=FILE]
            [,ca_file=FILE]".

    Raises:
        PowerError: see SmartPlugMeter.
        UsageError: the options have another form.
    """
    given = split_options("smart_plug", options, KEYS)
    files = {key: Path(given.settings[key]) for key in KEYS[2:] if key in given.settings}
    try:
        url = parse_broker_url(given.first, **files)  # type: ignore[arg-type]  # two of its keys
    except UsageError as error:
        raise UsageError(f"smart_plug: {error}") from None
    if url.config.password is not None:  # the setting is written into results and logs
        raise UsageError("smart_plug: a password has no place in the address, use password_file=")
    if "+" in url.topic_filter or "#" in url.topic_filter:
        raise UsageError("smart_plug: expected the topic of one plug, without + and #")
    stale_s = given.seconds("stale_s", STALE_S)
    try:
        return SmartPlugMeter(url, given.settings.get("path"), stale_s)
    except PublisherError as error:
        raise PowerError(f"smart_plug: {error}") from None
