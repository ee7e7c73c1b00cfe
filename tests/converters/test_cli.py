from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from converters import cli, ladder
from converters.commands.convert import Request
from converters.gates import LIMITS
from edge_pose.artifact import load_artifact
from edge_pose.engines.calibration_cache import parse_cache
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.registry import get_model

Run = Callable[..., tuple[int, str, str]]
PROFILE = """
schema = "edge_pose.device/1"
name = "mine"
arch = "aarch64"
precisions = ["fp32", "int8"]
[runtime]
backend = "onnxruntime"
format = "onnx"
precision = "int8"
fold_pixels = true
[power]
meter = "estimate"
idle_w = 1.0
max_w = 2.0
"""


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
        assert (result["format"], result["precision"]) == (file.format, file.precision)
        assert result["gate"]["passed"] is True
        assert [attempt["passed"] for attempt in result["attempts"]] == [True]
    assert "gate passed" in err


def test_one_precision_goes_straight_to_out(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    out_folder = tmp_path / "mine"
    code, out, err = run("--checkpoint", checkpoint, "--out", out_folder, "--precision", "fp32")
    assert code == 0, err
    assert out == f"{out_folder}: onnx fp32, 0.02 MB\n"
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


def test_failed_gate(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    arguments = ("--checkpoint", checkpoint, "--generated", "--calibration-images", 32)
    strict = (*arguments, "--limit-drift", 0, "--no-ladder", "--json", "--out", tmp_path / "new")
    code, out, err = run(*strict)
    assert code == 1
    assert "gate failed" in last_line(err)
    assert json.loads(out)["error"] in last_line(err)
    assert [attempt["passed"] for attempt in json.loads(out)["attempts"]] == [False]
    assert json.loads(out)["written"] == []
    assert not (tmp_path / "new").exists()
    code, out, _ = run(*strict, "--force")
    assert code == 0
    assert json.loads(out)["gate"]["passed"] is False


def test_what_was_written_before_one_fails_is_told(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    """fp32 has nothing to drift, int8 has."""
    arguments = ("--checkpoint", checkpoint, "--generated", "--calibration-images", 32)
    arguments += ("--precision", "fp32", "--precision", "int8", "--limit-drift", 0, "--no-ladder")
    code, out, err = run(*arguments, "--out", tmp_path / "a", "--json")
    assert code == 1, err
    values = json.loads(out)
    assert "tiny_int8: gate failed" in values["error"]
    assert [attempt["precision"] for attempt in values["attempts"]] == ["int8"]
    assert [each["path"] for each in values["written"]] == [str(tmp_path / "a" / "tiny_fp32")]
    code, out, err = run(*arguments, "--out", tmp_path / "b")
    assert (code, out) == (1, f"{tmp_path / 'b' / 'tiny_fp32'}: onnx fp32, 0.02 MB\n")


def test_what_is_written_before_an_error_of_another_kind_is_told(
    run: Run, checkpoint: Path, tmp_path: Path
) -> None:
    arguments = ("--checkpoint", checkpoint, "--precision", "fp32", "--precision", "int8")
    code, out, err = run(*arguments, "--out", tmp_path, "--json")
    assert code == 1, err
    values = json.loads(out)
    assert "no training pictures" in values["error"]
    assert [each["name"] for each in values["written"]] == ["tiny_fp32"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--precision", "fp32"], "precision 'fp32': the device computes in int8"),
        (["--format", "onnx"], "format 'onnx': tflite reads tflite on EDGETPU"),
        (["--no-integer-io"], "the Edge TPU takes integer inputs and outputs only"),
    ],
)
def test_flags_that_contradict_the_profile(
    run: Run, checkpoint: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    arguments = ("--checkpoint", checkpoint, "--out", tmp_path / "new", "--generated")
    code, out, err = run(*arguments, "--profile", "coral_edge_tpu", *flags)
    assert (code, out) == (2, "")
    assert f"profile 'coral_edge_tpu': {message}" in err
    assert len(err.splitlines()) == 1


def test_integers_in_and_out_are_of_full_int8_tflite(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--checkpoint", checkpoint, "--out", tmp_path / "new")
    code, _, err = run(*arguments, "--integer-io")
    assert code == 2
    assert "--integer-io: found onnx int8, needs --format tflite --precision int8" in last_line(err)
    asked: list[Request] = []
    monkeypatch.setattr(cli, "convert", lambda request, _: asked.append(request))
    coral, tflite = ("--profile", "coral_edge_tpu"), ("--format", "tflite")
    for flags in (coral, (*tflite, "--integer-io"), tflite, (*tflite, "--no-integer-io")):
        assert run(*arguments, *flags)[0] == 0
    found = [settings.integer_io for request in asked for settings in request.settings()]
    assert found == [True, True, False, False]


@pytest.mark.parametrize("name", ["tiny_int8", "tiny_fp16"])
def test_a_foreign_folder_is_found_before_the_work(
    run: Run, checkpoint: Path, tmp_path: Path, name: str
) -> None:
    """One where only the fallback would go, too."""
    thesis = tmp_path / name / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work")
    arguments = ("--checkpoint", checkpoint, "--out", tmp_path, "--generated")
    code, _, err = run(*arguments, "--precision", "fp32", "--precision", "int8")
    assert code == 1
    assert f"{name}: not an artifact's folder" in last_line(err)
    assert "converting" not in err
    assert thesis.read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_profile_says_what_is_made(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text(PROFILE)
    arguments = ("--checkpoint", checkpoint, "--generated", "--calibration-images", 16)
    code, _, err = run(*arguments, "--out", tmp_path / "a", "--profile", profile)
    assert code == 0, err
    manifest = load_artifact(tmp_path / "a").manifest
    assert (manifest.file.format, manifest.file.precision) == ("onnx", "int8")
    assert manifest.file.arch == "aarch64"
    assert manifest.input.layout == "nhwc"
    assert manifest.contains == ("normalization",)
    flags = ("--precision", "fp32", "--no-fold-pixels")
    code, _, err = run(*arguments, "--out", tmp_path / "b", "--profile", profile, *flags)
    assert code == 0, err
    manifest = load_artifact(tmp_path / "b").manifest
    assert (manifest.file.precision, manifest.contains) == ("fp32", ())


def test_the_decoder_becomes_part_of_the_graph(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    arguments = ("--checkpoint", checkpoint, "--out", tmp_path / "new", "--precision", "fp32")
    code, _, err = run(*arguments, "--fold-decoder")
    assert code == 0, err
    manifest = load_artifact(tmp_path / "new").manifest
    assert (manifest.contains, manifest.decoder.name) == (("decoder",), "keypoints")


def test_a_fallback_is_written_once_under_its_own_name(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where int8 fell back to fp16 and fp16 is asked for, too, there is one fp16."""
    monkeypatch.setattr(ladder, "first_rung", lambda _: ladder.Rung("fp16"))
    arguments = ("--checkpoint", checkpoint, "--out", tmp_path, "--generated")
    code, out, err = run(*arguments, "--precision", "int8", "--precision", "fp16")
    assert code == 0, err
    (line,) = out.splitlines()
    assert line.startswith(f"{tmp_path / 'tiny_fp16'}: onnx fp16, ")
    assert "no int8 passes the gate, fell back to fp16" in err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny_fp16"]


def test_options_of_the_conversion_do_not_stand_before_a_subcommand(
    run: Run, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command("greet")
    def greet() -> None:
        click.echo("hello")

    monkeypatch.setitem(cli.command.commands, "greet", greet)
    assert run("greet")[:2] == (0, "hello\n")
    code, out, err = run("--checkpoint", checkpoint, "greet")
    assert (code, out) == (2, "")
    assert "--checkpoint stands before 'greet', options of 'greet' go after it" in last_line(err)
    assert run("matrxi")[0] == 2


def test_a_calibration_cache_for_a_device(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    artifact, cache = tmp_path / "new", tmp_path / "scales.cache"
    assert run("--checkpoint", checkpoint, "--out", artifact, "--precision", "fp32")[0] == 0
    arguments = ("calibration-cache", artifact, "--generated", "--calibration-images", 16)
    code, out, err = run(*arguments, "--out", cache)
    assert code == 0, err
    scales = parse_cache(cache.read_text("ascii"), str(cache))
    assert {"image", "heatmaps"} <= scales.keys()
    assert out == f"{cache}: scales of {len(scales)} tensors\n"
    code, _, err = run(*arguments, "--out", cache / "below")
    assert code == 1
    assert "below: is below a file" in last_line(err)
    assert "drawing" not in err, "known before the work"
    code, _, err = run("calibration-cache", "default", "--generated", "--out", cache)
    assert code == 2
    assert "is onnx int8, a calibration cache is made of onnx fp32 or fp16" in last_line(err)
    assert "drawing" not in err


@pytest.mark.parametrize("missing", ["--checkpoint", "--out"])
def test_what_is_needed(run: Run, missing: str, checkpoint: Path, tmp_path: Path) -> None:
    given = {"--checkpoint": checkpoint, "--out": tmp_path / "new"}
    del given[missing]
    code, out, err = run(*(word for pair in given.items() for word in pair))
    assert (code, out) == (2, "")
    assert f"Missing option '{missing}'" in last_line(err)


def test_help_is_one_line_per_option_and_names_the_limits(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run("--help")
    assert code == 0
    described = out.partition("Options:")[2]
    for parameter in cli.command.params:
        (line,) = [x for x in described.splitlines() if x.strip().startswith(parameter.opts[0])]
        assert len(line.split("  ")[-1]) > 5, f"{parameter.name} says nothing"
    limits = ", ".join(f"{name} {LIMITS[name].points:g}" for name in ("fp32", "fp16", "int8"))
    assert f"[default: {limits}]" in " ".join(out.split())
    assert LIMITS["dynamic_int8"] == LIMITS["int8"]


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
