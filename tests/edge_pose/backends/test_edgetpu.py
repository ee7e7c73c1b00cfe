"""The Edge TPU without one: what is asked of LiteRT, and what is said where it is not there."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends import edgetpu, open_backend
from edge_pose.errors import BackendError, UsageError
from edge_pose.manifest import Manifest

FILE = Path(__file__).parents[2] / "fixtures" / "tflite" / "blobs_int8.tflite"


@pytest.fixture
def artifact(tiny_artifact: Path, need: Callable[[str], ModuleType]) -> Artifact:
    need("ai_edge_litert")
    values = load_artifact(tiny_artifact).manifest.model_dump(mode="json", by_alias=True)
    values["file"] |= {"name": "model.tflite", "format": "tflite", "backend": "tflite"}
    values["input"] |= {"layout": "nhwc", "dtype": "int8"}
    values["outputs"][0] |= {"layout": "nhwk", "dtype": "int8"}
    return Artifact(tiny_artifact, Manifest.model_validate(values), FILE.read_bytes())


@pytest.fixture
def compiled(artifact: Artifact) -> Artifact:
    """The same for the CPU; what the compiler writes into a file lies behind its end."""
    return replace(artifact, model=artifact.model + edgetpu.OPERATOR)


class Delegate:
    """What the library's delegate is to Python: something to hand to the interpreter."""


@pytest.fixture
def tpu(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Let the library be there; the list says what was asked of LiteRT."""
    from ai_edge_litert import interpreter

    calls: list[tuple[str, Any]] = []
    real = interpreter.Interpreter

    def load_delegate(library: str) -> Delegate:
        calls.append(("load_delegate", library))
        return Delegate()

    def open_interpreter(*, experimental_delegates: list[Any], **others: Any) -> Any:
        calls.append(("delegates", [type(d).__name__ for d in experimental_delegates]))
        return real(**others)  # there is no TPU to run on: the file is one for the CPU

    monkeypatch.setattr(ctypes, "CDLL", lambda name: calls.append(("library", name)))
    monkeypatch.setattr(interpreter, "load_delegate", load_delegate)
    monkeypatch.setattr(interpreter, "Interpreter", open_interpreter)
    return calls


def test_a_compiled_file_gets_the_delegate(
    compiled: Artifact, tpu: list[tuple[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    backend = open_backend(compiled, device="edgetpu", strict=True)
    assert backend.device == "EDGETPU"
    assert tpu == [
        ("library", "libedgetpu.so.1"),
        ("load_delegate", "libedgetpu.so.1"),
        ("delegates", ["Delegate"]),
    ]
    (heatmaps,) = backend.run(np.zeros((1, 64, 64, 3), np.uint8))
    assert heatmaps.shape == (1, 16, 16, 16)
    assert caplog.messages == []


def test_without_the_library_a_compiled_file_is_refused_in_one_line(
    compiled: Artifact, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendError, match=r"needs an Edge TPU and libedgetpu\.so\.1: ") as error:
        open_backend(compiled, device="EDGETPU")
    assert "\n" not in str(error.value)
    assert "take the artifact that it was compiled from" in str(error.value)
    assert "Traceback" not in capfd.readouterr().err


def test_a_library_that_finds_no_tpu_is_one_line(
    compiled: Artifact, tpu: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ai_edge_litert import interpreter

    def load_delegate(library: str) -> None:
        raise ValueError(f"Failed to load delegate from {library}\n")

    monkeypatch.setattr(interpreter, "load_delegate", load_delegate)
    with pytest.raises(BackendError, match="Failed to load delegate from libedgetpu") as error:
        open_backend(compiled, device="EDGETPU")
    assert "\n" not in str(error.value)


def test_a_file_that_was_not_compiled_runs_on_the_cpu_with_a_warning(
    artifact: Artifact, tpu: list[tuple[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        backend = open_backend(artifact, device="EDGETPU")
    assert backend.device == "CPU"
    assert tpu == [("delegates", [])]
    assert "tflite: EDGETPU cannot be used: the file was not compiled for it" in caplog.text
    with pytest.raises(BackendError, match=r"run edgetpu_compiler on it; leave out --strict"):
        open_backend(artifact, device="EDGETPU", strict=True)


def test_a_compiled_file_is_refused_on_the_cpu_in_one_line(compiled: Artifact) -> None:
    with pytest.raises(BackendError, match="was compiled for the Edge TPU and runs nowhere") as e:
        open_backend(compiled)
    assert "pass --device edgetpu" in str(e.value)
    assert "\n" not in str(e.value)


def test_an_unknown_device_is_a_usage_error(artifact: Artifact) -> None:
    with pytest.raises(UsageError, match=r"device of tflite 'EDGETPO': .*did you mean 'EDGETPU'"):
        open_backend(artifact, device="edgetpo")
