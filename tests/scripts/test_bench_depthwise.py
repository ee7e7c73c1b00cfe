from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_depthwise.py"


def test_every_depthwise_layer_of_the_network_is_compared(
    need: Callable[[str], ModuleType],
) -> None:
    torch = need("torch")
    command = [sys.executable, str(SCRIPT), "--batch", "1", "--input-side", "64", "--rounds", "1"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    values = json.loads(done.stdout)
    assert values["torch"] == torch.__version__
    # One per block: 1 + 2 + 2 + 3 + 3 + 4 + 1 (the network's table).
    assert sum(row["count"] for row in values["layers"]) == 16
    first = values["layers"][0]["layer"]
    assert first == {"channels": 32, "side": 32, "kernel": 3, "stride": 1}
    total = values["network"]
    assert total["ratio"] == total["plain_ms"] / total["ours_ms"]


def test_a_wrong_number_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--batch", "0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--batch" in done.stderr
    assert "Traceback" not in done.stderr
