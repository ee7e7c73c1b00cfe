"""The training loop on drawn people: it learns, it resumes exactly, it stops on nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file

from edge_pose.errors import EdgePoseError
from training.checkpoint import read_info, unpack_persons
from training.recipe import Recipe
from training.tasks import build_task
from training.trainer import Trainer


def train(recipe: Recipe, data: Path, out: Path, until: int | None = None) -> Trainer:
    trainer = trainer_of(recipe, data, out)
    with Progress(disable=True) as progress:
        trainer.run(progress, until)
    return trainer


def trainer_of(recipe: Recipe, data: Path, out: Path) -> Trainer:
    return Trainer(recipe, build_task(recipe, data), out, "cpu")


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("loss", ["softmax", "mse"])
def test_the_loss_falls_on_a_few_people(
    recipe: Any, generated: Path, tmp_path: Path, loss: str
) -> None:
    quiet = dict.fromkeys(("p_flip", "p_rotate", "p_far", "p_half_body", "p_cutout"), 0.0)
    stages = [{"epochs": 12, "input_side": 64}]
    train(recipe(loss=loss, stages=stages, augment=quiet), generated, tmp_path)
    found = losses(tmp_path)
    assert len(found) == 12
    assert found[-1] < 0.97 * found[0]


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    stages = [{"epochs": 2, "input_side": 64}, {"epochs": 1, "input_side": 96}]
    straight = train(recipe(stages=stages), generated, tmp_path / "straight")
    train(recipe(stages=stages), generated, tmp_path / "halting", until=1)
    train(recipe(stages=stages), generated, tmp_path / "halting", until=2)
    halting = train(recipe(stages=stages), generated, tmp_path / "halting")
    assert straight.step == halting.step == 9
    one, two = (load_file(t.paths.weights) for t in (straight, halting))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert losses(tmp_path / "straight") == losses(tmp_path / "halting")


@pytest.mark.parametrize("moment", ["save_checkpoint", "save_resume"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_kill_at_the_end_of_an_epoch_leaves_no_trace(
    recipe: Any,
    generated: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    epoch: int,
) -> None:
    straight = train(recipe(), generated, tmp_path / "straight")
    killed = tmp_path / "killed"
    if epoch == 2:
        train(recipe(), generated, killed, until=1)

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"training.trainer.{moment}", kill)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), generated, killed)
    again = train(recipe(), generated, killed)
    assert losses(killed) == losses(tmp_path / "straight")
    assert again.step == straight.step
    one, two = (load_file(t.paths.weights) for t in (straight, again))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_state_of_something_else_does_not_start(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    torch.save({"epoch": 3}, tmp_path / "resume.pt")
    with pytest.raises(EdgePoseError, match="belongs to another recipe"):
        train(recipe(), generated, tmp_path)


def test_loading_in_a_process_gives_the_same_run(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    train(recipe(workers=0), generated, tmp_path / "here", until=1)
    train(recipe(workers=1), generated, tmp_path / "there", until=1)
    assert losses(tmp_path / "here") == losses(tmp_path / "there")


def test_the_checkpoint_knows_where_it_comes_from(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    trainer = train(recipe(), generated, tmp_path, until=1)
    info = read_info(trainer.paths.weights)
    assert info.epochs == 1
    assert info.input_size == (64, 64)
    assert info.heatmap_kind == "logits"
    assert info.recipe["stages"][0]["epochs"] == 2
    assert unpack_persons(info.trained_on["mpii"]) == set(range(24))  # no validation person
    assert len(info.data_sha256) == 64


def test_the_average_lags_behind_the_weights(recipe: Any, generated: Path, tmp_path: Path) -> None:
    optimizer = {"ema_decay": 0.0, "warmup_steps": 2}
    trainer = train(recipe(optimizer=optimizer), generated, tmp_path / "none", until=1)
    state = trainer.model.state_dict()
    assert all(torch.equal(state[k], v) for k, v in trainer.average.items())
    slow = train(recipe(), generated, tmp_path / "slow", until=1)
    state = slow.model.state_dict()
    assert any(not torch.equal(state[k], v) for k, v in slow.average.items())


def test_a_loss_that_is_not_a_number_stops_the_run(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    train(recipe(), generated, tmp_path, until=1)
    before = (tmp_path / "resume.pt").read_bytes()
    trainer = trainer_of(recipe(), generated, tmp_path)
    trainer._load()
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("nan"))
    trainer._load = lambda: None  # type: ignore[method-assign]
    with Progress(disable=True) as progress, pytest.raises(EdgePoseError, match="the loss is nan"):
        trainer.run(progress)
    assert (tmp_path / "resume.pt").read_bytes() == before


def test_statistics_are_taken_anew_at_the_end(recipe: Any, generated: Path, tmp_path: Path) -> None:
    small = {"model": "center_hourglass_s", "detector": {"labels": "annotations"}}
    found = []
    for refit in (0, 3):
        out = tmp_path / str(refit)
        train(recipe(**small, refit_batches=refit, stages=[{"epochs": 1, "input_side": 64}]),
              generated, out)  # fmt: skip
        found.append(load_file(out / "checkpoint.safetensors"))
    before, after = found
    names = [name for name in before if not torch.equal(before[name], after[name])]
    assert names
    assert all("running_" in name or "num_batches" in name for name in names)


def test_a_gradient_that_is_not_finite_changes_nothing(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    trainer = trainer_of(recipe(), generated, tmp_path)
    parameter = next(trainer.model.parameters())
    parameter.register_hook(lambda grad: grad * float("inf"))
    before = parameter.detach().clone()
    with Progress(disable=True) as progress, pytest.raises(EdgePoseError, match="norm is"):
        trainer.run(progress)
    assert torch.equal(parameter, before)
    assert not trainer.paths.weights.exists()


def test_other_data_does_not_take_over_a_run(recipe: Any, generated: Path, tmp_path: Path) -> None:
    train(recipe(), generated, tmp_path, until=1)
    fewer = Trainer(recipe(), build_task(recipe(), generated, limit=16), tmp_path, "cpu")
    with Progress(disable=True) as progress, pytest.raises(EdgePoseError, match="other data"):
        fewer.run(progress)


def test_who_the_initial_network_was_trained_on_is_remembered(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    first = train(recipe(), generated, tmp_path / "first", until=1)
    init = str(first.paths.weights)
    second = Trainer(recipe(init=init), build_task(recipe(), generated, limit=8), tmp_path, "cpu")
    state = second.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.average.items())
    with Progress(disable=True) as progress:
        second.run(progress, 1)
    trained_on = read_info(second.paths.weights).trained_on["mpii"]
    assert unpack_persons(trained_on) == set(range(24))  # though it saw only 8 of them itself
    wrong = recipe(model="hourglass_lite_s", init=init)
    with pytest.raises(EdgePoseError, match="is of model tiny_for_training_tests, the recipe's is"):
        Trainer(wrong, build_task(wrong, generated), tmp_path / "x", "cpu")


def test_another_recipe_does_not_take_over_a_run(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    train(recipe(), generated, tmp_path, until=1)
    with pytest.raises(EdgePoseError, match="belongs to another recipe"):
        train(recipe(seed=2), generated, tmp_path)


def test_too_few_people_for_a_batch(recipe: Any, generated: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgePoseError, match="24 samples are less than one batch of 64"):
        trainer_of(recipe(batch_size=64), generated, tmp_path)
