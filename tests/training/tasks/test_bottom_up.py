from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_pose.skeleton import MPII16
from training.bottom_up.options import BottomUpOptions, SceneConfig
from training.checkpoint import CheckpointInfo, unpack_persons
from training.datasets.scenes import load_scenes
from training.registry import MODELS, get_model, register_model
from training.samples import Key
from training.tasks.bottom_up import BottomUpTask, build
from training.teaching.corrections import Correction, write_corrections
from training.transforms import PLAIN

NAME = "tiny_bottom_up"


class TinyBottomUp(nn.Module):
    """Coarse heatmaps and tags, fine heatmaps; sees about a third of a 64 px picture."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2), nn.ReLU(),
            nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.coarse = nn.Conv2d(48, 32, 3, padding=1)
        self.fine = nn.ConvTranspose2d(48, 16, 4, 2, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = self.down(x)
        return [self.coarse(features), self.fine(features)]


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    def tiny_bottom_up() -> nn.Module:
        """Tiny bottom-up network."""
        return TinyBottomUp()

    register_model(task="bottom_up", input_size=(64, 64), heatmap_kind="gaussian")(tiny_bottom_up)
    yield
    del MODELS[NAME]


@pytest.fixture
def info() -> CheckpointInfo:
    return CheckpointInfo(model=NAME, heatmap_kind="gaussian", input_size=(64, 64))


def recipe(**changes: Any) -> Any:
    still = SceneConfig(p_composite=0, rotate_deg=0, zoom=(1, 1), shift=0)
    options = BottomUpOptions(positive_weight=10.0, location_weight=0.01, scenes=still)
    values: dict[str, Any] = {
        "model_args": {},
        "datasets": {"mpii": 1},
        "mixing": "repeats",
        "corrections": {},
        "augment": PLAIN,
        "bottom_up": options,
    }
    return SimpleNamespace(**{**values, **changes})


def test_a_task_learns_a_batch_and_measures_it(generated: Path, info: CheckpointInfo) -> None:
    torch.manual_seed(1)
    task = build(recipe(), get_model(NAME), generated, 4)
    batch = task.collate([task.samples[Key(1, 0, i, i, 64)] for i in range(4)])
    assert [tuple(t.shape) for t in batch] == [
        (4, 3, 64, 64), (4, 1, 16, 2), (4, 1, 16), (4, 16, 16, 16),
    ]  # fmt: skip
    model = TinyBottomUp()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = task.loss(model, batch, 1.0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.75 * losses[0]
    figures = task.measure(model, info, trained=True)
    assert set(figures) == {"ap", "ar", "ap50"}
    assert all(0 <= value <= 100 for value in figures.values())


class Perfect(nn.Module):
    """Answers with a batch's own targets."""

    def __init__(self, outputs: list[Tensor]) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Tensor) -> list[Tensor]:
        del x
        return self.outputs


def test_the_defaults_are_squared_error_and_tags_at_both_resolutions(generated: Path) -> None:
    from training.losses.associative import people_heatmaps

    task = build(recipe(bottom_up=BottomUpOptions()), get_model(NAME), generated, 4)
    batch = task.collate([task.samples[Key(1, 0, i, i, 64)] for i in range(2)])
    _, keypoints, shown, known = batch
    coarse = people_heatmaps(keypoints, shown, 4, (16, 16), 1.5)
    fine = people_heatmaps(keypoints, shown, 2, (32, 32), 1.5)
    tags = torch.zeros_like(coarse)
    assert float(task.loss(Perfect([torch.cat([coarse, tags], 1), fine]), batch, 1.5)) == 0.0
    # A constant error counts where something is known, at each resolution alike.
    judged = known | (coarse > 0.05)
    loss = float(task.loss(Perfect([torch.cat([coarse + 0.1, tags], 1), fine]), batch, 1.5))
    assert loss == pytest.approx(0.01 * float(judged.float().mean()), rel=1e-4)
    finer = known.repeat_interleave(2, 2).repeat_interleave(2, 3) | (fine > 0.05)
    loss = float(task.loss(Perfect([torch.cat([coarse, tags], 1), fine + 0.1]), batch, 1.5))
    assert loss == pytest.approx(0.01 * float(finer.float().mean()), rel=1e-4)
    # Tags that differ within a person cost 1e-3 of their variance.
    tags[:, :8] = 2.0
    loss = float(task.loss(Perfect([torch.cat([coarse, tags], 1), fine]), batch, 1.5))
    assert 0 < loss < 1.001e-3


