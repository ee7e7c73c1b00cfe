"""Engines are built by the device's own tools, which are recorded here."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_pose.artifact import Artifact, load_artifact
from edge_pose.cli import cli
from edge_pose.engines import ENGINE_BUILDERS, open_builder
from edge_pose.engines import trtexec as trtexec_module
from edge_pose.engines.base import EngineRequest
from edge_pose.engines.build import build_engine
from edge_pose.engines.calibration_cache import format_cache, parse_cache
from edge_pose.errors import ArtifactError, BackendError, UsageError

# What TensorRT 8.5 says of an operator it does not know; the first error is the reason.
FAILURE = """[11/20/2026-10:00:00] [I] Start parsing network model.
[11/20/2026-10:00:01] [E] [TRT] ModelImporter.cpp:726: While parsing node number 3 [Fold -> "t3"]:
[11/20/2026-10:00:01] [E] [TRT] ModelImporter.cpp:728: --- End node ---
[11/20/2026-10:00:01] [E] Failed to parse onnx file
[11/20/2026-10:00:01] [E] Engine could not be created from network"""


@pytest.fixture
def artifact(tiny_artifact: Path) -> Artifact:
    return load_artifact(tiny_artifact)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    file = tmp_path / "calibration.cache"
    file.write_text(format_cache({"image": (-1.0, 1.0)}, "8000"))
    return file


def arguments(builder: object, precision: str, cache: Path | None = None) -> list[str]:
    return builder.arguments(EngineRequest(Path("m.onnx"), Path("m.engine"), precision, cache, 512))


@pytest.mark.parametrize(
    ("version", "precision", "expected"),
    [
        ("8201", "fp16", ["--buildOnly", "--workspace=512", "--fp16"]),
        ("8502", "fp32", ["--buildOnly", "--memPoolSize=workspace:512"]),
        ("100300", "fp16", ["--skipInference", "--memPoolSize=workspace:512", "--fp16"]),
        ("110000", "fp16", ["--skipInference", "--memPoolSize=workspace:512"]),
        (
            "8502",
            "int8",
            ["--buildOnly", "--memPoolSize=workspace:512", "--fp16", "--int8", "--calib=c"],
        ),
    ],
)
def test_arguments_are_those_of_the_version(
    trtexec: Callable[..., object], version: str, precision: str, expected: list[str]
) -> None:
    trtexec(version)
    builder = open_builder("trtexec")
    assert (builder.name, builder.version) == ("trtexec", version)
    cache = Path("c") if precision == "int8" else None
    found = arguments(builder, precision, cache)
    assert found == ["--onnx=m.onnx", "--saveEngine=m.engine", *expected]


def test_an_engine_is_built_and_reported(
    trtexec: Callable[..., object], artifact: Artifact, tmp_path: Path
) -> None:
    recorded = trtexec("100300")
    engine = tmp_path / "new" / "model.engine"
    report = build_engine(artifact, engine, open_builder(), "fp16")
    assert engine.read_bytes() == b"engine of 100300"
    assert recorded.files["--onnx"].encode("latin-1") == artifact.model
    assert (report.precision, report.builder) == ("fp16", "trtexec 100300")
    assert report.model_sha256 == artifact.manifest.file.sha256
    assert report.size_bytes == len("engine of 100300")
    beside = sorted(path.name for path in engine.parent.iterdir())
    assert beside == ["model.engine", "model.engine.json"]
    assert json.loads((engine.parent / beside[1]).read_text())["seconds"] == report.seconds


def test_the_same_engine_is_not_built_again(
    trtexec: Callable[..., object], artifact: Artifact, tmp_path: Path
) -> None:
    recorded = trtexec()
    engine = tmp_path / "model.engine"
    first = build_engine(artifact, engine, open_builder(), "fp16")
    recorded.forget()
    assert build_engine(artifact, engine, open_builder(), "fp16") == first
    assert not recorded.called
    build_engine(artifact, engine, open_builder(), "fp16", force=True)
    assert recorded.called
    recorded.forget()
    build_engine(artifact, engine, open_builder(), "fp32")
    assert recorded.called
    recorded.forget()
    engine.write_bytes(b"cut")
    build_engine(artifact, engine, open_builder(), "fp32")
    assert recorded.called
    recorded.forget()
    trtexec("100300")  # an update of TensorRT: engines of the old one do not load any more
    build_engine(artifact, engine, open_builder(), "fp32")
    assert recorded.called


def test_int8_takes_the_cache_with_the_builders_version(
    trtexec: Callable[..., object], artifact: Artifact, cache: Path, tmp_path: Path
) -> None:
    recorded = trtexec("8201")
    report = build_engine(artifact, tmp_path / "e", open_builder(), "int8", calibration_cache=cache)
    given = recorded.files["--calib"]
    assert given.startswith("TRT-8201-EntropyCalibration2\n")
    assert parse_cache(given, "given") == parse_cache(cache.read_text(), "own")
    assert len(report.calibration_sha256) == 64


@pytest.mark.parametrize(("precision", "with_cache"), [("int8", False), ("fp16", True)])
def test_a_cache_goes_with_int8_only(
    trtexec: Callable[..., object],
    artifact: Artifact,
    cache: Path,
    tmp_path: Path,
    precision: str,
    with_cache: bool,
) -> None:
    trtexec()
    given = cache if with_cache else None
    with pytest.raises(UsageError, match="a calibration cache goes with the precision int8"):
        build_engine(artifact, tmp_path / "e", open_builder(), precision, calibration_cache=given)


def test_a_version_that_takes_no_cache_says_so(
    trtexec: Callable[..., object], artifact: Artifact, cache: Path, tmp_path: Path
) -> None:
    trtexec("110000")
    with pytest.raises(BackendError, match="TensorRT 110000 takes no calibration cache any more"):
        build_engine(artifact, tmp_path / "e", open_builder(), "int8", calibration_cache=cache)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"failure": FAILURE}, "trtexec: [TRT] ModelImporter.cpp:726: While parsing node number 3"),
        ({"failure": "Segmentation fault"}, "trtexec: exit code 1: &&&& FAILED TensorRT.trtexec"),
        ({"writes": False}, "trtexec: says that it is done, but wrote no engine"),
    ],
)
def test_failures_are_one_line_and_leave_nothing(
    trtexec: Callable[..., object],
    artifact: Artifact,
    tmp_path: Path,
    setting: dict[str, object],
    message: str,
) -> None:
    trtexec(**setting)
    folder = tmp_path / "out"
    with pytest.raises(BackendError) as error:
        build_engine(artifact, folder / "e", open_builder(), "fp16")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert list(folder.iterdir()) == []


def test_a_build_that_hangs_is_given_up(
    trtexec: Callable[..., object], artifact: Artifact, tmp_path: Path
) -> None:
    trtexec()
    builder = open_builder("trtexec")
    script = tmp_path / "bin" / "trtexec"
    script.write_text(f"#!{sys.executable}\nimport time; time.sleep(60)\n")
    builder._timeout_s = 0.2
    with pytest.raises(BackendError, match=r"not done after 0\.2 s"):
        build_engine(artifact, tmp_path / "e", builder, "fp16")


def test_integers_for_cpus_are_refused(
    trtexec: Callable[..., object], artifact: Artifact, tmp_path: Path
) -> None:
    trtexec()
    file = artifact.manifest.file.model_copy(update={"precision": "int8"})
    manifest = artifact.manifest.model_copy(update={"file": file})
    with pytest.raises(ArtifactError, match="is onnx int8, TensorRT takes onnx fp16 or fp32"):
        build_engine(replace(artifact, manifest=manifest), tmp_path / "e", open_builder(), "fp16")


def test_jetpack_has_it_on_nobodys_path(
    trtexec: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trtexec()
    monkeypatch.setenv("PATH", str(tmp_path))
    found = trtexec_module.open_builder(jetpack=tmp_path / "bin" / "trtexec")
    assert found.version == "8502"


def test_without_any_builder_each_reason_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match=r"trtexec: neither on PATH.*; tensorrt: the Python"):
        open_builder()
    with pytest.raises(UsageError, match="engine builder 'trtexc': unknown, did you mean"):
        open_builder("trtexc")
    assert list(ENGINE_BUILDERS) == ["trtexec", "tensorrt"]


class FakeTensorRt(ModuleType):
    """TensorRT's Python package as far as it is used, recording the calls."""

    MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
    BuilderFlag = SimpleNamespace(FP16="fp16", INT8="int8")
    NetworkDefinitionCreationFlag = SimpleNamespace(EXPLICIT_BATCH=0)

    class ILogger:
        ERROR, INTERNAL_ERROR, INFO = "ERROR", "INTERNAL_ERROR", "INFO"

    class IInt8EntropyCalibrator2: ...

    def __init__(self, version: str, *, refuses: bool = False, fails: str = "") -> None:
        super().__init__("tensorrt")
        self.__version__ = version
        self.refuses, self.fails = refuses, fails
        self.calls: list[tuple[object, ...]] = []

    def Builder(self, log: object) -> FakeBuilder:  # noqa: N802 - TensorRT's name
        return FakeBuilder(self, log)

    def OnnxParser(self, network: str, log: object) -> FakeParser:  # noqa: N802
        return FakeParser(self)


