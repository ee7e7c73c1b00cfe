"""From a run's configuration to a model in a real runtime, with devices that are not there."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import edge_pose
from edge_pose.backends import available_cores
from edge_pose.config import RunConfig
from edge_pose.errors import BackendError, UsageError
from edge_pose.loaded_model import LoadedModel, load_model
from edge_pose.profile import load_profile

# Of each runtime: devices that no machine of these tests has.
ABSENT = [
    ("onnxruntime", "CUDA"),
    ("onnxruntime", "TENSORRT"),
    ("openvino", "GPU"),
    ("openvino", "GPU.1"),
    ("openvino", "NPU"),
    ("tflite", "EDGETPU"),
]
TFLITE = Path(__file__).parents[1] / "fixtures" / "tflite" / "blobs_float32.tflite"

Load = Callable[..., LoadedModel]


@pytest.fixture
def loaded(tiny_artifact: Path, need: Callable[[str], ModuleType]) -> Load:
    """Return a function: load the tiny artifact on a board with this runtime, with these wishes."""
    need("openvino")

    def load(
        backend: str = "onnxruntime",
        device: str = "CPU",
        threads: int = 0,
        config: dict[str, Any] | None = None,
    ) -> LoadedModel:
        generic = load_profile("generic_x86_64")
        facts = {"backend": backend, "device": device, "threads": threads}
        runtime = generic.runtime.model_copy(update=facts)
        board = generic.model_copy(update={"name": "board", "runtime": runtime})
        values = {"model": str(tiny_artifact), "compile_cache": "off", **(config or {})}
        return load_model(RunConfig.model_validate(values), board)

    return load


def told(model: LoadedModel) -> tuple[str, str, int]:
    model.estimator.close()
    return model.runtime.backend, model.runtime.device, model.runtime.threads


def test_the_profile_decides_unless_something_is_asked_for(loaded: Load) -> None:
    free = max(1, available_cores() - 1)
    assert told(loaded("openvino", threads=1)) == ("openvino", "CPU", 1)
    assert told(loaded("openvino")) == ("openvino", "CPU", free)
    asked = loaded("openvino", "NPU", 1, config={"backend": "onnxruntime", "threads": 2})
    assert told(asked) == ("onnxruntime", "CPU", 2)


def test_what_was_chosen_and_why_is_logged(loaded: Load, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edge_pose")
    model = loaded("openvino", threads=1, config={"inference_device": "CPU"})
    model.warm_up()
    choice, opened, gate, warm = caplog.messages
    assert choice == (
        "backend openvino (profile board), device CPU (asked for), threads 1 (profile board)"
    )
    assert opened == f"{model.runtime}: loaded in {model.load_s:.3f} s"
    assert gate == "blobs_fp32: its gate was measured with onnxruntime"
    assert warm == f"warmed up in {model.warm_up_s:.3f} s"
    assert model.warm_up_s > 0
    assert model.load_s > 0


@pytest.mark.parametrize(("arch", "told"), [("x86_64", True), ("aarch64", False), ("", False)])
def test_an_artifact_for_another_processor_is_noted(
    artifact_copy: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    arch: str,
    told: bool,
) -> None:
    artifact_copy.set("file.arch", arch)
    monkeypatch.setattr("platform.machine", lambda: "arm64")  # what macOS calls aarch64
    caplog.set_level(logging.INFO, "edge_pose.loaded_model")
    config = RunConfig(model=str(artifact_copy.folder), profile="generic_aarch64")
    load_model(config).estimator.close()
    assert ("blobs_fp32: its integers suit x86_64, this is arm64" in caplog.messages) is told


@pytest.fixture
def tflite_artifact(
    artifact_copy: Any, tiny_artifact: Path, need: Callable[[str], ModuleType]
) -> Path:
    """The tiny artifact as a TFLite file."""
    need("ai_edge_litert")
    artifact_copy.set("file.format", "tflite").set("file.backend", "tflite")
    artifact_copy.set("input.layout", "nhwc").set("outputs.0.layout", "nhwk")
    artifact_copy.replace_model(TFLITE.read_bytes())
    folder: Path = artifact_copy.folder
    return folder


@pytest.mark.parametrize(("backend", "device"), ABSENT)
def test_a_device_that_is_not_there_is_replaced_by_the_cpu_unless_strict(
    loaded: Load,
    tiny_artifact: Path,
    tflite_artifact: Path,
    caplog: pytest.LogCaptureFixture,
    backend: str,
    device: str,
) -> None:
    model = {"model": str(tflite_artifact if backend == "tflite" else tiny_artifact)}
    lower = {"inference_device": device.lower()}  # however it is written
    assert told(loaded(backend, config={**model, **lower}))[:2] == (backend, "CPU")
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warning.startswith(f"{backend}: {device} cannot be used: ")
    assert warning.endswith("; running on the CPU instead")
    assert "\n" not in warning
    with pytest.raises(BackendError) as caught:
        loaded(backend, config={**model, "inference_device": device, "strict": True})
    assert str(caught.value).startswith(f"{backend}: {device} cannot be used: ")
    assert str(caught.value).endswith("; leave out --strict to run on the CPU instead")
    assert "\n" not in str(caught.value)


def test_a_profiles_device_that_is_not_there_is_treated_alike(loaded: Load) -> None:
    assert told(loaded("openvino", "NPU"))[:2] == ("openvino", "CPU")
    with pytest.raises(BackendError, match="openvino: NPU cannot be used"):
        loaded("openvino", "NPU", config={"strict": True})


@pytest.mark.parametrize(
    ("backend", "device", "meant"),
    [("onnxruntime", "CUDAA", "CUDA"), ("openvino", "NPUU", "NPU"), ("openvino", "GPPU", "GPU")],
)
def test_an_unknown_device_is_a_usage_error(
    loaded: Load, backend: str, device: str, meant: str
) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{meant}'") as caught:
        loaded(backend, config={"inference_device": device})
    assert device in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_backend_that_cannot_read_the_artifact_says_which_can(loaded: Load) -> None:
    with pytest.raises(BackendError) as caught:
        loaded(config={"backend": "tflite"})
    message = str(caught.value)
    assert "format onnx, expected tflite for backend tflite" in message
    assert message.endswith("can be read by onnxruntime or openvino")


def test_what_is_not_installed_says_how_to_get_it(
    loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert told(loaded("openvino"))[0] == "onnxruntime"
    for wishes in ({"backend": "openvino"}, {"strict": True}):
        with pytest.raises(BackendError, match=r"pip install 'edge-pose\[openvino\]'"):
            loaded("openvino", config=wishes)


def test_more_threads_than_cores_are_worth_a_warning(
    loaded: Load, caplog: pytest.LogCaptureFixture
) -> None:
    many = available_cores() + 1
    assert told(loaded(config={"threads": many})) == ("onnxruntime", "CPU", many)
    (message,) = caplog.messages
    assert message.startswith(f"threads {many}: there are only {many - 1} cores")
    caplog.clear()
    told(loaded(config={"threads": many - 1}))
    assert caplog.messages == []


def test_the_python_interface_takes_the_same_options(
    tiny_artifact: Path, need: Callable[[str], ModuleType], tmp_path: Path, scene: Any
) -> None:
    need("openvino")
    picture = scene((64, 64)).person((32, 32), 30).image
    with edge_pose.load(tiny_artifact) as estimator:
        assert estimator.backend.name == "onnxruntime"  # what the artifact was made for
        expected = estimator(picture)[0]
    options = {"backend": "openvino", "device": "cpu", "threads": 1, "strict": True}
    for cache in ("off", tmp_path / "compiled", str(tmp_path / "compiled")):
        with edge_pose.load(tiny_artifact, cache=cache, **options) as estimator:
            assert (estimator.backend.name, estimator.backend.device) == ("openvino", "CPU")
            pose = estimator(picture)[0]
        assert np.abs(pose.keypoints - expected.keypoints).max() < 0.01
    assert list((tmp_path / "compiled").glob("openvino-*-cpu-*/*.blob"))
    for threads in (-1, 1025):
        with pytest.raises(UsageError, match=rf"threads {threads}: expected 0 .* to 1024"):
            edge_pose.load(tiny_artifact, threads=threads)


@pytest.fixture
def only(need: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function: let only these runtimes look installed."""
    need("onnxruntime")
    need("ai_edge_litert")

    def there(*names: str) -> None:
        for module in ("edge_pose.backends", "edge_pose.backends.choice"):
            monkeypatch.setattr(f"{module}.installed", lambda name: name in names)

    return there


