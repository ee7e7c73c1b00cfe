"""An MQTT broker inside this process, for demonstrations and tests: nothing to install or start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_pose.errors import PublisherError

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
START_S = 10.0
SHUTDOWN_S = 2.0
STOP_S = 10.0
NOISY_LOGGERS = ("amqtt", "transitions")


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as mqtt://host:port."""
        return f"mqtt://{self.host}:{self.port}"


@contextlib.contextmanager
def embedded_broker(
    port: int = 0, users: Mapping[str, str] | None = None
) -> Iterator[BrokerAddress]:
    """Run a broker (amqtt, MQTT 3.1.1) in a thread, reachable from this machine only.

    Args:
        port: 0 takes a free one.
        users: password by user name; None lets everybody in.

    Raises:
        PublisherError: amqtt is not installed, or the port is in use.
    """
    try:
        import amqtt.broker  # noqa: F401 - fails here, not in the thread
    except ImportError:
        message = "embedded broker: amqtt is not installed; pip install 'edge-pose[broker]'"
        raise PublisherError(message) from None
    port = port or free_port()
    thread = _BrokerThread(_config(port, users))
    with _silenced():
        thread.start()
        thread.started.wait(START_S)
        if thread.problem is not None or not thread.started.is_set():
            problem = thread.problem or f"did not start within {START_S:g} s"
            raise PublisherError(f"embedded broker {HOST}:{port}: {problem}")
        try:
            yield BrokerAddress(HOST, port)
        finally:
            thread.stop()


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _config(port: int, users: Mapping[str, str] | None) -> dict[str, Any]:
    plugin: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}
    if users is not None:
        plugin = {"edge_pose.broker_amqtt.UsersPlugin": {"users": dict(users)}}
    return {"listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}}, "plugins": plugin}


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Quiet amqtt, which reports every client that disconnects as an error."""
    loggers = [logging.getLogger(name) for name in NOISY_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _BrokerThread(threading.Thread):
    """The broker's event loop; `started` is set once it listens or `problem` says why not."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(name="broker", daemon=True)
        self._config = config
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_note_quietly)
        self._quit = asyncio.Event()
        self.started = threading.Event()
        self.problem: str | None = None

    def run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self.started.set()
            self._loop.run_until_complete(_cancel_rest())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._quit.set)
        self.join(STOP_S)

    async def _serve(self) -> None:
        from amqtt.errors import BrokerError

        from edge_pose.broker_amqtt import TidyBroker

        broker = TidyBroker(self._config, loop=self._loop)
        try:
            await broker.start()
        except (BrokerError, OSError) as error:
            self.problem = str(error)
            return
        self.started.set()
        await self._quit.wait()
        await broker.stop(SHUTDOWN_S)


def _note_quietly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG001
    """A client that vanished leaves failed tasks behind; that is no news to the user."""
    logger.debug("embedded broker: %s", context.get("exception") or context.get("message"))


async def _cancel_rest() -> None:
    """End what the broker left running, so that nobody warns about pending tasks."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.sleep(0)  # transports close themselves in the next turn
