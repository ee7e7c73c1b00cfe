from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from rich.console import Console

from converters.interrupts import remembered_signals
from converters.terminal import progress
from edge_pose.errors import EdgePoseError


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Whoever starts the tests in the background has SIGINT ignored."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end)
    try:
        yield
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "it was put back"
        assert signal.getsignal(signal.SIGTERM) is end
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
@pytest.mark.parametrize("terminal", [False, True])
def test_what_foreign_code_swallows_acts_at_the_next_step(
    number: signal.Signals, raised: type[BaseException], terminal: bool
) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal)

    def work(kind: str, *words: object) -> None:
        with progress(console) as steps:
            steps("converting x")
            with suppress(BaseException):
                signal.raise_signal(number)
            getattr(steps, kind)(*words)
            pytest.fail("the work went on")

    for kind, words in (("say", ("measuring x",)), ("tick", (1, 2)), ("overall", (1, 2))):
        with pytest.raises(raised):
            work(kind, *words)


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_swallowed_in_the_last_step_acts_at_the_end(terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal)
    heard: list[str] = []

    def work() -> None:
        with progress(console) as steps:
            steps("measuring x")
            with suppress(BaseException):
                signal.raise_signal(signal.SIGINT)
            heard.append("the end of the work")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert heard == ["the end of the work"]


def test_a_handler_that_returns_is_called_once_more_and_not_at_every_step() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with remembered_signals() as check:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            for _ in range(3):
                check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT] * 4, "twice each"


@pytest.mark.parametrize("interrupted", [False, True])
def test_an_error_that_a_signal_caused_is_none_of_the_network(interrupted: bool) -> None:
    def work() -> None:
        with remembered_signals() as check:
            check()
            export(interrupted=interrupted)

    with pytest.raises(KeyboardInterrupt if interrupted else EdgePoseError):
        work()


def export(*, interrupted: bool) -> None:
    """Fail, as an exporter does that calls every exception an error of the network."""
    with suppress(KeyboardInterrupt):
        if interrupted:
            signal.raise_signal(signal.SIGINT)
    raise EdgePoseError("torch to ONNX: cannot export")


def test_other_threads_have_no_signals() -> None:
    heard = []

    def work() -> None:
        with remembered_signals() as check:
            check()
            heard.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [True]
