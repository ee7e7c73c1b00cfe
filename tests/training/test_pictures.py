"""Pictures: that they are there, have the right size, and differ where what they show differs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_pose.errors import UsageError
from edge_pose.skeleton import MPII16
from edge_pose.types import Image
from training.checkpoint import CheckpointInfo, save_checkpoint
from training.datasets import Person, load_dataset
from training.evaluate import NetworkPredictor
from training.pictures.errors import error_picture, group_errors, share_within
from training.pictures.heatmaps import heatmap_sheet, probability
from training.pictures.people import draw_prediction, draw_truth
from training.pictures.predictions import Predictions, person_errors, predict_stages
from training.pictures.sheets import TILE_PX, prediction_sheet, prediction_tile, sheet, truth_sheet
from training.pictures.stages import stage_sheet
from training.pictures.style import PictureError
from training.pictures.tradeoff import tradeoff_picture
from training.pictures.write import draw, write_pictures
from training.registry import MODELS, register_model


class TwoStages(nn.Module):
    """Two stages whose heatmaps differ."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Conv2d(3, 16, 7, 4, 3)
        self.second = nn.Conv2d(16, 16, 5, padding=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        first = self.first(x)
        return [first, self.second(torch.relu(first))]


@pytest.fixture(scope="module")
def persons(tmp_path_factory: pytest.TempPathFactory) -> list[Person]:
    from training.datasets.generated import write_generated

    root = tmp_path_factory.mktemp("people")
    write_generated(root, 2, 6, size=(160, 160))
    return [person for person in load_dataset("mpii", root) if person.held_out]


@pytest.fixture
def predictor() -> Any:
    def two_stages_for_picture_tests() -> nn.Module:
        """Two stages."""
        return TwoStages()

    register_model(input_size=(64, 64))(two_stages_for_picture_tests)
    info = CheckpointInfo("two_stages_for_picture_tests", "logits", (64, 64))
    yield NetworkPredictor(TwoStages(), info, torch.device("cpu"))
    del MODELS["two_stages_for_picture_tests"]


def perfect(persons: list[Person], *offsets: float) -> Predictions:
    """Return predictions that are off by `offsets` units to the right, one stage each."""
    truth = np.stack([p.keypoints for p in persons])
    unit = np.array([p.unit_px for p in persons], np.float32)
    present = np.stack([p.present for p in persons])
    move = np.array([1, 0], np.float32) * unit[:, None, None]
    stages = np.stack([truth + offset * move for offset in offsets]).astype(np.float32)
    errors = np.stack([np.where(present, offset, np.nan) for offset in offsets])
    from training.evaluate import measure_predictions

    results = tuple(measure_predictions(persons, stage) for stage in stages)
    scores = np.ones((len(persons), 16), np.float32)
    return Predictions(tuple(persons), stages, errors.astype(np.float32), scores, results)


def read(path: Path) -> Image:
    image = cv2.imread(str(path))
    assert image is not None
    return np.asarray(image, np.uint8)


def colours(image: Image) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in image.reshape(-1, 3).tolist()}


def test_skeletons_lie_where_the_joints_are() -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    points = np.full((16, 2), 50, np.float32)
    present = np.zeros(16, bool)
    wrist, elbow = MPII16.index("left_wrist"), MPII16.index("left_elbow")
    points[wrist], points[elbow] = (10, 10), (40, 10)
    present[[wrist, elbow]] = True
    draw_prediction(image, points, present, np.zeros(16, bool), MPII16)
    assert image[10, 25].tolist() == [0, 159, 230]  # orange: the person's left
    assert image[10, 10].tolist() == [0, 159, 230]
    assert not image[30:].any()  # joints that are not present are not drawn
    wrong = np.zeros_like(image)
    draw_prediction(wrong, points, present, np.arange(16) == wrist, MPII16)
    assert (image[4:17, 4:17] != wrong[4:17, 4:17]).any()  # a cross
    assert (image[4:17, 34:47] == wrong[4:17, 34:47]).all()
    draw_truth(image, points, present, MPII16)
    assert image[10, 25].min() > 200  # white


def test_the_trunk_is_drawn_without_its_middle() -> None:
    points = np.zeros((16, 2), np.float32)
    present = np.zeros(16, bool)
    for name, at in (("left_hip", (50, 30)), ("right_hip", (10, 30)), ("upper_neck", (30, 3))):
        points[MPII16.index(name)], present[MPII16.index(name)] = at, True
    image = np.zeros((60, 60, 3), np.uint8)
    draw_truth(image, points, present, MPII16)
    assert image[30, 20].min() > 200  # white from hip to hip
    assert not image[10:25].any()  # nothing says where the thorax is


