"""A `trtexec` that writes down how it was called, with the help texts of several versions."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Options as TensorRT's own help lists them; what differs between the versions is all here.
HELP = {
    "8201": "  --workspace=N  Set workspace size in MiB.\n  --fp16\n  --int8\n"
    "  --calib=<file>  Read INT8 calibration cache file\n  --buildOnly\n",
    "8502": "  --memPoolSize=poolspec\n  --fp16\n  --int8\n"
    "  --calib=<file>  Read INT8 calibration cache file\n  --buildOnly\n",
    "100300": "  --memPoolSize=poolspec\n  --fp16\n  --int8\n"
    "  --calib=<file>  Read INT8 calibration cache file\n  --skipInference\n",
    "110000": "  --memPoolSize=poolspec\n  --skipInference\n",
}
SCRIPT = """#!{python}
import json, pathlib, sys
log = pathlib.Path({log!r})
version, help_text, failure = {version!r}, {help_text!r}, {failure!r}
print(f"&&&& RUNNING TensorRT.trtexec [TensorRT v{{version}}] # {{' '.join(sys.argv)}}")
if "--help" in sys.argv:
    print("=== Build Options ===\\n" + help_text)
    sys.exit(0)
given = dict(a.split("=", 1) if "=" in a else (a, "") for a in sys.argv[1:])
files = {{k: given[k] for k in ("--onnx", "--calib") if k in given}}
read = {{k: pathlib.Path(file).read_text("latin-1") for k, file in files.items()}}
log.write_text(json.dumps({{"argv": sys.argv[1:], "read": read}}))
if failure:
    print(failure)
    print(f"&&&& FAILED TensorRT.trtexec [TensorRT v{{version}}] # {{' '.join(sys.argv)}}")
    sys.exit(1)
if {writes!r}:
    pathlib.Path(given["--saveEngine"]).write_bytes(b"engine of " + version.encode())
print(f"&&&& PASSED TensorRT.trtexec [TensorRT v{{version}}] # {{' '.join(sys.argv)}}")
"""


class Recorded:
    """What the command was called with."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def _read(self) -> dict[str, object]:
        return json.loads(self._log.read_text())

    @property
    def called(self) -> bool:
        return self._log.exists()

    def forget(self) -> None:
        self._log.unlink()

    @property
    def argv(self) -> list[str]:
        return self._read()["argv"]

    @property
    def files(self) -> dict[str, str]:
        """Content of the files that it was given."""
        return self._read()["read"]


@pytest.fixture
def trtexec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorded]:
    """Put a recording trtexec of a version on PATH."""

    def install(version: str = "8502", failure: str = "", *, writes: bool = True) -> Recorded:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        log = tmp_path / "called.json"
        script = folder / "trtexec"
        text = SCRIPT.format(
            python=sys.executable,
            log=str(log),
            version=version,
            help_text=HELP[version],
            failure=failure,
            writes=writes,
        )
        script.write_text(text)
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return Recorded(log)

    return install
