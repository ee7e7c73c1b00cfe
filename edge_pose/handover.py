"""Items made in one thread and used in another, so that two stages of the pipeline overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from typing_extensions import Self

Item = TypeVar("Item")

POLL_S = 0.1  # how soon a thread that waits for space notices that the run is over
JOIN_S = 5.0


class NotReadyError(Exception):
    """No item is ready in time.

    Not TimeoutError: an iterable may raise that, and it would look as if something were to come.
    """


class Handover(Generic[Item]):
    """Runs an iterable in a thread; use it in a `with` statement and take items with `get`.

    Args:
        items: iterated in the thread.
        depth: items that may be ready and not yet taken.
        newest: never wait for the consumer, but drop the oldest item that is ready; counted.
        hold: keep each item back until the iterable calls `release`, or is done with the next one.
        cancel: called on leaving the `with` block; makes the iterable end where it waits.
        name: of the thread.
    """

    def __init__(
        self,
        items: Iterable[Item],
        depth: int,
        *,
        newest: bool = False,
        hold: bool = False,
        cancel: Callable[[], None] = lambda: None,
        name: str,
    ) -> None:
        self.dropped = 0
        self._items = items
        self._newest = newest
        self._hold = hold
        self._cancel = cancel
        self._held: Item | None = None
        # Two simple queues, which run without Python code, are quicker than one queue.Queue.
        self._ready: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._space: queue.SimpleQueue[None] = queue.SimpleQueue()  # an entry per free place
        for _ in range(depth):
            self._space.put(None)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._cancel()
        self._thread.join(JOIN_S)

    def get(self, timeout_s: float | None = None) -> Item | None:
        """Return the next item, or None after the last one.

        Raises:
            NotReadyError: there is none within `timeout_s`.
            BaseException: what the iterable raised; the items before that were handed out.
        """
        try:
            item = self._ready.get(timeout=timeout_s)
        except queue.Empty:
            raise NotReadyError from None
        if item is not None:
            self._space.put(None)
        elif self._error is not None:
            raise self._error
        return item

    def release(self) -> None:
        """Hand on the item that is held back, if there is one; for the iterable's own thread."""
        item, self._held = self._held, None
        if item is not None:
            self._ready.put(item)

    def _run(self) -> None:
        try:
            for item in self._items:
                self.release()
                if not self._find_space():
                    return
                self._held = item
                if not self._hold:
                    self.release()
        except BaseException as error:  # noqa: BLE001 - handed to the consumer by get()
            self._error = error
        self.release()
        self._ready.put(None)

    def _find_space(self) -> bool:
        """Take a free place; False where the run is over before there is one."""
        wait_s = 0.0 if self._newest else POLL_S
        while not self._stop.is_set():
            try:
                self._space.get(timeout=wait_s)
                return True
            except queue.Empty:
                if self._newest and self._drop_oldest():
                    return True
                wait_s = POLL_S  # the consumer was quicker and is about to give the place back
        return False

    def _drop_oldest(self) -> bool:
        """Take the place of the item that is ready for longest; False where there is none."""
        try:
            self._ready.get_nowait()
        except queue.Empty:
            return False
        self.dropped += 1
        return True
