"""`edge-pose-train` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.checkpoint import load_checkpoint
from training.datasets import load_dataset
from training.evaluate import NetworkPredictor, predict
from training.recipe import load_recipe

Mask = NDArray[np.bool_]
CONFIGS = Path(__file__).parents[2] / "training" / "configs"


def edge_pose_train(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = "from training.cli import main; main()"
    env = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_POSE_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**env, "OMP_WAIT_POLICY": "passive"},
    )


def one_line_error(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize("name", [file.stem for file in sorted(CONFIGS.glob("*.toml"))])
def test_shipped_recipes_are_valid(name: str) -> None:
    recipe = load_recipe(CONFIGS / f"{name}.toml")
    assert recipe.epochs == sum(stage.epochs for stage in recipe.stages)
    assert recipe.stage(0) == recipe.stages[0]
    assert recipe.stage(recipe.epochs - 1) == recipe.stages[-1]


def test_info_prints_the_fixed_keys() -> None:
    done = edge_pose_train("info", "hourglass_168_resconcat_narrowres", "--json")
    values = json.loads(done.stdout)
    assert values["params"] == 1_417_616
    assert round(values["madds_document"] / 1e9, 4) == 2.5670
    assert values["input_size"] == [256, 256]
    assert {"name", "params", "madds_document", "macs", "input_size"} <= set(values)
    listed = json.loads(edge_pose_train("info", "--json").stdout)
    assert "hourglass_lite_s" in [row["name"] for row in listed]


def test_train_resume_evaluate(
    generated: Path, tmp_path: Path, percent_correct: Callable[..., dict[str, float]]
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        'schema = "edge_pose.training/1"\nmodel = "hourglass_lite_s"\nbatch_size = 4\n'
        "workers = 0\ndatasets = { mpii = 1 }\n[[stages]]\nepochs = 2\ninput_side = 64\n"
    )
    arguments = ("train", str(recipe), "--data", str(generated), "--out", str(tmp_path / "run"))
    limited = (*arguments, "--limit", "8", "--json")
    first = json.loads(edge_pose_train(*limited, "--until-epoch", "1").stdout)
    assert first["epochs"] == 1
    second = edge_pose_train(*limited)
    values = json.loads(second.stdout)
    assert values["epochs"] == 2
    assert "going on after epoch 1" in second.stderr
    assert Path(values["curve"]).read_bytes().startswith(b"\x89PNG")
    assert len(Path(values["log"]).read_text().splitlines()) == 2
    data = str(tmp_path / "data")
    present, right = annotate_by(Path(values["checkpoint"]), generated, tmp_path / "data")
    expected = percent_correct(present, right)
    done = edge_pose_train("evaluate", values["checkpoint"], "--data", data, "--json")
    result = json.loads(done.stdout)
    assert result["dataset"] == "mpii"
    assert result["metric"] == "PCKh@0.5"
    assert result["n_persons"] == 8
    assert result["mean14"] == pytest.approx(expected["mean14"], abs=1e-4)
    assert result["mean12"] == pytest.approx(expected["mean12"], abs=1e-4)
    groups = {"head": expected["head_top"]}
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        groups[name] = (expected[f"right_{name}"] + expected[f"left_{name}"]) / 2
    assert result["per_group"] == pytest.approx(groups, abs=1e-4)
    text = edge_pose_train("evaluate", values["checkpoint"], "--data", data).stdout
    assert f"mean14: {expected['mean14']:.2f}\n" in text


def annotate_by(checkpoint: Path, source: Path, target: Path) -> tuple[Mask, Mask]:
    """Copy a data set with the held-out joints where the network finds them, most of them.

    Returns:
        (N, 16) which joints are annotated, and which lie where they are found: the others are two
        head sizes, or four thresholds, away.
    """
    (target / "mpii").mkdir(parents=True)
    (target / "mpii" / "images").symlink_to(source / "mpii" / "images")
    entries = json.loads((source / "mpii" / "mpii_annotations.json").read_text("utf-8"))
    model, info = load_checkpoint(checkpoint)
    predictor = NetworkPredictor(model, info, torch.device("cpu"))
    persons = [person for person in load_dataset("mpii", source) if person.held_out]
    right = np.random.default_rng(1).random((len(persons), 16)) < 0.6
    for (person, points, _), hits in zip(
        predict(predictor, persons, flip_test=False), right, strict=True
    ):
        entry = entries[person.index]
        entry["joint_self"] = [
            [float(x) + (0 if hit else 2 * person.unit_px), float(y), 1.0]
            for (x, y), hit in zip(points, hits, strict=True)
        ]
    (target / "mpii" / "mpii_annotations.json").write_text(json.dumps(entries), "utf-8")
    return np.stack([person.present for person in persons]), right


def test_shrink_halves_a_checkpoint(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    from training.checkpoint import CheckpointInfo, load_checkpoint, save_checkpoint
    from training.registry import get_model

    source, out = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    state = get_model("hourglass_lite_s").build().state_dict()
    save_checkpoint(source, state, CheckpointInfo("hourglass_lite_s", "logits", (192, 192)))
    done = edge_pose_train("shrink", str(source), "--out", str(out), "--json")
    size = json.loads(done.stdout)["size_bytes"]
    assert size == out.stat().st_size < 0.55 * source.stat().st_size
    assert {str(t.dtype) for t in load_file(out).values()} == {"torch.float16", "torch.int64"}
    _, info = load_checkpoint(out)
    assert info.model == "hourglass_lite_s"
    one_line_error(edge_pose_train("shrink", str(source), "--out", str(source)), 2, "is the checkp")


def test_bad_input_is_one_line(generated: Path, tmp_path: Path) -> None:
    out, data = ("--out", str(tmp_path / "o")), ("--data", str(generated))
    gone = str(tmp_path / "gone.toml")
    one_line_error(edge_pose_train("train", gone, *data, *out), 2, "gone.toml", "cannot be read")
    one_line_error(edge_pose_train("train", "hourglas", *data, *out), 2, "unknown", "did you mean")
    one_line_error(edge_pose_train("info", "hourglass_lite_x"), 2, "did you mean")
    one_line_error(edge_pose_train("evaluate", "nothing", *data), 1, "nothing", "neither")
    one_line_error(
        edge_pose_train("evaluate", "default", *data, "--dataset", "mpi"), 2, "did you mean 'mpii'"
    )
    text = tmp_path / "x.safetensors"
    text.write_text("no weights")
    one_line_error(edge_pose_train("evaluate", str(text), *data), 1, "not a safetensors file")
    one_line_error(edge_pose_train("evaluate", "x"), 2, "--data")
    one_line_error(edge_pose_train("plot", gone), 1, "gone.toml", "cannot be read")
    recipe = tmp_path / "r.toml"
    good = 'schema = "edge_pose.training/1"\nmodel = "hourglass_lite_s"\ndatasets = { mpii = 1 }\n'
    stage = "[[stages]]\nepochs = 1\ninput_side = 64\n"
    for text_, parts in (
        (good.replace("training/1", "training/9") + stage, ("schema", "training/9", "training/1")),
        (good + "batchsize = 3\n" + stage, ("batchsize", "did you mean 'batch_size'")),
        (good + stage.replace("64", "3"), ("stages.0.input_side", "32")),
        (good + "[augment]\np_flip = 2\n" + stage, ("augment.p_flip", "1")),
    ):
        recipe.write_text(text_)
        one_line_error(edge_pose_train("train", str(recipe), *data, *out), 2, "r.toml", *parts)