def test_validation_pictures_are_never_trained_on(generated: Path) -> None:
    task = build(recipe(), get_model(NAME), generated, None)
    everybody = load_scenes("mpii", generated)
    assert len(task.samples) == sum(not scene.held_out for scene in everybody) == 24
    used = unpack_persons(task.trained_on["mpii"])
    assert used == {i for scene in everybody if not scene.held_out for i in scene.indices}
    assert task.held_out == []
    some = build(recipe(), get_model(NAME), generated, 5)
    assert [scene.indices for scene in some.scenes] == [(2,), (7,), (12,), (16,), (21,)]


def test_labels_are_corrected_as_the_recipe_says(lspet: Path, tmp_path: Path) -> None:
    plain = build(recipe(datasets={"lspet": 1}), get_model(NAME), lspet, None)
    joint = MPII16.index("left_wrist")
    x, y = plain.scenes[0].keypoints[0, joint].tolist()
    file = tmp_path / "corrections.jsonl"
    dropped = Correction(0, "left_wrist", "drop", (x, y), (1.0, 1.0), 1.0, 0.9)
    write_corrections(file, "lspet", [dropped], {})
    changed = recipe(datasets={"lspet": 1}, corrections={"lspet": str(file)})
    task = build(changed, get_model(NAME), lspet, None)
    assert plain.scenes[0].present[0, joint]
    assert not task.scenes[0].present[0, joint]
    assert task.data_sha256 != plain.data_sha256


def test_held_out_people_are_measured_in_composites(lspet: Path, info: CheckpointInfo) -> None:
    task = build(recipe(datasets={"lspet": 1}), get_model(NAME), lspet, None)
    assert [scene.indices for scene in task.held_out] == [(9,), (29,)]
    assert not {9, 29} & unpack_persons(task.trained_on["lspet"])
    torch.manual_seed(1)
    model = TinyBottomUp()
    figures = task.measure(model, info)
    assert set(figures) == {"ap", "ar", "ap50"}
    assert task.measure(model, info) == figures


def test_balanced_mixing_keeps_the_length_of_an_epoch(generated: Path) -> None:
    scenes = [s for s in load_scenes("mpii", generated) if not s.held_out]
    scenes = [replace(s, dataset="lspet") if i < 16 else s for i, s in enumerate(scenes)]
    options = BottomUpOptions()
    plain = BottomUpTask(recipe(datasets={"mpii": 3, "lspet": 1}), get_model(NAME), scenes, options)
    assert [(len(i), repeats) for i, repeats in plain.groups] == [(8, 3), (16, 1)]
    balanced = BottomUpTask(
        recipe(datasets={"mpii": 1, "lspet": 1}, mixing="balanced"),
        get_model(NAME), scenes, options,
    )  # fmt: skip
    assert [len(i) * repeats for i, repeats in balanced.groups] == [12.0, 12.0]


def test_face_keypoints_are_unknown_where_the_data_has_none(generated: Path) -> None:
    task = build(recipe(model_args={"keypoints": "coco17"}), get_model(NAME), generated, 3)
    sample = task.samples[Key(1, 0, 0, 0, 64)]
    assert sample.shown.shape[1] == 17
    assert not sample.shown[:, :5].any()
    assert not sample.known[0].all()
