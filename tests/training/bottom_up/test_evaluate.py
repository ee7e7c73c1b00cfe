from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_pose.skeleton import MPII16
from training.bottom_up.evaluate import ScenePredictor, evaluate, match_people
from training.checkpoint import CheckpointInfo, pack_persons
from training.datasets import DatasetError
from training.keypoints import mirror
from training.losses.associative import people_heatmaps
from training.predictors import NetworkPredictor
from training.registry import MODELS, register_model

SIDE = 128
MARK = 251  # blue of every dot; red is the person, green the joint


class Oracle(nn.Module):
    """Reads coloured dots off the picture and returns perfect maps.

    A white corner says whether the picture is mirrored, for a network would see it, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))
        self.people = range(4)

    def forward(self, x: Tensor) -> list[Tensor]:
        rgb = (x[0] * 127.5 + 127.5).round().int().numpy()
        keypoints = torch.full((1, 4, 16, 2), -99.0)
        swapped = mirror(MPII16) if (rgb[:, :, -8:] > 253).all(axis=0).sum() > 9 else range(16)
        for person in self.people:
            for joint in range(16):
                dot = (rgb[0] == 10 + 50 * person) & (rgb[1] == 10 + 12 * joint) & (rgb[2] == MARK)
                if dot.any():
                    center = np.argwhere(dot).mean(axis=0)[::-1].copy()
                    keypoints[0, person, swapped[joint]] = torch.from_numpy(center)
        keypoints += self.shift.detach()
        shown = torch.ones(1, 4, 16, dtype=torch.bool)
        side = x.shape[3]
        coarse, fine = (
            people_heatmaps(keypoints, shown, stride, (side // stride, side // stride), 2.0)
            for stride in (4, 2)
        )
        each = [
            people_heatmaps(keypoints[:, [p]], shown[:, [p]], 4, (side // 4, side // 4), 5.0)
            for p in range(4)
        ]
        tags = 4.0 * torch.stack(each).argmax(dim=0)
        return [torch.cat([coarse, tags], dim=1), fine]


@pytest.fixture
def info() -> Iterator[CheckpointInfo]:
    def oracle_of_dots() -> nn.Module:
        """Reads dots."""
        return Oracle()

    register_model(task="bottom_up", input_size=(SIDE, SIDE), heatmap_kind="gaussian")(
        oracle_of_dots
    )
    yield CheckpointInfo(model="oracle_of_dots", heatmap_kind="gaussian", input_size=(SIDE, SIDE))
    del MODELS["oracle_of_dots"]


def draw(file: Path, people: int, known: int) -> list[list[list[float]]]:
    """Draw a picture of 128×104 px; return the joints of the first `known` people."""
    image = np.zeros((104, SIDE, 3), np.uint8)
    image[:8, :4] = 255
    annotated = []
    for person in range(people):
        left, top = 14.0 + 62 * (person % 2), 12.0 + 50 * (person // 2)
        points = [[left + 12 * (i % 4), top + 12 * (i // 4)] for i in range(16)]
        for joint, (x, y) in enumerate(points):
            color = (MARK, 10 + 12 * joint, 10 + 50 * person)
            cv2.rectangle(image, (int(x) - 3, int(y) - 3), (int(x) + 3, int(y) + 3), color, -1)
        annotated.append([[x, y, 1.0] for x, y in points])
    cv2.imwrite(str(file), image)
    return annotated[:known]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """MPII: two validation pictures (three people; two and one who is not annotated)."""
    folder = tmp_path / "mpii"
    (folder / "images").mkdir(parents=True)
    entries: list[dict[str, Any]] = []
    for name, people, known in (("a.png", 3, 3), ("b.png", 3, 2), ("train.png", 1, 1)):
        joints = draw(folder / "images" / name, people, known)
        entries.append(
            {
                "img_paths": name,
                "isValidation": float(name != "train.png"),
                "objpos": [60, 60],
                "scale_provided": 0.5,
                "head_size": 12.0,
                "joint_self": joints[0],
                "joint_others": joints[1:],
            }
        )
    (folder / "mpii_annotations.json").write_text(json.dumps(entries))
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"flip_test": True},
        {"scales": (1.0, 2.0)},
        {"scales": (1.0, 2.0), "flip_test": True},
        {"scales": (0.5, 1.0, 2.0)},
    ],
)
def test_perfect_maps_are_perfect(
    data: Path, info: CheckpointInfo, options: dict[str, Any]
) -> None:
    result = evaluate(NetworkPredictor(Oracle(), info), "mpii", data, **options)
    assert result["ap"] == result["ar"] == 100.0
    assert result["n"] == 5
    assert result["n_pictures"] == 2
    # Somebody whom nobody annotated: not counted, unless strictly.
    assert 50 < result["ap_strict"] < 100
    assert result["found"] == 2
    assert result["pck_all_mean14"] == result["pck_found_mean12"] == 100.0
    assert result["flip_test"] == options.get("flip_test", False)
    json.dumps(result)


def test_people_who_are_missed_count(data: Path, info: CheckpointInfo) -> None:
    model = Oracle()
    model.people = range(1, 4)  # never finds the first person of a picture, who has the unit
    result = evaluate(NetworkPredictor(model, info), "mpii", data)
    assert result["found"] == 0
    assert result["pck_all_mean14"] == 0.0
    assert result["ar"] == 60.0


def test_wrong_places_cost(data: Path, info: CheckpointInfo) -> None:
    model = Oracle()
    nn.init.constant_(model.shift, 3.0)
    result = evaluate(NetworkPredictor(model, info), "mpii", data)
    assert result["ap"] < 60.0
    assert result["pck_all_mean14"] == 100.0  # 4.2 px are within half a head of 12 px


def test_poses_are_in_the_pictures_own_px(data: Path, info: CheckpointInfo) -> None:
    image = cv2.imread(str(data / "mpii" / "images" / "a.png"))
    larger = cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    one = ScenePredictor(NetworkPredictor(Oracle(), info)).predict(image)
    three = ScenePredictor(NetworkPredictor(Oracle(), info)).predict(larger)
    assert one.keypoints.shape == three.keypoints.shape == (3, 16, 2)
    order = one.keypoints[:, 0].sum(axis=1).argsort(), three.keypoints[:, 0].sum(axis=1).argsort()
    expected = (one.keypoints[order[0]] + 0.5) * 3 - 0.5
    assert np.abs(three.keypoints[order[1]] - expected).max() < 2.5
    assert (one.scores > 0.9).all()


def test_an_empty_picture_has_nobody(info: CheckpointInfo) -> None:
    image = np.zeros((60, 90, 3), np.uint8)
    poses = ScenePredictor(NetworkPredictor(Oracle(), info)).predict(image)
    assert poses.keypoints.shape == (0, 16, 2)
    assert poses.scores.shape == (0,)


def test_pictures_that_were_trained_on_are_left_out(lspet: Path, info: CheckpointInfo) -> None:
    everyone = CheckpointInfo(
        info.model, "gaussian", info.input_size, trained_on={"lspet": pack_persons(range(40))}
    )
    with pytest.raises(DatasetError, match="trained on"):
        evaluate(NetworkPredictor(Oracle(), everyone), "lspet", lspet)


@pytest.mark.parametrize("scales", [(0.5, 1.0, 2.0), (2.0, 1.0, 0.5), (1.0,)])
def test_scale_one_gives_tags_and_resolution_wherever_it_stands(
    info: CheckpointInfo, scales: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def decode(heatmaps: Any, tags: Any, **_: Any) -> list[Any]:
        decoded.append((heatmaps.shape[-1], tags.shape[2]))
        return []

    monkeypatch.setattr("edge_pose.whole_picture.decode_poses", decode)
    ScenePredictor(NetworkPredictor(Oracle(), info), scales=scales).predict(
        np.zeros((60, 90, 3), np.uint8)
    )
    assert decoded == [(SIDE // 2, SIDE // 2)]


def test_coco_is_measured_on_val_or_on_what_training_did_not_see(
    info: CheckpointInfo, tmp_path: Path
) -> None:
    folder = tmp_path / "coco"
    (folder / "annotations").mkdir(parents=True)
    for part, first in (("train2017", 1), ("val2017", 5)):
        (folder / part).mkdir()
        images, entries = [], []
        for number in (first, first + 1):
            points = draw(folder / part / f"{number}.png", 1, 1)[0][:12]
            keypoints = [0.0] * 15 + [v for x, y, _ in points for v in (x, y, 2.0)]
            person = {
                "image_id": number,
                "bbox": [5, 5, 60, 60],
                "area": 3000.0,
                "num_keypoints": 12,
            }
            crowd = {"id": 900_000_000_000 + number, "iscrowd": 1, "keypoints": [0] * 51}
            entries += [{**person, "id": number, "keypoints": keypoints}, {**person, **crowd}]
            images.append({"id": number, "file_name": f"{number}.png"})
        file = folder / "annotations" / f"person_keypoints_{part}.json"
        file.write_text(json.dumps({"images": images, "annotations": entries}))
    trained = replace(info, trained_on={"coco": pack_persons([1, 5])})
    assert evaluate(NetworkPredictor(Oracle(), info), "coco", tmp_path)["n_pictures"] == 2
    assert evaluate(NetworkPredictor(Oracle(), trained), "coco", tmp_path)["n_pictures"] == 1
    (folder / "annotations" / "person_keypoints_val2017.json").unlink()
    assert evaluate(NetworkPredictor(Oracle(), trained), "coco", tmp_path)["n_pictures"] == 1
    trained = replace(info, trained_on={"coco": pack_persons([1, 2])})
    with pytest.raises(DatasetError, match="all of its pictures were trained on"):
        evaluate(NetworkPredictor(Oracle(), trained), "coco", tmp_path)


def test_matching_is_greedy_and_one_to_one() -> None:
    similarity = np.array([[0.9, 0.8, 0.0], [0.85, 0.05, 0.0]])
    assert match_people(similarity).tolist() == [0, -1, -1]
    assert match_people(similarity.T).tolist() == [0, -1]
    assert match_people(np.zeros((0, 2))).tolist() == [-1, -1]
