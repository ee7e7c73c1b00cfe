from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

SCRIPT = Path(__file__).parents[2] / "scripts" / "convert_all.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_network_is_converted_and_compared(
    need: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    need("onnxscript")
    models = ["--model", "hourglass_168_shuffle", "--model", "efficientnet_bm4"]
    done = run("--format", "onnx", *models, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "conversions.json").read_text("utf-8"))
    assert (report["schema"], report["format"]) == ("edge_pose.conversions/1", "onnx")
    network, classifier = report["rows"]
    assert (network["model"], network["precision"]) == ("hourglass_168_shuffle", "fp32")
    assert network["input_size"] == [64, 64]
    assert network["difference"] < 1e-4
    assert network["correlation"] > 0.999
    assert network["size_bytes"] > 100_000
    assert classifier["error"] == "a classifier has no artifact"
    table = (tmp_path / "conversions.md").read_text("utf-8")
    assert done.stdout == table
    assert len(table.splitlines()) == 4


def test_an_unknown_format_is_a_row_of_the_table_and_a_failure() -> None:
    done = run("--format", "tflit", "--model", "hourglass_168_shuffle")
    assert done.returncode == 1
    assert "converter 'tflit fp32': unknown, did you mean 'tflite fp32'" in done.stdout
    assert "1 of 1 conversions failed" in done.stderr
    assert "Traceback" not in done.stderr
