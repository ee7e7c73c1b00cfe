"""Engines through `trtexec`, the command that comes with TensorRT (on a Jetson with JetPack)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from edge_pose.engines.base import EngineRequest
from edge_pose.errors import BackendError

JETPACK = Path("/usr/src/tensorrt/bin/trtexec")  # where JetPack puts it, on nobody's PATH
TIMEOUT_S = 3600.0  # a Jetson Nano takes some minutes
_VERSION = re.compile(r"TensorRT v(\d+)")
_ERROR = re.compile(r"\[E\]\s*(.+)")


def open_builder(jetpack: Path = JETPACK) -> TrtexecBuilder:
    """Find the command on PATH, else where JetPack has it.

    Raises:
        BackendError: it is nowhere.
    """
    command = shutil.which("trtexec") or (str(jetpack) if os.access(jetpack, os.X_OK) else None)
    if command is None:
        raise BackendError(f"trtexec: neither on PATH nor at {jetpack}, install TensorRT")
    return TrtexecBuilder(command)


class TrtexecBuilder:
    """See edge_pose.engines.base.EngineBuilder.

    Its options differ between versions (8.2 on a Jetson Nano to 10 and later), so its own help is
    asked what there is.

    Args:
        command: path of the executable.
        timeout_s: longest time that a build may take.
    """

    name = "trtexec"

    def __init__(self, command: str, timeout_s: float = TIMEOUT_S) -> None:
        self._command, self._timeout_s = command, timeout_s
        self._help = self._run(["--help"]).stdout
        version = _VERSION.search(self._help)
        self.version = version[1] if version else ""

    def build(self, request: EngineRequest) -> None:
        """Write the engine; see EngineBuilder.build."""
        done = self._run(self.arguments(request))
        if done.returncode != 0:
            raise BackendError(f"trtexec: {_reason(done)}")
        if not request.engine.is_file() or request.engine.stat().st_size == 0:
            raise BackendError("trtexec: says that it is done, but wrote no engine")

    def arguments(self, request: EngineRequest) -> list[str]:
        """Return the command's arguments.

        Raises:
            BackendError: this version cannot do it.
        """
        arguments = [f"--onnx={request.onnx}", f"--saveEngine={request.engine}"]
        if "--skipInference" in self._help:  # since 8.6
            arguments.append("--skipInference")
        elif "--buildOnly" in self._help:
            arguments.append("--buildOnly")
        if "--memPoolSize" in self._help:  # since 8.4
            arguments.append(f"--memPoolSize=workspace:{request.workspace_mib}")
        else:
            arguments.append(f"--workspace={request.workspace_mib}")
        # From version 11 on precisions are those of the ONNX file, and there is no such option.
        if request.precision != "fp32" and "--fp16" in self._help:
            arguments.append("--fp16")
        if request.precision == "int8":
            if "--calib" not in self._help:
                raise BackendError(
                    f"trtexec: TensorRT {self.version} takes no calibration cache any more,"
                    " build with fp16"
                )
            arguments += ["--int8", f"--calib={request.calibration_cache}"]
        return arguments

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - no shell, and the command is looked up above
                [self._command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=self._timeout_s,
            )
        except OSError as error:
            raise BackendError(f"{self._command}: cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise BackendError(f"trtexec: not done after {self._timeout_s:g} s") from None


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the first error of the log: those after it are its consequences."""
    errors = _ERROR.findall(done.stdout)
    if errors:
        return str(errors[0]).strip()
    last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
    return f"exit code {done.returncode}: {last}"
