"""What waits to be sent: a bounded queue of poses, and the newest message of other topics."""

from __future__ import annotations

import collections
import threading
from typing import NamedTuple


class Note(NamedTuple):
    """A message of which only the newest matters."""

    topic: str
    payload: bytes
    retain: bool


class Outbox:
    """Between the frame loop, which puts, and one sender thread, which takes.

    When the queue of pose messages is full the OLDEST is dropped: to whoever watches a camera the
    newest pose is worth the most, and after an outage the first message is then at most
    `size` frames old. Every message ends up in `sent` or in `dropped`, or is still waiting.

    Args:
        size: pose messages kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._poses: collections.deque[bytes] = collections.deque()
        self._notes: dict[str, Note] = {}
        self._retained: dict[str, Note] = {}
        self._space = threading.Condition()
        self._patient = True
        self._closed = False
        self._given = 0
        self._sent = 0
        self._dropped = 0

    @property
    def sent(self) -> int:
        """Pose messages that were sent."""
        return self._sent

    @property
    def dropped(self) -> int:
        """Pose messages that will never be sent."""
        return self._dropped

    @property
    def empty(self) -> bool:
        """True when nothing waits; what was taken and not yet marked does not count."""
        return not self._poses and not self._notes

    def put(self, payload: bytes, wait_s: float = 0.0) -> None:
        """Add a pose message, dropping the oldest when there is no space after `wait_s`.

        After one wait in vain the next calls do not wait, until the sender takes something: a run
        without a broker is held up once, not once per frame.
        """
        with self._space:
            if wait_s > 0 and self._patient and len(self._poses) >= self._size:
                self._patient = self._space.wait_for(self._has_space, wait_s)
            self._given += 1
            if self._closed:
                self._dropped += 1
                return
            if len(self._poses) >= self._size:
                self._poses.popleft()
                self._dropped += 1
            self._poses.append(payload)

    def _has_space(self) -> bool:
        return self._closed or len(self._poses) < self._size

    def take(self) -> bytes | None:
        """Return the oldest pose message, or None."""
        with self._space:
            if not self._poses:
                return None
            payload = self._poses.popleft()
            self._patient = True
            self._space.notify()
            return payload

    def put_back(self, payload: bytes) -> None:
        """Return a message that was taken and not sent to the front of the queue."""
        with self._space:
            if self._closed or len(self._poses) >= self._size:
                self._dropped += 1
            else:
                self._poses.appendleft(payload)

    def mark_sent(self) -> None:
        """Count a message that was taken as sent."""
        with self._space:
            if not self._closed:
                self._sent += 1

    def count_lost(self) -> None:
        """Count a message that could not even be put."""
        with self._space:
            self._given += 1
            self._dropped += 1

    def note(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Replace the message that waits for a topic; retained ones can be repeated."""
        with self._space:
            note = Note(topic, payload, retain)
            self._notes[topic] = note
            if retain:
                self._retained[topic] = note

    def repeat_retained(self) -> None:
        """Send every retained message again: a broker that was restarted may have lost them."""
        with self._space:
            self._notes = {**self._retained, **self._notes}

    def take_note(self) -> Note | None:
        """Return the message that waits longest on another topic, or None."""
        with self._space:
            return self._notes.pop(next(iter(self._notes))) if self._notes else None

    def close(self) -> None:
        """Take no more, and count everything that was not sent as dropped."""
        with self._space:
            self._closed = True
            self._poses.clear()
            self._notes.clear()
            self._dropped = self._given - self._sent
            self._space.notify_all()
