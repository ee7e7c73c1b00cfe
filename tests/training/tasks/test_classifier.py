"""The classifier's task: what it trains on, that it learns, what it measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from rich.progress import Progress
from torch import Tensor, nn

from edge_pose.errors import UsageError
from training.checkpoint import load_checkpoint, unpack_persons
from training.classification.evaluate import evaluate
from training.classification.views import ClassifierOptions, center_box, cut, random_box
from training.datasets import DatasetError
from training.recipe import Recipe
from training.registry import MODELS, get_model, register_model
from training.samples import Key
from training.tasks.classifier import ClassifierTask, build
from training.trainer import Trainer
from training.transforms import PLAIN

NAME = "tiny_classifier"
COLORS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))


class TinyClassifier(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.head(self.body(x).mean((2, 3)))]


@pytest.fixture(autouse=True)
def tiny_classifier() -> Iterator[None]:
    """Register a classifier for one test only."""

    def tiny_classifier(*, classes: int = 100) -> nn.Module:
        """Tiny classifier."""
        return TinyClassifier(classes)

    register_model(task="classifier", input_size=(32, 32), stride=1)(tiny_classifier)
    yield
    del MODELS[NAME]


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """Data folder with cifar100/: 60 training and 8 test rows of four classes in four colours."""
    folder = tmp_path / "cifar100" / "cifar-100-binary"
    folder.mkdir(parents=True)
    (folder / "fine_label_names.txt").write_text("\n".join(f"c{i}" for i in range(100)))
    rng = np.random.default_rng(1)
    for part, count in (("train", 60), ("test", 8)):
        rows = rng.integers(0, 60, (count, 3074)).astype(np.uint8)
        for i, row in enumerate(rows):
            row[:2] = 0, (3, 17, 50, 99)[i % 4]
            if i % 4 < 3:
                row[2 + 1024 * (i % 4) :][:1024] += 180
        (folder / f"{part}.bin").write_bytes(rows.tobytes())
    return tmp_path


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """Data folder with imagenet/: 20 training and 2 validation pictures of three colours each."""
    rng = np.random.default_rng(1)
    for part, count in (("train", 20), ("val", 2)):
        for label, wnid in enumerate(("n01440764", "n01443537", "n02085620")):
            folder = tmp_path / "imagenet" / part / wnid
            folder.mkdir(parents=True)
            for i in range(count):
                noise = rng.integers(-30, 30, (40, 50 + i, 3))
                picture = (np.array(COLORS[label]) + noise).astype(np.uint8)
                (folder / f"{i}.JPEG").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    return tmp_path


@pytest.fixture
def make_recipe(recipe: Callable[..., Recipe]) -> Callable[..., Recipe]:
    """Return a function: a recipe of the tiny classifier, with changes."""

    def make(**changes: Any) -> Recipe:
        values = {
            "model": NAME,
            "datasets": {"cifar100": 1},
            "stages": [{"epochs": 4, "input_side": 32}],
            "optimizer": {"lr": 4e-2, "warmup_steps": 5, "ema_decay": 0.9},
        }
        return recipe(**{**values, **changes})

    return make


def task_of(recipe: Recipe, data: Path, limit: int | None = None, **options: Any) -> ClassifierTask:
    values = {**dict(recipe), "classifier": ClassifierOptions(**options)}
    return build(SimpleNamespace(**values), get_model(NAME), data, limit)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "arguments", "n"), [("cifar100", {}, 8), ("imagenet", {"classes": 3}, 6)]
)
def test_it_learns(
    name: str,
    arguments: dict[str, int],
    n: int,
    make_recipe: Callable[..., Recipe],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    data = request.getfixturevalue({"cifar100": "cifar"}.get(name, name))
    recipe = make_recipe(datasets={name: 2}, model_args=arguments)
    trainer = Trainer(recipe, task_of(recipe, data), tmp_path / "run", "cpu")
    before = trainer.measure_trained()
    with Progress(disable=True) as progress:
        trainer.run(progress)
    after = trainer.measure_trained()
    assert before["top1"] < 50
    assert after["top1"] > 80
    assert after["top5"] >= after["top1"]
    model, info = load_checkpoint(trainer.paths.weights)
    result = evaluate(model, info, name, data)
    assert (result["n"], result["input_size"]) == (n, [32, 32])
    assert result["top1"] > 80
    assert '"held_out": {"top1": ' in trainer.paths.log.read_text()


def test_it_trains_on_what_is_not_held_out(make_recipe: Any, cifar: Path) -> None:
    task = task_of(make_recipe(), cifar)
    assert unpack_persons(task.trained_on["cifar100"]) == set(range(60)) - {24}
    assert [picture.index for picture in task.held_out] == [24]
    assert [len(indices) for indices, _ in task.groups] == [59]
    assert len(task.data_sha256) == 64
    assert task_of(make_recipe(), cifar).data_sha256 == task.data_sha256
    assert task_of(make_recipe(), cifar, 5).data_sha256 != task.data_sha256


def test_a_few_pictures_are_of_all_classes(make_recipe: Any, imagenet: Path) -> None:
    task = task_of(make_recipe(datasets={"imagenet": 1}, model_args={"classes": 3}), imagenet, 6)
    assert [picture.label for picture in task.pictures] == [0, 0, 1, 1, 2, 2]


def test_batches_are_what_the_network_wants(make_recipe: Any, cifar: Path) -> None:
    task = task_of(make_recipe(augment=PLAIN.model_dump()), cifar, min_area=1)
    samples = [task.samples[Key(1, 0, i, i, 32)] for i in (0, 1, 2, 3)]
    images, labels = task.collate(samples)
    assert labels.tolist() == [3, 17, 50, 99]
    assert labels.dtype == torch.int64
    rgb = task.pictures[1].pixels()[..., ::-1].transpose(2, 0, 1).astype(np.float32)
    assert np.allclose(images[1].numpy(), (rgb - 127.5) / 127.5, atol=1e-6)
    assert task.samples[Key(1, 0, 0, 0, 44)].image.shape == (44, 44, 3)


def test_samples_are_a_matter_of_the_key(make_recipe: Any, cifar: Path) -> None:
    samples = task_of(make_recipe(), cifar).samples
    key = Key(1, 0, 7, 3, 32)
    assert np.array_equal(samples[key].image, samples[key].image)
    other = samples[Key(1, 1, 7, 3, 32)]
    assert not np.array_equal(samples[key].image, other.image)
    assert samples[key].label == other.label == 99


def test_loss_by_hand(make_recipe: Any, cifar: Path) -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [torch.zeros(1, 100).index_fill_(1, torch.tensor([7]), 2.0).bfloat16()]

    logs = np.log(99 + np.exp(2)), np.log(99 + np.exp(2)) - 2  # of all the others, of class 7
    batch = (torch.zeros(1, 3, 32, 32), torch.tensor([7]))
    sharp = task_of(make_recipe(), cifar, label_smoothing=0).loss(Fixed(), batch, 1.0)
    assert sharp.dtype == torch.float32
    assert float(sharp) == pytest.approx(logs[1], abs=1e-5)
    smooth = task_of(make_recipe(), cifar).loss(Fixed(), batch, 1.0)
    expected = 0.9 * logs[1] + 0.1 * (99 * logs[0] + logs[1]) / 100
    assert float(smooth) == pytest.approx(expected, abs=1e-5)


def test_a_real_network_takes_a_step(make_recipe: Any, cifar: Path) -> None:
    torch.manual_seed(1)
    recipe = make_recipe(model="efficientnet_bm4", model_args={"classes": 100})
    task, model = task_of(recipe, cifar), get_model("efficientnet_bm4").build(classes=100)
    batch = task.collate([task.samples[Key(1, 0, i, i, 45)] for i in range(2)])
    loss = task.loss(model.train(), batch, 1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert np.isfinite(float(loss.detach()))
    assert all(p.grad is not None for p in model.parameters())


def test_boxes_lie_in_the_picture() -> None:
    rng = np.random.default_rng(1)
    boxes = [random_box((60, 40), 0.25, rng) for _ in range(300)]
    areas = np.array([w * h for _, _, w, h in boxes]) / 2400
    assert all(x >= 0 and y >= 0 and x + w <= 60 and y + h <= 40 for x, y, w, h in boxes)
    assert areas.min() > 0.23
    assert areas.min() < 0.35 < 0.7 < areas.max()
    assert all(0.7 < w / h < 1.43 for _, _, w, h in boxes)
    assert {x for x, *_ in boxes} >= set(range(20))


def test_without_crops_the_middle_is_left() -> None:
    assert random_box((320, 32), 1.0, np.random.default_rng(1)) == (144, 0, 32, 32)
    assert center_box((50, 40), 0.875) == (7, 2, 35, 35)
    assert center_box((1, 1), 0.2) == (0, 0, 1, 1)


def test_cut_averages_where_it_shrinks() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[::2] = 200
    small = cut(image, (0, 0, 8, 8), 4)
    assert (small == 100).all()
    assert np.array_equal(cut(image, (2, 1, 4, 4), 4), image[1:5, 2:6])
    assert cut(image[:1, :1], (0, 0, 1, 1), 3).tolist() == [[[200] * 3] * 3] * 3  # no black border


def test_wrong_recipes_are_one_line(make_recipe: Any, cifar: Path) -> None:
    with pytest.raises(UsageError, match=r"model_args: classes = 10, but .*cifar100 has 100"):
        task_of(make_recipe(model_args={"classes": 10}), cifar)
    with pytest.raises(UsageError, match="found cifar100, imagenet, expected one"):
        task_of(make_recipe(datasets={"cifar100": 1, "imagenet": 1}), cifar)
    with pytest.raises(DatasetError, match="not found"):
        task_of(make_recipe(datasets={"imagenet": 1}), cifar)