def test_a_sheet_has_a_place_for_every_tile(tmp_path: Path) -> None:
    tiles = [np.full((40, 30, 3), 10 * i, np.uint8) for i in range(1, 9)]
    image = read(sheet(tiles, ["x"] * 8, tmp_path / "a" / "sheet.png", title="t", columns=3))
    for i in range(1, 9):
        assert ((image == 10 * i).all(axis=2)).sum() >= 40 * 30 * 0.9
    with pytest.raises(PictureError, match="nobody to draw"):
        sheet([], [], tmp_path / "none.png", title="t")


def test_the_truth_is_drawn_over_the_people(persons: list[Person], tmp_path: Path) -> None:
    image = read(truth_sheet(persons[:3], tmp_path / "truth.png", title="three"))
    assert image.shape[0] > TILE_PX
    assert image.shape[1] > 3 * TILE_PX
    bare = dataclasses.replace(persons[0], present=np.zeros(16, bool))
    nothing = read(truth_sheet([bare, *persons[1:3]], tmp_path / "bare.png", title="three"))
    changed = (image != nothing).any(axis=2)
    left, right = changed[:, : TILE_PX + 70], changed[:, TILE_PX + 120 :]
    assert left.sum() > 200
    assert not right.any()


def test_wrong_joints_are_marked_and_right_ones_are_not(persons: list[Person]) -> None:
    predictions = perfect(persons, 0.0, 0.6)
    red = (60, 60, 255)
    tiles = [prediction_tile(predictions, 0, stage, 0.5, TILE_PX) for stage in (0, 1)]
    assert red not in colours(tiles[0])
    assert red in colours(tiles[1])


def test_prediction_sheet_follows_the_order(persons: list[Person], tmp_path: Path) -> None:
    predictions = perfect(persons, 0.2)
    files = [
        prediction_sheet(predictions, order, 0.5, tmp_path / f"{i}.png", title="x")
        for i, order in enumerate(([0, 1], [1, 0]))
    ]
    a, b = (read(file) for file in files)
    assert a.shape == b.shape
    assert (a != b).any(axis=2).mean() > 0.1


def test_one_far_joint_does_not_decide_the_order() -> None:
    errors = np.full((2, 16), 0.1, np.float32)
    errors[0, 0] = 100.0
    errors[1] = 0.4
    errors[1, 5] = np.nan
    assert person_errors(errors).tolist() == pytest.approx([2.5 / 16, 0.4])
    assert person_errors(np.full((1, 16), np.nan, np.float32)).tolist() == [0.0]


def test_stages_side_by_side(persons: list[Person], tmp_path: Path) -> None:
    predictions = perfect(persons, 0.9, 0.1)
    image = read(stage_sheet(predictions, [2], 0.5, tmp_path / "s.png", metric="PCKh@0.5"))
    assert image.shape[0] < 2 * TILE_PX
    assert image.shape[1] >= 2 * TILE_PX
    assert [r.mean14 for r in predictions.results] == [0.0, 100.0]
    with pytest.raises(PictureError, match="found 1 stages, 1 people"):
        stage_sheet(perfect(persons, 0.1), [0], 0.5, tmp_path / "t.png", metric="PCKh@0.5")


def test_every_stage_is_predicted_and_measured(persons: list[Person], predictor: Any) -> None:
    from training.evaluate import measure, predict

    predictions = predict_stages(predictor, persons)
    assert predictions.stages.shape == (2, 6, 16, 2)
    final = np.stack([points for _, points, _ in predict(predictor, persons, flip_test=False)])
    assert np.allclose(predictions.stages[-1], final, atol=1e-3)
    assert predictions.results[-1] == measure(predictor, persons, flip_test=False)
    assert predictions.results[0] != predictions.results[-1]
    present = np.stack([p.present for p in persons])
    assert (np.isfinite(predictions.errors[0]) == present).all()
    distance = np.linalg.norm(final[0, 3] - persons[0].keypoints[3]) / persons[0].unit_px
    assert predictions.errors[-1, 0, 3] == pytest.approx(float(distance), rel=1e-3)


def test_heatmaps_glow_where_the_peak_is(tmp_path: Path) -> None:
    crop = np.full((64, 64, 3), 120, np.uint8)
    maps = np.full((2, 16, 16), -9.0, np.float32)
    maps[0, 3, 4] = 9
    maps[1, 12, 12] = 9
    swapped = maps[::-1].copy()
    one = read(heatmap_sheet(crop, maps, ["left_knee", "b"], tmp_path / "1.png"))
    two = read(heatmap_sheet(crop, swapped, ["left_knee", "b"], tmp_path / "2.png"))
    assert one.shape == two.shape
    assert 0.005 < (one != two).any(axis=2).mean() < 0.3
    with pytest.raises(PictureError, match="found 1 names for 2 heatmaps"):
        heatmap_sheet(crop, maps, ["a"], tmp_path / "3.png")


def test_heatmaps_as_probabilities() -> None:
    logits = np.array([[0.0, np.log(3.0)]], np.float32) + 100
    assert probability(logits, "logits").ravel().tolist() == pytest.approx([0.25, 0.75], rel=1e-4)
    assert probability(np.array([[-1.0, 0.5]], np.float32), "gaussian").tolist() == [[0.0, 0.5]]


