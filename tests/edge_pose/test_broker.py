from __future__ import annotations

import contextlib
import gc
import logging
import subprocess
import sys
import threading
import warnings

import pytest

from edge_pose.broker import BrokerAddress, embedded_broker, free_port
from edge_pose.config import MqttConfig
from edge_pose.errors import PublisherError
from edge_pose.mqtt_link import LinkError, MqttLink


def connect(address: BrokerAddress, **values: object) -> None:
    config = {"host": address.host, "port": address.port, **values}
    link = MqttLink(MqttConfig.model_validate(config))
    try:
        link.open()
    finally:
        link.close()


def test_anybody_may_come_in_by_default() -> None:
    with embedded_broker() as address:
        assert address.url == f"mqtt://127.0.0.1:{address.port}"
        connect(address)
        connect(address, username="somebody", password="x" * 9)


def test_users() -> None:
    right = "pässword"
    with embedded_broker(users={"camera": right}) as address:
        connect(address, username="camera", password=right)
        for user, password in (("camera", "wrong"), ("nobody", right), (None, None)):
            with pytest.raises(LinkError, match="refused") as caught:
                connect(address, username=user, password=password)
            assert caught.value.permanent


def test_a_given_port_and_a_port_in_use() -> None:
    port = free_port()
    with embedded_broker(port) as address:
        assert address.port == port
        with pytest.raises(PublisherError, match=f"127.0.0.1:{port}: "), embedded_broker(port):
            pass
    with embedded_broker(port):  # free again
        pass


def test_clean_end_with_clients_connected(caplog: pytest.LogCaptureFixture) -> None:
    """No pending tasks, no open sockets, no log lines, no thread left."""
    caplog.set_level(logging.INFO)
    before = threading.active_count()
    level = logging.getLogger("amqtt").level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with embedded_broker() as address:
            link = MqttLink(MqttConfig(host=address.host, port=address.port))
            link.open()
            link.subscribe("#", 1)
            link.publish("a", b"b", 1)
        wait_for_the_end(link)
        link.close()
        gc.collect()
    assert threading.active_count() == before
    assert caplog.records == []
    assert logging.getLogger("amqtt").level == level


def wait_for_the_end(link: MqttLink) -> None:
    with contextlib.suppress(LinkError):
        for _ in range(100):
            link.step(0.1)
        pytest.fail("the connection outlived the broker")


def test_an_error_inside_ends_the_broker() -> None:
    with pytest.raises(RuntimeError, match="inside"), embedded_broker() as address:
        raise RuntimeError("inside")
    with pytest.raises(LinkError, match="refused"):
        connect(address)


def test_the_extra_is_named_where_it_is_missing() -> None:
    code = (
        "import sys; sys.modules['amqtt'] = None\n"
        "from edge_pose.broker import embedded_broker\n"
        "from edge_pose.errors import PublisherError\n"
        "try:\n"
        "    embedded_broker().__enter__()\n"
        "except PublisherError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'edge-pose[broker]'" in done.stdout
