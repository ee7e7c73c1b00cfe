"""What the embedded broker adds to amqtt; imported only where amqtt is installed."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from typing import Any

from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin


class TidyBroker(Broker):  # type: ignore[misc] # amqtt has no types
    """Closes the sockets of clients that have left, and ends in bounded time."""

    async def stream_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
    ) -> None:
        """Serve one client."""
        try:
            await super().stream_connected(reader, writer, listener_name)
        finally:
            writer.close()

    async def stop(self, timeout_s: float) -> None:
        """Shut down; a client in the middle of connecting can hold amqtt up for ever."""
        try:
            await asyncio.wait_for(self.shutdown(), timeout_s)
        except asyncio.TimeoutError:
            for server in self._servers.values():
                server.instance.close()


class UsersPlugin(BaseAuthPlugin):  # type: ignore[misc] # amqtt has no types
    """Lets in who gives a known name and its password. amqtt is handed this class by name."""

    @dataclass
    class Config:
        """Passwords by user name."""

        users: dict[str, str] = field(default_factory=dict)

    async def authenticate(self, *, session: Any) -> bool:  # noqa: ANN401 - amqtt has no types
        """Compare in constant time."""
        expected = self.config.users.get(session.username or "")
        given = session.password or ""
        return expected is not None and hmac.compare_digest(given.encode(), expected.encode())
