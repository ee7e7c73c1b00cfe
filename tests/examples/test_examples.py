"""The examples run as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge_pose.broker import embedded_broker
from edge_pose.samples import WALKING

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_follow_clip() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "follow_clip.py"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert 4 <= len(lines) <= 6
    assert all(line.startswith("frame ") and "head at" in line for line in lines)


def test_subscribe_prints_what_a_run_publishes() -> None:
    with embedded_broker() as broker:
        command = [sys.executable, EXAMPLES / "subscribe.py", broker.host, str(broker.port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as subscriber:
            assert subscriber.stdout is not None
            try:
                # The clip is published again and again until the subscriber has heard of it.
                publish = [sys.executable, "-m", "edge_pose", "run", str(WALKING)]
                publish += ["--mqtt", broker.url, "--max-frames", "40"]
                for _ in range(3):
                    subprocess.run(publish, check=True, capture_output=True)
                line = subscriber.stdout.readline()
            finally:
                subscriber.kill()
    assert line.startswith("frame ")
    assert "hands [[" in line
