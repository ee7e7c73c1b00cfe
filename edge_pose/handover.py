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


class Handover(Generic[Item]):
    """Runs an iterable in a thread; use it in a `with` statement and take items with `get`.

    Args:
        items: iterated in the thread.
        depth: items that may be ready and not yet taken.
        newest: never wait for the consumer, but drop the oldest item that is ready; counted.
        cancel: called on leaving the `with` block; makes the iterable end where it waits.
        name: of the thread.
    """

    def __init__(
        self,
        items: Iterable[Item],
        depth: int,
        *,
        newest: bool = False,
        cancel: Callable[[], None] = lambda: None,
        name: str,
    ) -> None:
        self.dropped = 0
        self._items = items
        self._newest = newest
        self._cancel = cancel
        self._queue: queue.Queue[Item | None] = queue.Queue(depth)
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
            TimeoutError: there is none within `timeout_s`.
            BaseException: what the iterable raised; the items before that were handed out.
        """
        try:
            item = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError from None
        if item is None and self._error is not None:
            raise self._error
        return item

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer by get()
            self._error = error
        self._put(None)

    def _put(self, item: Item | None) -> bool:
        hurry = self._newest and item is not None
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0 if hurry else POLL_S)
            except queue.Full:
                if hurry:
                    self._drop_oldest()
            else:
                return True
        return False

    def _drop_oldest(self) -> None:
        try:
            self._queue.get_nowait()
            self.dropped += 1
        except queue.Empty:  # the consumer was quicker
            pass
