"""Ctrl-C in the middle of foreign code.

Exporters run much of it. Some catches every exception, that of Ctrl-C among them, or calls it an
error of the network; some lets it vanish in a callback of native code, and the work goes on for
minutes. A signal that came is remembered here, and acts again at the next step.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def remembered_signals() -> Iterator[Callable[[], None]]:
    """Let signals act as before, and again where nothing came of them.

    Yields:
        A function to call between steps: raises what a signal since then raised, or nothing.
    """
    received: list[int] = []
    before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        before[number](number, frame)

    def check() -> None:
        while received:
            number = received.pop(0)
            before[number](number, None)

    try:
        if threading.current_thread() is threading.main_thread():  # others cannot set handlers
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, note)
        yield check
        check()  # what came in the last step
    except Exception:
        check()  # an error that a signal caused is none of the network
        raise
    finally:
        for number in SIGNALS:
            if signal.getsignal(number) is note:  # a handler may have put another one there
                signal.signal(number, before[number])
