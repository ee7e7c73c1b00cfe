"""The subcommands around training, as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from training.checkpoint import CheckpointInfo, save_checkpoint
from training.registry import get_model


def edge_pose_train(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_POSE_")}
    return subprocess.run(
        [sys.executable, "-m", "training", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
        env={**env, "OMP_WAIT_POLICY": "passive"},
    )


def values_of(*arguments: str | Path) -> Any:
    done = edge_pose_train(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained network of two stages."""
    torch.manual_seed(0)
    name = "hourglass_168_resconcat_narrowres"
    file = tmp_path / "two_stages.safetensors"
    info = CheckpointInfo(name, "logits", (64, 64))
    save_checkpoint(file, get_model(name).build().state_dict(), info)
    return file


def test_first_steps_without_any_download(tmp_path: Path) -> None:
    made = values_of("data", "generate", tmp_path / "d", "--persons", "12", "--validation", "4")
    assert (made["persons"], made["validation"]) == (12, 4)
    (report,) = values_of("data", "check", tmp_path / "d", "--out", tmp_path / "sheets")
    assert report["ok"]
    assert (report["persons_train"], report["persons_held_out"]) == (12, 4)
    assert Path(report["contact_sheet"]).read_bytes().startswith(b"\x89PNG")
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'schema = "edge_pose.training/1"\nmodel = "hourglass_lite_s"\nbatch_size = 4\n'
        "workers = 0\nbf16 = false\ndatasets = { mpii = 1 }\n"
        "[[stages]]\nepochs = 9\ninput_side = 64\n"
    )
    where = ("--data", tmp_path / "d", "--out", tmp_path / "out")
    trial = values_of("train", recipe, *where, "--dry-run")
    assert trial["steps"] == 27
    assert trial["first_loss"] > 0
    assert not (tmp_path / "out").exists()
    learned = values_of("train", recipe, *where, "--overfit", "2")
    # Two people by heart: what stays below that is broken.
    assert learned["trained"]["mean14"] > 90


def test_damaged_pictures_are_named_and_the_rest_is_told(generated: Path, tmp_path: Path) -> None:
    shutil.copytree(generated, tmp_path / "d")
    pictures = sorted((tmp_path / "d" / "mpii" / "images").iterdir())
    pictures[3].write_bytes(pictures[3].read_bytes()[:200])
    done = edge_pose_train("data", "check", tmp_path / "d")
    assert done.returncode == 1
    assert pictures[3].name in done.stdout
    assert "24 to train on, 8 held out" in done.stdout
    assert done.stderr.strip().endswith("damaged: mpii; see above")
    assert len(done.stderr.strip().splitlines()) == 1
    nothing = edge_pose_train("data", "check", tmp_path / "nowhere")
    assert nothing.returncode == 1
    assert "nowhere: no such folder" in nothing.stderr
    taken = edge_pose_train("data", "generate", tmp_path)
    assert taken.returncode == 0
    (tmp_path / "real" / "mpii").mkdir(parents=True)
    refused = edge_pose_train("data", "generate", tmp_path / "real")
    assert refused.returncode == 2
    assert "is there already" in refused.stderr


def test_evaluation_tells_stages_swaps_and_the_area_under_the_curve(
    generated: Path, checkpoint: Path
) -> None:
    found = values_of("evaluate", checkpoint, "--data", generated, "--per-stage")
    assert len(found["stages_mean14"]) == 2
    assert found["stages_mean14"][-1] == pytest.approx(found["mean14"], abs=1e-3)
    assert 0 <= found["auc"] <= found["mean14"] + 1e-3
    assert set(found["swapped_percent"]) >= {"wrist", "knee", "all"}
    assert all(0 <= rate <= 100 for rate in found["swapped_percent"].values())


def test_an_evaluation_that_a_network_does_not_have(generated: Path, checkpoint: Path) -> None:
    done = edge_pose_train("evaluate", checkpoint, "--data", generated, "--scale", "0.5")
    assert done.returncode == 2
    assert "--scale: a top_down network has no such evaluation" in done.stderr


def test_pictures(generated: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "pictures"
    found = values_of("pictures", checkpoint, "--data", generated, "--out", out, "--count", "4")
    names = {Path(file).name for file in found["pictures"]}
    assert names >= {"worst.png", "best.png", "random.png", "errors.png", "stages.png"}
    assert all(Path(file).stat().st_size > 2000 for file in found["pictures"])


def test_cleaning_with_a_teacher(generated: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "corrections.jsonl"
    found = values_of(
        "data", "clean", "mpii", "--data", generated, "--teacher", checkpoint,
        "--out", out, "--limit", "3",
    )  # fmt: skip
    assert found["n_persons"] == 3
    header = json.loads(out.read_text().splitlines()[0])
    assert header["schema"].startswith("edge_pose.")
    assert header["dataset"] == "mpii"


def test_a_learning_curve_as_a_page(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    lines = [{"epoch": e, "loss": 6.0 / e, "held_out": {"mean14": 10.0 * e}} for e in (1, 2, 3)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = tmp_path / "curve.html"
    assert values_of("plot", log, "--out", page)["curve"] == str(page)
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")
    refused = edge_pose_train("plot", log, "--out", tmp_path / "curve.xyz")
    assert refused.returncode == 1
    assert "expected a name that ends in" in refused.stderr
