"""The shipped artifacts: every folder here that holds a manifest.json."""

from __future__ import annotations

from pathlib import Path

DEFAULT = "hourglass_lite_s_int8"
DEFAULTS = {"onnx": DEFAULT, "tflite": "hourglass_lite_s_tflite_int8"}
"""The same network in several formats."""


def shipped() -> dict[str, Path]:
    """Return the folders of the shipped artifacts by name, and the default under "default"."""
    here = Path(__file__).parent
    folders = {file.parent.name: file.parent for file in sorted(here.glob("*/manifest.json"))}
    if DEFAULT in folders:
        folders["default"] = folders[DEFAULT]
    return folders