class FakeBuilder:
    def __init__(self, trt: FakeTensorRt, log: object) -> None:
        self.trt, self.log = trt, log

    def create_network(self, flags: int) -> str:
        self.trt.calls.append(("network", flags))
        return "network"

    def create_builder_config(self) -> SimpleNamespace:
        calls = self.trt.calls
        return SimpleNamespace(
            set_memory_pool_limit=lambda pool, size: calls.append((pool, size)),
            set_flag=lambda flag: calls.append(("flag", flag)),
            int8_calibrator=None,
        )

    def build_serialized_network(self, network: str, config: SimpleNamespace) -> bytearray | None:
        if config.int8_calibrator:
            cache = config.int8_calibrator.read_calibration_cache()
            self.trt.calls.append(("cache", cache))
        if self.trt.fails:
            self.log.log("INFO", "Building")
            self.log.log("ERROR", self.trt.fails)
            return None
        return bytearray(b"plan")  # a buffer, as IHostMemory


class FakeParser:
    def __init__(self, trt: FakeTensorRt) -> None:
        self.trt = trt

    def parse(self, model: bytes) -> bool:
        self.trt.calls.append(("model", model))
        return not self.trt.refuses

    def get_error(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(desc=lambda: f"error {index}: no importer for HeatFold")


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeTensorRt]:
    def install(version: str = "8.5.2.2", **setting: object) -> FakeTensorRt:
        module = FakeTensorRt(version, **setting)
        monkeypatch.setitem(sys.modules, "tensorrt", module)
        return module

    return install


