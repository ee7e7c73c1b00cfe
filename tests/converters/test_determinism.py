"""The same checkpoint, data and versions give the same bytes, in every format and precision."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from converters import CONVERTERS, cli
from converters.manifest import artifact_name

ROOT = Path(cli.__file__).parents[1]
# In a process of its own: the tiny network of conftest.py is registered there, too.
PROGRAM = """
from conftest import tiny
from converters.cli import main
from training.registry import get_model, register_model

get_model("hourglass_lite_s")  # fills the table, before something is added to it
register_model(input_size=(64, 64), mean=(127.0,) * 3, std=(128.0,) * 3)(tiny)
main()
"""


def convert_all(checkpoint: Path, here: Path, out: str, hash_seed: str) -> dict[str, bytes]:
    """Make everything in a new process, in a folder of its own; return all files."""
    (here / "temporary").mkdir(parents=True)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(__file__).parent))),
        "PYTHONHASHSEED": hash_seed,
        "TMPDIR": str(here / "temporary"),
        "OMP_WAIT_POLICY": "passive",
    }
    arguments = ["matrix", "--checkpoint", str(checkpoint), "--generated", "--out", out]
    arguments += ["--calibration-images", "16", "--rounds", "1", "--threads", "1"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = here / out
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_write_the_same_bytes(checkpoint: Path, need, tmp_path: Path) -> None:
    """With other seeds of Python's hashes, from other folders and to other folders."""
    for package in ("litert_torch", "ai_edge_quantizer"):
        need(package)
    first = convert_all(checkpoint, tmp_path / "a", "out", "1")
    second = convert_all(checkpoint, tmp_path / "b" / "deeper", "elsewhere", "77")
    made = {artifact_name("tiny", *key) for key in CONVERTERS}
    assert {Path(name).parts[0] for name in first} == made
    assert [name for name in first if first[name] != second.get(name)] == []
    assert first.keys() == second.keys()