@pytest.mark.parametrize(
    ("there", "preferred", "model", "backend"),
    [
        (("onnxruntime", "tflite"), "tflite", "hourglass_lite_s_tflite_int8", "tflite"),
        (("onnxruntime", "tflite"), "onnxruntime", "hourglass_lite_s_int8", "onnxruntime"),
        (("onnxruntime",), "tflite", "hourglass_lite_s_int8", "onnxruntime"),
        (("tflite",), "onnxruntime", "hourglass_lite_s_tflite_int8", "tflite"),
        (("openvino",), "tflite", "hourglass_lite_s_int8", "openvino"),
    ],
)
def test_the_default_comes_in_the_format_of_an_installed_runtime(
    loaded: Load,
    only: Callable[..., None],
    there: tuple[str, ...],
    preferred: str,
    model: str,
    backend: str,
) -> None:
    only(*there)
    run = loaded(preferred, config={"model": "default"})
    assert (run.estimator.manifest.name, run.runtime.backend) == (model, backend)
    run.estimator.close()
    with edge_pose.load() as estimator:
        first = "hourglass_lite_s_tflite_int8" if there == ("tflite",) else "hourglass_lite_s_int8"
        assert estimator.manifest.name == first


@pytest.mark.parametrize("there", [("onnxruntime",), ("onnxruntime", "tflite")])
def test_the_default_follows_a_backend_that_is_asked_for(
    loaded: Load, only: Callable[..., None], there: tuple[str, ...]
) -> None:
    only(*there)
    wishes = {"model": "default", "backend": "tflite"}
    run = loaded(config=wishes)  # what is not there says so when it is opened, see test_tflite.py
    assert run.estimator.manifest.name == "hourglass_lite_s_tflite_int8"
    run.estimator.close()
    with edge_pose.load(backend="tflite") as estimator:
        assert estimator.backend.name == "tflite"


def test_strict_asks_for_the_profiles_runtime(loaded: Load, only: Callable[..., None]) -> None:
    only("onnxruntime")
    run = loaded("tflite", config={"model": "default", "strict": True})
    assert run.runtime.backend == "tflite"
    run.estimator.close()


def test_a_pulled_namesake_does_not_disturb_the_default(
    loaded: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "edge_pose/models/hourglass_lite_s_int8-0123456789ab"
    folder.mkdir(parents=True)
    run = loaded(config={"model": "default"})
    assert run.estimator.manifest.name == "hourglass_lite_s_int8"
    run.estimator.close()
