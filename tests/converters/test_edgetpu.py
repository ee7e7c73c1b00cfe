"""The Edge TPU's compiler by a recorded stand-in: what it is called with, and what it may say."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from converters.edgetpu import compile_artifact
from converters.folder import write_artifact
from edge_pose.artifact import Artifact, load_artifact
from edge_pose.backends.edgetpu import OPERATOR
from edge_pose.errors import ArtifactError, EdgePoseError, UsageError
from edge_pose.manifest import Manifest

FILE = Path(__file__).parents[1] / "fixtures" / "tflite" / "blobs_int8.tflite"
# What version 16.0 printed for another network, shortened.
SAID = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 652 ms.

Input model: model.tflite
Input size: 3.51MiB
Output model: model_edgetpu.tflite
Output size: 3.80MiB
On-chip memory used for caching model parameters: 3.42MiB
On-chip memory remaining for caching model parameters: 4.33MiB
Number of Edge TPU subgraphs: 1
Total number of operations: 93
Operation log: model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 91
Number of operations that will run on CPU: 2
"""
WRITE = "(out / 'model_edgetpu.tflite').write_bytes(source.read_bytes() + b'edgetpu-custom-op')"
Compiler = Callable[[str], str]


@pytest.fixture
def artifact(tiny_artifact: Path) -> Artifact:
    values = load_artifact(tiny_artifact).manifest.model_dump(mode="json", by_alias=True)
    values["name"] = "blobs_tflite_int8"
    values["file"] |= {"name": "model.tflite", "format": "tflite", "backend": "tflite"}
    values["file"]["precision"] = "int8"
    values["input"] |= {"layout": "nhwc", "dtype": "int8"}
    values["outputs"][0] |= {"layout": "nhwk", "dtype": "int8"}
    return Artifact(tiny_artifact, Manifest.model_validate(values), FILE.read_bytes())


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    """Write an executable that does `body` with `source`, `out` and `said`; return its path."""

    def make(body: str) -> str:
        program = tmp_path / "edgetpu_compiler"
        lines = [
            f"#!{sys.executable}",
            "import pathlib, sys",
            "assert sys.argv[1:3] == ['--show_operations', '--out_dir'], sys.argv",
            "out, source = map(pathlib.Path, sys.argv[3:])",
            f"said = {SAID!r}",
            body,
        ]
        program.write_text("\n".join(lines) + "\n")
        program.chmod(0o755)
        return str(program)

    return make


def test_the_compiled_artifact_says_what_became_of_it(
    artifact: Artifact, compiler: Compiler
) -> None:
    done = compile_artifact(artifact, compiler(f"{WRITE}\nprint(said)"))
    assert (done.on_tpu, done.on_cpu) == (91, 2)
    assert done.artifact.model == artifact.model + OPERATOR
    manifest = done.artifact.manifest
    assert manifest.name == "blobs_tflite_int8_edgetpu"
    assert manifest.file.sha256 == hashlib.sha256(done.artifact.model).hexdigest()
    assert manifest.file.size_bytes == len(done.artifact.model)
    assert manifest.tools["edgetpu_compiler"] == "16.0.384591198"
    assert manifest.gate is None  # only the device itself could tell
    measured, source = manifest.attempts[-1], artifact.manifest.gate
    assert source is not None
    assert (measured.method, measured.precision) == ("before edgetpu_compiler", "int8")
    assert measured.artifact_accuracy == source.stated.artifact_accuracy
    assert measured.size_bytes == artifact.manifest.file.total_bytes
    with pytest.raises(UsageError, match="compiled already"):
        compile_artifact(done.artifact, compiler(WRITE))


def test_the_command_says_that_nothing_was_measured(
    artifact: Artifact,
    compiler: Compiler,
    run: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = hashlib.sha256(artifact.model).hexdigest()
    file = artifact.manifest.file.model_copy(
        update={"sha256": digest, "size_bytes": len(artifact.model)}
    )
    manifest = artifact.manifest.model_copy(update={"file": file})
    source, out = tmp_path / "source", tmp_path / "out"
    write_artifact(replace(artifact, folder=source, manifest=manifest))
    monkeypatch.setenv("PATH", str(Path(compiler(f"{WRITE}\nprint(said)")).parent))
    code, said, err = run("edgetpu", source, "--out", out)
    assert code == 0, err
    counts, warning = said.splitlines()
    assert counts == f"{out}: 91 operators on the Edge TPU, 2 on the host"
    assert "its accuracy was not measured on an Edge TPU" in warning
    with pytest.raises(ArtifactError, match=r"has no gate report, .*--trust-ungated"):
        load_artifact(out)
    assert load_artifact(out, trust_ungated=True).manifest.attempts[-1].passed


def test_without_the_compiler_one_line_says_what_it_is(artifact: Artifact) -> None:
    with pytest.raises(EdgePoseError, match=r"edgetpu_compilerx: not found; .*x86-64") as error:
        compile_artifact(artifact, "edgetpu_compilerx")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('ERROR: quantize it first'); sys.exit(1)", "exit code 1: ERROR: quantize it first"),
        ("sys.exit(3)", "exit code 3: said nothing"),
        ("print(said)", "exit code 0: Number of operations"),
        (
            "(out / 'model_edgetpu.tflite').write_bytes(source.read_bytes())",
            "nothing of .* can run on the Edge TPU",
        ),
    ],
)
def test_a_compiler_that_fails_is_one_line(
    artifact: Artifact, compiler: Compiler, body: str, message: str
) -> None:
    with pytest.raises(EdgePoseError, match=message) as error:
        compile_artifact(artifact, compiler(body))
    assert "\n" not in str(error.value)


def test_a_program_that_cannot_be_run_is_one_line(artifact: Artifact, tmp_path: Path) -> None:
    program = tmp_path / "edgetpu_compiler"
    program.write_bytes(b"\x7fELF of another processor")
    program.chmod(0o755)
    with pytest.raises(EdgePoseError, match="cannot be run: ") as error:
        compile_artifact(artifact, str(program))
    assert "\n" not in str(error.value)


def test_float_artifacts_are_refused(artifact: Artifact) -> None:
    tensor = artifact.manifest.input.model_copy(update={"dtype": "float32"})
    manifest = artifact.manifest.model_copy(update={"input": tensor})
    with pytest.raises(UsageError, match="float32 input, the Edge TPU's compiler takes"):
        compile_artifact(replace(artifact, manifest=manifest))