def test_error_shares(tmp_path: Path) -> None:
    errors = np.full((4, 16), np.nan, np.float32)
    errors[:, MPII16.index("left_knee")] = 0.1, 0.5, 0.50001, 3.0
    known = group_errors(errors, ("left_knee", "right_knee"))
    assert share_within(known, np.array([0.0, 0.5, 1.0, 9.0])).tolist() == [0, 50, 75, 100]
    low = read(error_picture(errors, 0.5, tmp_path / "a.png", metric="PCKh@0.5"))
    high = read(error_picture(errors / 10, 0.5, tmp_path / "b.png", metric="PCKh@0.5"))
    assert low.shape == high.shape
    assert (low != high).any(axis=2).mean() > 0.005
    with pytest.raises(PictureError, match="no joint is both annotated and predicted"):
        error_picture(errors * np.nan, 0.5, tmp_path / "c.png", metric="PCKh@0.5")


ROWS = [
    {"name": "small", "accuracy": 60.0, "params": 1e6, "madds": 1e9},
    {"name": "large", "accuracy": 70.0, "params": 16e6, "madds": 9e9, "group": "b"},
    {"name": "untrained", "accuracy": float("nan"), "params": 1e6, "madds": 2e9},
    {"name": "unmeasured", "accuracy": 50.0, "params": 1e6, "madds": None},
]


def kept(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]], folder: Path) -> Any:
    """Return the figure of a trade-off, in place of its file."""
    figures: list[Any] = []

    def keep(figure: Any, out: Path) -> Path:
        figures.append(figure)
        return out

    monkeypatch.setattr("training.pictures.tradeoff.save", keep)
    tradeoff_picture(rows, folder / "t.png")
    return figures[0]


def test_tradeoff_shows_complete_rows_with_area_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = kept(monkeypatch, ROWS, tmp_path).axes[0]
    sizes = sorted(float(bubble.get_sizes()[0]) for bubble in axes.collections)
    assert sizes[1] / sizes[0] == pytest.approx(16)
    assert {text.get_text() for text in axes.texts} == {"small", "large"}


def test_names_in_the_tradeoff_do_not_overlap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.text import Text

    rows = [
        {"name": f"network_number_{i}", "accuracy": 60 + 0.2 * i, "params": 1e6 * (i + 1),
         "madds": 5e9 + 1e8 * i}
        for i in range(8)
    ] + [ROWS[0]]  # fmt: skip
    figure = kept(monkeypatch, rows, tmp_path)
    figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]
    assert len(boxes) == 9
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_a_tradeoff_of_nothing_is_one_line(tmp_path: Path) -> None:
    assert tradeoff_picture(ROWS[:1], tmp_path / "one.png").stat().st_size > 5000
    with pytest.raises(PictureError, match="no row with accuracy, params and latency_ms"):
        tradeoff_picture(ROWS, tmp_path / "t.png", cost="latency_ms")


def test_all_pictures_of_a_checkpoint(
    persons: list[Person], predictor: NetworkPredictor, tmp_path: Path
) -> None:
    data = persons[0].image.parent.parent.parent
    info = CheckpointInfo("two_stages_for_picture_tests", "logits", (64, 64))
    file = tmp_path / "weights.safetensors"
    save_checkpoint(file, predictor.model.state_dict(), info)
    files = write_pictures(file, data, "mpii", tmp_path / "out", count=3)
    assert [path.name for path in files] == [
        "worst.png", "best.png", "random.png", "errors.png", "heatmaps.png", "stages.png",
    ]  # fmt: skip
    pictures = [read(path) for path in files]
    assert all(min(picture.shape[:2]) > 200 for picture in pictures)
    worst, best = pictures[:2]
    assert worst.shape == best.shape
    assert (worst != best).any(axis=2).mean() > 0.1


def test_one_stage_has_no_picture_of_stages(
    persons: list[Person], predictor: NetworkPredictor, tmp_path: Path
) -> None:
    predictions = perfect(persons, 0.1)
    files = draw(predictor, predictions, "mpii", tmp_path, 2, np.random.default_rng(1))
    assert "stages.png" not in {path.name for path in files}
    assert all(path.is_file() for path in files)


def test_only_networks_of_one_person_are_drawn(tmp_path: Path) -> None:
    def finds_boxes_for_picture_tests() -> nn.Module:
        """Boxes."""
        return TwoStages()

    register_model(task="detector", input_size=(64, 64))(finds_boxes_for_picture_tests)
    try:
        info = CheckpointInfo("finds_boxes_for_picture_tests", "logits", (64, 64))
        save_checkpoint(tmp_path / "d.safetensors", TwoStages().state_dict(), info)
        with pytest.raises(UsageError, match="found a detector network"):
            write_pictures(tmp_path / "d.safetensors", tmp_path, "mpii", tmp_path)
    finally:
        del MODELS["finds_boxes_for_picture_tests"]