def test_the_python_package_builds_the_same(
    tensorrt: Callable[..., FakeTensorRt], artifact: Artifact, cache: Path, tmp_path: Path
) -> None:
    fake = tensorrt()
    builder = open_builder("tensorrt")
    assert (builder.name, builder.version) == ("tensorrt", "8502")
    build_engine(
        artifact, tmp_path / "e", builder, "int8", calibration_cache=cache, workspace_mib=64
    )
    assert (tmp_path / "e").read_bytes() == b"plan"
    content = cache.read_text().replace("TRT-8000", "TRT-8502").encode()
    assert fake.calls == [
        ("network", 1),
        ("model", artifact.model),
        ("workspace", 64 * 2**20),
        ("flag", "fp16"),
        ("flag", "int8"),
        ("cache", content),
    ]


def test_versions_count_as_in_the_cache(tensorrt: Callable[..., FakeTensorRt]) -> None:
    known = {"8.6.1": "8601", "10.3.0": "100300", "10.9.0.34": "100900", "8.2": "8200"}
    for text, number in {**known, "10.0.0b6": "100000", "8.5.2.post1": "8502"}.items():
        tensorrt(text)
        assert open_builder("tensorrt").version == number


@pytest.mark.parametrize("version", ["", "unknown", "8", None])
def test_a_version_that_is_none_is_one_line(
    tensorrt: Callable[..., FakeTensorRt], version: str | None
) -> None:
    tensorrt(version)
    with pytest.raises(BackendError, match="tensorrt: says that its version is ") as error:
        open_builder("tensorrt")
    assert repr(version) in str(error.value)


def test_a_model_that_points_to_other_files_reaches_no_builder(
    trtexec: Callable[..., object],
    artifact: Artifact,
    tmp_path: Path,
    need: Callable[[str], ModuleType],
) -> None:
    onnx = need("onnx")
    model = onnx.load_from_string(artifact.model)
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "../secret")
    model.graph.initializer[0].ClearField("raw_data")
    recorded = trtexec()
    changed = replace(artifact, model=model.SerializeToString())
    with pytest.raises(ArtifactError, match=r"lies in another file, '\.\./secret'"):
        build_engine(changed, tmp_path / "out" / "e", open_builder(), "fp16")
    assert not (tmp_path / "out").exists()
    assert not recorded.called


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"refuses": True}, "tensorrt: refuses the model: error 0: no importer for HeatFold"),
        ({"fails": "Error Code 2: OutOfMemory"}, "tensorrt: Error Code 2: OutOfMemory"),
    ],
)
def test_failures_of_the_package_are_one_line(
    tensorrt: Callable[..., FakeTensorRt],
    artifact: Artifact,
    tmp_path: Path,
    setting: dict[str, object],
    message: str,
) -> None:
    tensorrt(**setting)
    with pytest.raises(BackendError) as error:
        build_engine(artifact, tmp_path / "out" / "e", open_builder("tensorrt"), "fp32")
    assert str(error.value) == message
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_builds_beside_the_model(
    trtexec: Callable[..., object], artifact_copy: Any
) -> None:
    recorded = trtexec()
    folder = artifact_copy.folder

    def run(command: str, *options: str) -> Result:
        done = CliRunner().invoke(cli, ["model", command, str(folder), *options])
        assert done.exit_code == 0, done.output
        return done

    shown, verified = run("show").stdout, run("verify").stdout
    done = run("engine", "--precision", "fp16", "--json")
    engine = folder / "model_fp16.engine"
    assert json.loads(done.stdout)["engine"] == str(engine)
    assert engine.is_file()
    assert "--fp16" in recorded.argv
    again = run("engine", "--precision", "fp16")
    assert again.stdout.startswith(f"{engine}: 0.0 MB, fp16, by trtexec 8502 in ")
    # Neither engine nor report is a part of the artifact, and neither is in its way.
    assert (run("show").stdout, run("verify").stdout) == (shown, verified)
    package = folder.parent / "packed"
    run("pack", "--out", str(package))
    with zipfile.ZipFile(package) as archive:
        assert sorted(archive.namelist()) == ["manifest.json", "model.onnx"]
