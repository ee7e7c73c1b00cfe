"""What all console scripts have in common: version, wrong usage, Ctrl-C."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from edge_pose._version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
SCRIPTS: dict[str, str] = PROJECT["scripts"]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a console script in this process: exit code, stdout, stderr."""

    def run(name: str, *arguments: str) -> tuple[int, str, str]:
        module, _, function = SCRIPTS[name].partition(":")
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as caught:
            getattr(importlib.import_module(module), function)()
        assert isinstance(caught.value.code, int)
        return caught.value.code, *capfd.readouterr()

    return run


@pytest.mark.parametrize("name", SCRIPTS)
def test_version_and_help(call: Call, name: str) -> None:
    assert call(name, "--version") == (0, f"{name} {__version__}\n", "")
    for option in ("-h", "--help"):
        code, out, err = call(name, option)
        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: {name} ")
        assert "--verbose" in out


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_command_has_help(call: Call, name: str) -> None:
    listed = call(name, "--help")[1].partition("\nCommands:\n")[2]
    commands = re.findall(r"^  (\S+)", listed, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        code, out, err = call(name, command, "--help")
        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: {name} {command} ")
    if name != "edge-pose-convert":  # which itself does something
        code, out, err = call(name)
        assert code == 2
        assert listed in out + err  # the help as it is, not squeezed into one line


@pytest.mark.parametrize("name", SCRIPTS)
def test_wrong_usage_is_one_line(call: Call, name: str) -> None:
    code, out, err = call(name, "--colour")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert err.startswith(f"{name}: ")
    assert "--colour" in err


def interrupt(name: str, arguments: list[object], started: Callable[[str], bool]) -> None:
    """Press Ctrl-C as soon as a line on stderr says that the work is on; check how it ends."""
    module, _, function = SCRIPTS[name].partition(":")
    # Whoever starts the tests in the background has SIGINT ignored, and children inherit that.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"from {module} import {function}; {function}()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
    )
    with process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if started(line):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, "".join(said) + rest
    assert "Traceback" not in rest
    assert rest.splitlines()[-1] == f"{name}: interrupted"


def test_ctrl_c_in_a_conversion(need: Callable[[str], ModuleType], tmp_path: Path) -> None:
    need("onnxscript")
    from training.checkpoint import CheckpointInfo, save_checkpoint
    from training.registry import get_model

    model = get_model("hourglass_lite_s")
    file, out = tmp_path / "fresh.safetensors", tmp_path / "out"
    info = CheckpointInfo(model.name, model.heatmap_kind, (64, 64))
    save_checkpoint(file, model.build().state_dict(), info)
    interrupt(
        "edge-pose-convert",
        ["--checkpoint", file, "--out", out, "--generated"],
        lambda line: line.startswith("converting"),
    )
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_ctrl_c_in_a_training(need: Callable[[str], ModuleType], tmp_path: Path) -> None:
    need("torch")
    from training.datasets.generated import write_generated

    write_generated(tmp_path, 8, 0, size=(64, 64))
    recipe = tmp_path / "long.toml"
    recipe.write_text(
        'schema = "edge_pose.training/1"\nmodel = "hourglass_lite_s"\nbatch_size = 4\n'
        "workers = 1\ndatasets = { mpii = 1 }\n[[stages]]\nepochs = 500\ninput_side = 64\n"
    )
    interrupt(
        "edge-pose-train",
        ["train", recipe, "--data", tmp_path, "--out", tmp_path / "run"],
        lambda line: '"epoch": 1' in line,
    )
    assert (tmp_path / "run" / "resume.pt").is_file()


def test_ctrl_c_in_a_benchmark(tiny_artifact: Path, make_clip: Callable[..., Path]) -> None:
    interrupt(
        "edge-pose-bench",
        ["run", "--model", tiny_artifact, "--source", make_clip(8), "--rounds", "1000"],
        lambda line: line.startswith("round 1 of"),
    )
