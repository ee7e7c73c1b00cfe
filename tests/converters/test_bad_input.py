"""What goes wrong in real conversions: one clear line, the right exit code, nothing left behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from converters import cli
from edge_pose.artifact import load_artifact
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.datasets.generated import write_generated
from training.registry import MODELS, get_model, register_model

ROOT = Path(cli.__file__).parents[1]
N_TRAIN, N_HELD_OUT = 32, 100
Run = Callable[..., tuple[int, str, str]]
Plant = Callable[[Callable[[int], np.ndarray]], Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Write drawn people whose training pictures are replaced by what the test draws."""

    def write(picture: Callable[[int], np.ndarray]) -> Path:
        data = tmp_path / "data"
        write_generated(data, N_TRAIN, N_HELD_OUT, size=(128, 128))
        for index, path in enumerate(sorted((data / "mpii" / "images").iterdir())[:N_TRAIN]):
            content = cv2.imencode(".png", picture(index))[1].tobytes()
            path.write_bytes(content)
        return data

    return write


def dark(index: int) -> np.ndarray:
    """Draw what a camera with its cap on gives: noise, and number ranges far too small."""
    return np.random.default_rng(index).integers(0, 3, (128, 128, 3), dtype=np.uint8)


def last_line(err: str, code: int) -> str:
    assert "Traceback" not in err
    line = err.splitlines()[-1]
    assert line.startswith("edge-pose-convert: ")
    assert code in (1, 2, 130)
    return line


def test_a_bad_calibration_is_caught(
    run: Run, plant: Plant, checkpoint: Path, tmp_path: Path
) -> None:
    """The int8 network of a planted calibration fails the real gate; one try is all it gets."""
    arguments = ("--checkpoint", checkpoint, "--data", plant(dark), "--precision", "int8")
    out = tmp_path / "out"
    code, stdout, err = run(*arguments, "--out", out, "--no-ladder", "--json")
    assert code == 1
    assert "tiny_int8: gate failed" in last_line(err, code)
    assert "nothing was written" in last_line(err, code)
    (attempt,) = json.loads(stdout)["attempts"]
    assert (attempt["precision"], attempt["passed"]) == ("int8", False)
    assert not out.exists()
    rows = [line.split() for line in err.splitlines() if line.strip().startswith("int8 ")]
    assert (rows[-1][:4], rows[-1][-1]) == (["int8", "MinMax", "32", "0"], "failed")


class Deep(nn.Module):
    """Eight layers: half of them in float do not save what wrong ranges spoil.

    The first layer sees edges only, and nothing is added on the way: a picture without contrast
    gives small numbers everywhere.
    """

    def __init__(self) -> None:
        super().__init__()
        layers = [
            nn.Conv2d(3, 16, 4, stride=4, bias=False),
            *(nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(6)),
        ]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight)
        with torch.no_grad():
            layers[0].weight -= layers[0].weight.mean(dim=(1, 2, 3), keepdim=True)
        self.body = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU6())))
        self.head = nn.Conv2d(16, 16, 1)
        nn.init.normal_(self.head.weight, std=2.0)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.head(self.body(image))]


class Bessel(nn.Module):
    """Uses a function that no format has."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 16, 3, stride=4, padding=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [torch.special.bessel_j0(self.layer(image))]


def deep() -> nn.Module:
    """Return a network whose 8-bit layers spoil each other's numbers."""
    return Deep()


def bessel() -> nn.Module:
    """Return a network that cannot be exported."""
    return Bessel()


@pytest.fixture
def odd_networks(tmp_path: Path) -> Iterator[Path]:
    """Register both and return a folder with a checkpoint of each."""
    get_model("hourglass_lite_s")  # fills the table, before something is added to it
    torch.manual_seed(1)
    for function in (deep, bessel):
        register_model(input_size=(64, 64), mean=(127.0,) * 3, std=(128.0,) * 3)(function)
        info = CheckpointInfo(function.__name__, "logits", (64, 64))
        path = tmp_path / f"{info.model}.safetensors"
        save_checkpoint(path, function().state_dict(), info)
    yield tmp_path
    del MODELS["deep"], MODELS["bessel"]


