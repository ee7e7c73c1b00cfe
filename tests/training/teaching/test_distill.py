"""Distillation: the gate by hand numbers, gradients towards the teacher, any teacher's heatmaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_pose.preprocess import InputSpec, to_tensor
from edge_pose.skeleton import COCO17, MPII16
from edge_pose.types import FloatArray, Image
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.losses.heatmap import LOSSES
from training.recipe import DistillOptions, load_recipe
from training.registry import get_model
from training.targets import gaussian_targets
from training.teaching.distill import Belief, TeacherMaps, believe, crops, distillation_loss, pixels
from training.teaching.teachers import open_teacher

SPEC = InputSpec((64, 64), "rgb", mean=(127.5, 100.0, 0.0), std=(127.5, 50.0, 255.0))
CONFIGS = Path(__file__).parents[3] / "training" / "configs"


def options(**changes: float) -> DistillOptions:
    return DistillOptions.model_validate({"teacher": "any", **changes})


def one_hot(*places: int) -> torch.Tensor:
    """(1, K, 2, 2) maps with their mass at one of the four px."""
    maps = torch.zeros(1, len(places), 4)
    for joint, place in enumerate(places):
        maps[0, joint, place] = 1
    return maps.view(1, -1, 2, 2)


def test_the_gate_by_hand() -> None:
    # Four joints: labelled and doubted, labelled and trusted, not labelled and trusted, neither.
    present = torch.tensor([[True, True, False, False]])
    inside = torch.ones(1, 4, dtype=torch.bool)
    belief = Belief(one_hot(3, 3, 3, 3), torch.tensor([[0.29, 0.3, 0.9, 0.1]]))
    target = one_hot(0, 0, 0, 0)
    logits = torch.zeros(1, 4, 2, 2)
    logits[0, :, 1, 1] = math.log(5)  # probabilities 1/8, 1/8, 1/8, 5/8
    far, near = math.log(8), math.log(8 / 5)
    loss = distillation_loss([logits], belief, target, present, inside, options(), "softmax")
    expected = (far + (far + near) / 2 + near / 2) / 3
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    shut = distillation_loss([logits], belief, target, present, inside, options(gate=1), "softmax")
    assert float(shut) == pytest.approx(far, rel=1e-5)


def test_mse_by_hand() -> None:
    present = torch.tensor([[True, True, False]])
    inside = torch.tensor([[True, False, True]])
    belief = Belief(one_hot(3, 3, 3), torch.tensor([[1.0, 1.0, 1.0]]))
    target = one_hot(0, 0, 0)
    flat = torch.zeros(1, 3, 2, 2)
    loss = distillation_loss(
        [flat, flat], belief, target, present, inside, options(weight=0.25), "mse"
    )
    # Joint 0: 0.75² + 0.25²; joint 1 is known to be outside: 0; joint 2: 0.25 · 1², over 12 px.
    assert float(loss) == pytest.approx(2 * (0.75**2 + 0.25**2 + 0.25) / 12)


@pytest.mark.parametrize("name", list(LOSSES))
def test_without_confidence_it_is_the_plain_loss(name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    stages = [torch.randn(2, 16, 12, 12, generator=generator) for _ in range(2)]
    target, inside = gaussian_targets(
        torch.rand(2, 16, 2, generator=generator) * 60, 4, (12, 12), 1
    )
    present = torch.rand(2, 16, generator=generator) < 0.7
    belief = Belief(torch.zeros_like(target), torch.zeros(2, 16))
    found = distillation_loss(stages, belief, target, present, inside, options(gate=0), name)
    assert torch.allclose(found, LOSSES[name](stages, target, present, inside))


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_joint_without_a_label_is_pulled_to_the_teacher(name: str) -> None:
    keypoints = torch.tensor([[[10.0, 18.0], [40.0, 30.0]]])
    target, inside = gaussian_targets(keypoints, 4, (12, 12), 1.0)
    maps = target / target.sum(dim=(2, 3), keepdim=True)
    belief = Belief(maps, torch.tensor([[0.1, 0.9]]))
    nobody = torch.zeros(1, 2, dtype=torch.bool)
    heatmaps = torch.zeros(1, 2, 12, 12, requires_grad=True)
    loss = distillation_loss([heatmaps], belief, target, nobody, inside, options(), name)
    loss.backward()
    assert heatmaps.grad is not None
    assert not heatmaps.grad[0, 0].any()  # the teacher is not sure of this one
    pull = -heatmaps.grad[0, 1]
    assert divmod(int(pull.argmax()), 12) == divmod(int(target[0, 1].argmax()), 12)
    assert pull.max() > 0


def test_belief_of_logits_and_of_heights() -> None:
    logits = torch.full((1, 2, 24, 24), -20.0)
    logits[0, 0, 10, 4] = 0
    logits[0, 1, 2, 2] = logits[0, 1, 20, 20] = 0  # two places, equally likely
    sharp = believe(logits, "logits", (24, 24))
    assert sharp.confidence[0].tolist() == pytest.approx([1, 0.5], abs=1e-3)
    assert sharp.maps.sum(dim=(2, 3))[0].tolist() == pytest.approx([1, 1])
    soft = believe(logits, "logits", (24, 24), temperature=4)
    assert soft.maps.amax() < sharp.maps.amax()
    assert torch.equal(soft.confidence, sharp.confidence)
    heights = torch.zeros(1, 1, 24, 24)
    heights[0, 0, 12, 6] = 0.6
    half = believe(heights, "gaussian", (48, 12))
    assert float(half.confidence) == pytest.approx(0.6)
    assert half.maps.shape == (1, 1, 12, 48)
    assert float(half.maps.sum()) == pytest.approx(1)
    place = int(half.maps.argmax())
    assert (place // 48, place % 48) in {(5, 12), (5, 13), (6, 12), (6, 13)}


def test_normalisation_is_undone() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (2, 8, 6, 3)).astype(np.uint8)
    for color in ("rgb", "bgr"):
        spec = InputSpec((6, 8), color, mean=SPEC.mean, std=SPEC.std)
        images = torch.from_numpy(to_tensor(picture, spec))
        assert np.array_equal(crops(pixels(images, spec)), picture)


class FixedTeacher:
    """Sees every joint in the middle, but knows no heads."""

    name = "fixed"
    input_size = (32, 32)
    crop_factor = 1.0
    knows = np.array([not name.startswith(("head", "upper")) for name in MPII16.keypoints])

    def __init__(self) -> None:
        self.trained_on: Mapping[str, str] = {}
        self.seen: list[Image] = []

    def keypoints(self, crops: Image) -> tuple[FloatArray, FloatArray]:
        self.seen.append(crops)
        points = np.full((len(crops), 16, 2), 31.5, np.float32)
        return points, np.float32(0.8) * np.tile(self.knows, (len(crops), 1)).astype(np.float32)


def test_a_teacher_without_heatmaps_is_given_gaussians() -> None:
    teacher = FixedTeacher()
    picture = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    images = torch.from_numpy(to_tensor(picture, SPEC))
    belief = TeacherMaps(teacher, SPEC, MPII16, 4)(images, (16, 16), 1.0)
    assert np.array_equal(teacher.seen[0], picture)
    assert belief.maps.shape == (2, 16, 16, 16)
    assert torch.allclose(belief.maps.sum(dim=(2, 3)), torch.ones(2, 16))
    assert torch.allclose(belief.maps[0, 0, 7, 7], belief.maps[0, 0, 8, 8])
    assert not belief.confidence[:, MPII16.index("head_top")].any()
    assert float(belief.confidence[0, 0]) == pytest.approx(0.8)


def test_joints_are_matched_by_name() -> None:
    images = torch.zeros(1, 3, 64, 64)
    belief = TeacherMaps(FixedTeacher(), SPEC, COCO17, 4)(images, (16, 16), 1.0)
    assert belief.maps.shape == (1, 17, 16, 16)
    assert not belief.confidence[0, :5].any()  # faces
    assert (belief.confidence[0, 5:] > 0.7).all()


def test_a_network_believes_what_its_heatmaps_say(tmp_path: Path, tiny_model: str) -> None:
    file = tmp_path / "checkpoint.safetensors"
    network = get_model(tiny_model).build()
    save_checkpoint(file, network.state_dict(), CheckpointInfo(tiny_model, "logits", (64, 64)))
    picture = np.random.default_rng(2).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    images = torch.from_numpy(to_tensor(picture, SPEC)).requires_grad_()
    belief = TeacherMaps(open_teacher(str(file)), SPEC, MPII16, 4)(images, (16, 16), 1.0)
    entry = get_model(tiny_model)
    own = to_tensor(picture, InputSpec((64, 64), entry.color, mean=entry.mean, std=entry.std))
    expected = network(torch.from_numpy(own))[-1].flatten(2).softmax(dim=2)
    assert torch.allclose(belief.maps.flatten(2), expected, atol=1e-5)
    assert not belief.maps.requires_grad
    larger = TeacherMaps(open_teacher(str(file)), SPEC, MPII16, 4)
    assert larger(torch.zeros(1, 3, 96, 96), (24, 24), 1.0).maps.shape == (1, 16, 24, 24)


def test_an_artifact_believes_in_the_places_of_blobs(tiny_artifact: Path) -> None:
    picture = np.zeros((1, 96, 96, 3), np.uint8)
    for channel, place in ((2, 20), (1, 44), (0, 68)):
        picture[0, place : place + 12, place : place + 12, channel] = 255
    images = torch.from_numpy(to_tensor(picture, SPEC))
    teacher = open_teacher(str(tiny_artifact))
    belief = TeacherMaps(teacher, SPEC, MPII16, 4)(images, (24, 24), 1.0)
    assert belief.confidence.min() > 0.9
    grid = torch.arange(24.0)
    for joint, place in ((0, 20), (8, 44), (15, 68)):
        rows, columns = belief.maps[0, joint].sum(dim=1), belief.maps[0, joint].sum(dim=0)
        center = (place + 5.5 + 0.5) / 4 - 0.5
        assert float((rows * grid).sum()) == pytest.approx(center, abs=0.3)
        assert float((columns * grid).sum()) == pytest.approx(center, abs=0.3)


def test_the_example_recipe_is_valid() -> None:
    recipe = load_recipe(CONFIGS / "hourglass_168_resconcat_narrowres_distilled.toml")
    assert recipe.distill is not None
    assert recipe.distill.teacher == "default"
    assert list(recipe.corrections) == ["lspet"]
