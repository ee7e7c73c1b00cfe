"""An integer TFLite artifact to one for Google's Edge TPU, by Google's compiler.

`edgetpu_compiler` is no Python package but a program for x86-64 Debian. It turns what the Edge TPU
can do into one operator of its own. Only the device can run the result, so its accuracy cannot be
measured here: the compiled artifact has no gate report, and what was measured of the artifact that
it was compiled from is the last of its attempts.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_pose.artifact import Artifact
from edge_pose.backends.edgetpu import is_compiled
from edge_pose.errors import EdgePoseError, UsageError
from edge_pose.manifest import Attempt, Manifest

COMPILER = "edgetpu_compiler"
HOW_TO_GET = (
    "it is a program of its own for x86-64 Debian, see 'Edge TPU Compiler' in Coral's documentation"
)
SUFFIX = "_edgetpu"
BEFORE = f"before {COMPILER}"
"""Method of the attempt that is the source's gate report."""
TIMEOUT_S = 600
# "Number of operations that will run on Edge TPU: 91"
COUNT = re.compile(r"Number of operations that will run on (Edge TPU|CPU): (\d+)")
VERSION = re.compile(r"version (\d\S*)")


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler made.

    Attributes:
        artifact: in no folder yet; its folder is the source's. It has no gate report.
        on_tpu: operators that the Edge TPU runs.
        on_cpu: operators that are left to the host, each of them slow.
    """

    artifact: Artifact
    on_tpu: int
    on_cpu: int


def compile_artifact(artifact: Artifact, compiler: str = COMPILER) -> Compiled:
    """Compile an artifact whose inputs and outputs are integers.

    Args:
        artifact: TFLite int8, converted with `integer_io`.
        compiler: the program, by its name on PATH or its path.

    Raises:
        UsageError: the artifact is of another kind.
        EdgePoseError: the compiler is not there or refuses the file.
    """
    manifest = artifact.manifest
    file = manifest.file
    if file.format != "tflite" or manifest.input.dtype != "int8" or is_compiled(artifact.model):
        found = "compiled already" if is_compiled(artifact.model) else f"{manifest.input.dtype}"
        raise UsageError(
            f"{artifact.folder}: {file.format} with {found} input, the Edge TPU's compiler takes"
            " tflite int8 with integer inputs and outputs"
        )
    program = shutil.which(compiler)
    if program is None:
        raise EdgePoseError(f"{compiler}: not found; {HOW_TO_GET}")
    model, said = _run(program, artifact.model)
    counts = {place: int(number) for place, number in COUNT.findall(said)}
    if not is_compiled(model):
        raise EdgePoseError(f"{compiler}: nothing of {artifact.folder} can run on the Edge TPU")
    version = VERSION.search(said)
    update = {
        "name": manifest.name + SUFFIX,
        "file": file.model_copy(
            update={"sha256": hashlib.sha256(model).hexdigest(), "size_bytes": len(model)}
        ),
        "gate": None,
        "attempts": (*manifest.attempts, *_measured_before(manifest)),
        "tools": manifest.tools | {COMPILER: version.group(1) if version else "unknown"},
    }
    compiled = Artifact(artifact.folder, manifest.model_copy(update=update), model)
    return Compiled(compiled, counts.get("Edge TPU", 0), counts.get("CPU", 0))


def _measured_before(manifest: Manifest) -> Iterator[Attempt]:
    """Yield the gate report of the artifact that is compiled."""
    gate, file = manifest.gate, manifest.file
    if gate is not None:
        yield Attempt(
            precision=file.precision,
            method=BEFORE,
            size_bytes=file.total_bytes,
            artifact_accuracy=gate.stated.artifact_accuracy,
            drift_p95_px=gate.drift_p95_px,
            argmax_agreement=gate.argmax_agreement,
            passed=gate.passed,
        )


def _run(program: str, model: bytes) -> tuple[bytes, str]:
    """Return the compiled file and what the compiler said."""
    with tempfile.TemporaryDirectory(prefix="edge_pose.") as folder:
        source = Path(folder, "model.tflite")
        source.write_bytes(model)
        command = [program, "--show_operations", "--out_dir", folder, str(source)]
        try:
            done = subprocess.run(  # noqa: S603 - the program that was asked for
                command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise EdgePoseError(f"{program}: still at work after {TIMEOUT_S} s, given up") from None
        except OSError as error:
            raise EdgePoseError(f"{program}: cannot be run: {error.strerror}") from None
        said = done.stdout + done.stderr
        target = Path(folder, f"model{SUFFIX}.tflite")
        if done.returncode or not target.is_file():
            lines = [line.strip() for line in said.splitlines() if line.strip()]
            reason = lines[-1] if lines else "said nothing"
            raise EdgePoseError(f"{program}: exit code {done.returncode}: {reason}")
        return target.read_bytes(), said