def test_a_bad_calibration_falls_back_to_fp16(
    run: Run, plant: Plant, odd_networks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("--checkpoint", odd_networks / "deep.safetensors", "--data", plant(dark))
    code, stdout, err = run(*arguments, "--out", out, "--precision", "int8")
    assert code == 0, err
    assert "deep_fp16: no int8 passes the gate, fell back to fp16" in err
    assert stdout.startswith(f"{out}: onnx fp16, ")
    manifest = load_artifact(out).manifest
    assert (manifest.name, manifest.file.precision) == ("deep_fp16", "fp16")
    *failed, passed = manifest.attempts
    assert len({attempt.method for attempt in failed}) > 1, "another calibration method was tried"
    assert [attempt.float_layers for attempt in failed if attempt.float_layers] == [1, 2]
    assert not any(attempt.passed for attempt in failed)
    assert (passed.precision, passed.passed) == ("fp16", True)
    rows = [line.split() for line in err.splitlines() if line.strip().startswith("int8 ")]
    assert sum(row[-1] == "failed" for row in rows) == len(failed), "the table of tries"


def test_calibration_of_black_pictures(
    run: Run, plant: Plant, checkpoint: Path, tmp_path: Path
) -> None:
    data = plant(lambda _: np.zeros((128, 128, 3), np.uint8))
    out = tmp_path / "out"
    code, _, err = run("--checkpoint", checkpoint, "--data", data, "--out", out)
    assert code == 1
    assert "32 of 32 crops of generated show one flat colour" in last_line(err, code)
    assert not out.exists()


def test_checkpoints_of_other_networks(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    classifier = tmp_path / "classifier.safetensors"
    save_checkpoint(classifier, {}, CheckpointInfo("efficientnet_b0", "logits", (64, 64)))
    misfit = tmp_path / "misfit.safetensors"
    state = {"stem.weight": torch.zeros(1)}
    save_checkpoint(misfit, state, CheckpointInfo("hourglass_lite_s", "logits", (64, 64)))
    cases = {
        classifier: (2, "a network of task classifier, artifacts are of top_down"),
        misfit: (1, "weights do not fit model hourglass_lite_s"),
    }
    for path, (expected, message) in cases.items():
        out = tmp_path / "out"
        code, _, err = run("--checkpoint", path, "--out", out, "--generated")
        assert code == expected
        assert message in last_line(err, code)
        assert not out.exists()


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("rasberry_pi_5", "did you mean 'raspberry_pi_5'?"),
        ("missing.toml", "missing.toml"),
    ],
)
def test_unknown_profiles(
    run: Run, checkpoint: Path, tmp_path: Path, profile: str, message: str
) -> None:
    arguments = ("--checkpoint", checkpoint, "--out", tmp_path / "out", "--profile", profile)
    code, _, err = run(*arguments)
    assert code == 2
    assert message in last_line(err, code)


def test_a_profile_without_converter(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text(
        'schema = "edge_pose.device/1"\nname = "mine"\narch = "x86_64"\n'
        'precisions = ["fp32", "int8"]\n'
        '[runtime]\nbackend = "onnxruntime"\nformat = "onnx"\nprecision = "dynamic_int8"\n'
        '[power]\nmeter = "estimate"\nidle_w = 1.0\nmax_w = 2.0\n'
    )
    arguments = ("--checkpoint", checkpoint, "--out", tmp_path / "out", "--profile", profile)
    code, _, err = run(*arguments)
    assert code == 2
    assert "profile 'mine': converter 'onnx dynamic_int8': unknown" in last_line(err, code)


def test_an_operator_that_a_format_lacks(run: Run, odd_networks: Path, tmp_path: Path) -> None:
    checkpoint = odd_networks / "bessel.safetensors"
    arguments = ("--checkpoint", checkpoint, "--out", tmp_path / "out", "--generated")
    code, _, err = run(*arguments, "--precision", "fp32")
    assert code == 1
    line = last_line(err, code)
    assert "torch to ONNX: cannot export: " in line
    assert "bessel_j0" in line
    assert len(line) < 400
    assert not (tmp_path / "out").exists()


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A checkpoint of a registered network for another process, its weights untrained."""
    model = get_model("hourglass_lite_s")
    info = CheckpointInfo(model.name, model.heatmap_kind, (64, 64))
    path = tmp_path / "fresh.safetensors"
    save_checkpoint(path, model.build().state_dict(), info)
    return path


def start(
    arguments: list[object], temporary: Path, preexec: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    """Start a conversion in a process of its own whose temporary files go to `temporary`."""
    temporary.mkdir()
    # Whoever starts the tests in the background has SIGINT ignored, and children inherit that.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from converters.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_WAIT_POLICY": "passive", "TMPDIR": str(temporary)},
        preexec_fn=preexec,
    )


def names(folder: Path, start: str = "") -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(start))


@pytest.mark.parametrize(
    ("file_format", "said"),
    [
        ("onnx", "{out}: cannot be written: File too large"),
        ("openvino", "OpenVINO IR: cannot be written to {temporary}, is it full?"),
    ],
)
def test_a_disk_that_is_full(
    fresh: Path, plant: Plant, tmp_path: Path, file_format: str, said: str
) -> None:
    """A real write error: the process may write no file above a size below the model's."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    folder = tmp_path / "folder"
    folder.mkdir()
    out, temporary = folder / "out", tmp_path / "tmp"
    arguments = ["--checkpoint", fresh, "--data", plant(dark), "--out", out]
    arguments += ["--precision", "fp32", "--format", file_format]
    with start(arguments, temporary, limit) as process:
        _, err = process.communicate()
    assert process.returncode == 1, err
    assert said.format(out=out, temporary=temporary) in last_line(err, 1)
    assert names(folder) == []
    assert names(tmp_path / "tmp", "edge_pose") == []


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "edge-pose-convert: interrupted"), (signal.SIGTERM, 143, None)],
)
def test_a_signal_while_it_measures(
    fresh: Path, tmp_path: Path, number: int, code: int, said: str | None
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    arguments = ["--checkpoint", fresh, "--out", folder / "out", "--precision", "fp32"]
    with start(arguments, tmp_path / "tmp") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("measuring"):
                break
        assert names(tmp_path / "tmp", "edge_pose") != []
        process.send_signal(number)
        _, rest = process.communicate()
    assert process.returncode == code
    assert "Traceback" not in rest
    if said is not None:
        assert rest.splitlines()[-1] == said
    assert names(folder) == []
    assert names(tmp_path / "tmp", "edge_pose") == []
