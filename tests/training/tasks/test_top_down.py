"""Crops of persons: collation, keypoint formats, mixing of data sets, figures of merit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_pose.errors import UsageError
from edge_pose.skeleton import MPII16
from training.datasets import load_dataset
from training.registry import get_model
from training.samples import Key
from training.tasks import build_task


def test_collate_normalises_with_the_device_code(recipe: Any, generated: Path) -> None:
    task = build_task(recipe(), generated)
    samples = [task.samples[Key(1, 0, i, i, 64)] for i in (0, 1)]
    images, keypoints, present = task.collate(samples)
    assert images.shape == (2, 3, 64, 64)
    crop = samples[1].crop[..., ::-1].transpose(2, 0, 1).astype(np.float32)
    assert np.allclose(images[1].numpy(), (crop - 127.5) / 127.5, atol=1e-6)
    assert np.array_equal(keypoints[1].numpy(), samples[1].keypoints)
    assert np.array_equal(present[1].numpy(), samples[1].present)


def test_keypoints_come_in_the_format_of_the_network(recipe: Any, generated: Path) -> None:
    full = build_task(recipe(), generated)
    some = build_task(recipe(model_args={"keypoints": "coco17"}), generated)
    samples = [full.samples[Key(1, 0, 0, 0, 64)]]
    _, sixteen, there = full.collate(samples)
    _, seventeen, known = some.collate(samples)
    assert not known[0, :5].any()  # MPII has no face
    assert torch.equal(seventeen[0, 9], sixteen[0, MPII16.index("left_wrist")])
    assert known[0, 9] == there[0, MPII16.index("left_wrist")]


def test_validation_persons_are_not_trained_on(recipe: Any, generated: Path) -> None:
    task = build_task(recipe(), generated)
    held_out = {p.index for p in load_dataset("mpii", generated) if p.held_out}
    assert len(held_out) == 8
    assert not held_out & {p.index for p in task.samples.persons}  # type: ignore[attr-defined]


def test_measuring_needs_somebody_held_out(recipe: Any, generated: Path) -> None:
    from training.checkpoint import CheckpointInfo

    task = build_task(recipe(), generated)
    info = CheckpointInfo(recipe().model, "logits", (64, 64))
    model = get_model(recipe().model).build().eval()
    assert task.measure(model, info) == {}
    seen = task.measure(model, info, trained=True)
    assert set(seen) == {"mean14", "mean12"}
    assert 0 <= seen["mean14"] <= 100


def test_a_network_without_necks_has_no_perceptual_loss(recipe: Any, generated: Path) -> None:
    asking = recipe(perceptual={})
    task = build_task(asking, generated)
    batch = task.collate([task.samples[Key(1, 0, 0, 0, 64)]])
    with pytest.raises(UsageError, match="has no necks, only stacked hourglasses have"):
        task.loss(get_model(asking.model).build(), batch, 1.0)


def test_parts_that_a_task_does_not_have_are_refused(recipe: Any, generated: Path) -> None:
    detector = recipe(model="center_hourglass_s", distill={"teacher": "default"})
    with pytest.raises(UsageError, match="distill: center_hourglass_s is a detector network"):
        build_task(detector, generated)


def test_a_teacher_is_asked_where_the_recipe_names_one(
    recipe: Any, generated: Path, tmp_path: Path
) -> None:
    from training.checkpoint import (
        CheckpointInfo,
        pack_persons,
        save_checkpoint,
        unpack_persons,
    )

    torch.manual_seed(0)
    plain = recipe()
    seen = {"mpii": pack_persons([999])}
    info = CheckpointInfo(plain.model, "logits", (64, 64), trained_on=seen)
    teacher = tmp_path / "teacher.safetensors"
    save_checkpoint(teacher, get_model(plain.model).build().state_dict(), info)
    student = get_model(plain.model).build()
    task = build_task(plain, generated)
    batch = task.collate([task.samples[Key(1, 0, i, i, 64)] for i in range(4)])
    without = float(task.loss(student, batch, 1.0).detach())
    found = {}
    for gate in (0.0, 1.0):
        distill = {"teacher": str(teacher), "gate": gate, "weight": 0.9}
        taught = build_task(recipe(distill=distill), generated)
        persons = unpack_persons(taught.trained_on["mpii"])
        assert persons == {*range(24), 999}  # what the teacher saw, the pupil knows
        found[gate] = float(taught.loss(student, batch, 1.0).detach())
    assert found[1.0] == pytest.approx(without)  # an unsure teacher changes nothing
    assert found[0.0] != pytest.approx(without, rel=1e-3)
