"""Publishers: where results go. One name per implementation, imported on use."""

from __future__ import annotations

import importlib
from typing import Any

from edge_pose.lookup import lookup

PUBLISHERS: dict[str, str] = {
    "jsonl": "edge_pose.publishers.jsonl:JsonlPublisher",
    "mqtt": "edge_pose.publishers.mqtt:MqttPublisher",
    "video": "edge_pose.publishers.video:VideoPublisher",
}
"""Name to "module:class". The classes follow edge_pose.publishers.base.Publisher."""


def publisher_class(name: str) -> type[Any]:
    """Import and return a publisher's class; what its constructor takes is its own affair.

    Raises:
        UsageError: the name is unknown.
    """
    module, class_name = lookup(PUBLISHERS, name, "publisher").split(":")
    found: type[Any] = getattr(importlib.import_module(module), class_name)
    return found
