from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from converters import cli
from edge_pose.artifact import load_artifact
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.registry import get_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; return exit code, stdout and stderr."""

    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edge-pose-convert", *map(str, args)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return call


def test_both_precisions_as_json(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    code, out, err = run(
        *("--checkpoint", checkpoint, "--out", tmp_path, "--generated", "--json"),
        *("--precision", "fp32", "--precision", "int8", "--calibration-images", 20),
    )
    assert code == 0, err
    results = json.loads(out)
    folders = [tmp_path / "tiny_fp32", tmp_path / "tiny_int8"]
    assert [result["path"] for result in results] == [str(folder) for folder in folders]
    for folder, result in zip(folders, results, strict=True):
        file = load_artifact(folder).manifest.file
        assert (result["size_bytes"], result["sha256"]) == (file.size_bytes, file.sha256)
        assert result["gate"]["passed"] is True
    assert "gate passed" in err


def test_one_precision_goes_straight_to_out(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    out_folder = tmp_path / "mine"
    code, out, err = run("--checkpoint", checkpoint, "--out", out_folder, "--precision", "fp32")
    assert code == 0, err
    assert out == f"{out_folder}: 0.02 MB\n"
    assert load_artifact(out_folder).manifest.name == "tiny_fp32"
    assert "no held-out persons at hand, measuring on 120 drawn" in err


def last_line(err: str) -> str:
    assert "Traceback" not in err
    return err.splitlines()[-1]


def test_problems_are_one_line_and_exit_code_1(
    run: Run, checkpoint: Path, tmp_path: Path, checkpoint_of: Callable[[str], Path]
) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "empty").mkdir()
    out = ("--out", tmp_path / "new")
    good = ("--checkpoint", checkpoint, *out, "--precision", "int8")
    cases: list[tuple[tuple[object, ...], str]] = [
        (("--checkpoint", tmp_path / "none", *out), "no such checkpoint"),
        (("--checkpoint", tmp_path / "junk", *out), "not a safetensors file"),
        (good, "calibration: no training pictures, give --data"),
        ((*good, "--data", tmp_path / "empty"), "calibration: no training pictures, give --data"),
        ((*good, "--data", tmp_path / "nowhere"), "no such folder"),
        ((*good, "--generated", "--calibration-images", 15), "15 images asked for, at least 16"),
        ((*good[:2], "--out", tmp_path, "--generated"), "not an artifact's folder"),
        (("--checkpoint", checkpoint_of("hourglass_lite_s"), *out, "--generated"), "do not fit"),
    ]
    for arguments, message in cases:
        code, stdout, err = run(*arguments)
        assert (code, stdout) == (1, ""), err
        assert last_line(err).startswith("edge-pose-convert: ")
        assert message in last_line(err)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "int7"], "int7"),
        (["--limit-points", "-1"], "-1"),
        (["--calibration-images", "many"], "many"),
        (["--colour"], "No such option"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    run: Run, checkpoint: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, out, err = run("--checkpoint", checkpoint, "--out", tmp_path / "new", *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert message in last_line(err)


def test_unknown_model_is_exit_code_2(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, {}, CheckpointInfo("hourglass_lite_x", "logits", (64, 64)))
    code, _, err = run("--checkpoint", path, "--out", tmp_path / "new", "--precision", "fp32")
    assert code == 2
    assert "did you mean 'hourglass_lite_s'?" in last_line(err)


def test_data_comes_from_the_environment(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_POSE_DATA", str(tmp_path / "from_env"))
    code, _, err = run("--checkpoint", checkpoint, "--out", tmp_path / "new")
    assert code == 1
    assert "from_env: no such folder" in last_line(err)


def test_failed_gate(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from converters import gate

    monkeypatch.setattr(gate, "MIN_AGREEMENT", 1.01)
    arguments = ("--checkpoint", checkpoint, "--precision", "fp32", "--generated", "--json")
    code, out, err = run(*arguments, "--out", tmp_path / "new")
    assert (code, out) == (1, "")
    assert "gate failed" in last_line(err)
    assert not (tmp_path / "new").exists()
    code, out, _ = run(*arguments, "--out", tmp_path / "new", "--force")
    assert code == 0
    assert json.loads(out)["gate"]["passed"] is False


def test_as_a_program(tmp_path: Path) -> None:
    model = get_model("hourglass_lite_s")
    info = CheckpointInfo(model.name, model.heatmap_kind, (64, 64))
    path = tmp_path / "fresh.safetensors"
    save_checkpoint(path, model.build().state_dict(), info)
    command = [sys.executable, "-m", "converters.cli", "--checkpoint", path]
    done = subprocess.run(
        [*command, "--out", tmp_path / "new", "--precision", "fp32", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_WAIT_POLICY": "passive"},
        cwd=Path(cli.__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["gate"]["argmax_agreement"] == 1.0
    manifest = load_artifact(tmp_path / "new").manifest
    assert manifest.origin.model == "hourglass_lite_s"
    assert manifest.outputs[0].shape == (1, 16, 16, 16)


def test_wrong_usage_imports_no_torch() -> None:
    code = (
        "import sys\nfrom converters import cli\n"
        "sys.argv[1:] = ['--precision', 'int7']\n"
        "try: cli.main()\n"
        "except SystemExit as e: assert e.code == 2\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(cli.__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
