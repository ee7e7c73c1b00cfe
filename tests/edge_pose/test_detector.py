"""Person detectors, and top-down models behind one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import edge_pose
from edge_pose.cli import cli
from edge_pose.config import RunConfig, TrackingConfig
from edge_pose.detector import PersonDetector
from edge_pose.errors import ArtifactError, BackendError, UsageError
from edge_pose.estimator import DETECTED_PADDING, Estimator, Stopwatch
from edge_pose.loaded_model import load_model
from edge_pose.preprocess import Region
from edge_pose.profile import DeviceProfile, load_profile
from edge_pose.tracking_people import PeopleTracker
from edge_pose.types import Image, Pose

TFLITE = Path(__file__).parents[1] / "fixtures" / "tflite" / "blobs_float32.tflite"
SIZE = (160, 120)
LEFT, RIGHT = (40.0, 60.0), (115.0, 60.0)
SPAN = 36.0
BOX_PX = 24 * 160 / 64  # the tiny detector's boxes, px of the picture


@pytest.fixture(scope="module")
def detector(detector_artifact: Path) -> Iterator[PersonDetector]:
    with edge_pose.load_detector(detector_artifact) as loaded:
        yield loaded


@pytest.fixture
def estimator(tiny_artifact: Path, detector_artifact: Path) -> Iterator[Estimator]:
    opened = edge_pose.load_detector(detector_artifact)
    with edge_pose.load(tiny_artifact, detector=opened, min_score=0.7) as loaded:
        yield loaded


def green(center: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Where the tiny detector sees the middle of a person."""
    return np.array([center[0] + SPAN / 2, center[1]])


def both(scene: Any) -> Image:
    image: Image = scene(SIZE).person(LEFT, SPAN).person(RIGHT, SPAN).image
    return image


def test_boxes_in_px_of_the_picture(detector: PersonDetector, scene: Any) -> None:
    networks: list[str] = []
    watch = Stopwatch(lambda: networks.append("about to run"))
    boxes, scores = detector(both(scene), watch)
    assert len(networks) == 1
    assert (boxes.shape, boxes.dtype, scores.shape) == ((2, 4), np.float32, (2,))
    assert set(watch.stage_s) == {"detect"}
    assert (np.diff(scores) <= 0).all()
    assert ((scores >= 0.3) & (scores <= 1)).all()
    left, right = boxes[boxes[:, 0].argsort()]
    for box, center in ((left, LEFT), (right, RIGHT)):
        middle = (box[:2] + box[2:]) / 2
        assert np.abs(middle - green(center)).max() < 4 * 160 / 64  # a heatmap px
    assert left[2] - left[0] == pytest.approx(BOX_PX, abs=0.1)
    assert right[2] == 159.5  # clipped
    assert detector.input_size == (64, 64)


def test_nobody_and_no_picture(detector: PersonDetector, scene: Any) -> None:
    boxes, scores = detector(scene(SIZE).image)
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))
    with pytest.raises(UsageError, match="expected"):
        detector(np.zeros((4, 4), np.uint8))


def test_as_many_as_wanted(detector_artifact: Path, scene: Any) -> None:
    with edge_pose.load_detector(detector_artifact) as detector:
        detector.max_people = 1
        assert len(detector(both(scene))[0]) == 1
        detector.min_score = 1.0
        assert len(detector(both(scene))[0]) == 0


def test_it_sees_what_training_measures(
    detector: PersonDetector, detector_artifact: Path, scene: Any, need: Any
) -> None:
    need("torch")
    from training.detection.detectors import CenterDetector
    from training.predictors import open_predictor

    network, _ = open_predictor(str(detector_artifact))
    boxes, scores = CenterDetector(network, threshold=0.3)(both(scene))
    own, own_scores = detector(both(scene))
    assert (boxes == own).all()
    assert (scores == own_scores).all()


def test_an_estimator_looks_where_the_detector_says(estimator: Estimator, scene: Any) -> None:
    looked: list[Region] = []
    estimate = estimator.estimate

    def noting(image: Image, region: Region, stopwatch: Stopwatch | None = None) -> Pose:
        looked.append(region)
        return estimate(image, region, stopwatch)

    estimator.estimate = noting  # type: ignore[method-assign]
    watch = Stopwatch()
    poses = estimator.search(both(scene), watch)
    assert len(looked) == 2
    assert max(r.size[0] for r in looked) == pytest.approx(BOX_PX * DETECTED_PADDING, abs=0.2)
    assert set(watch.stage_s) == {"detect", "preprocess", "infer", "decode"}
    assert len(poses) == 2
    left, right = sorted(poses, key=lambda pose: float(pose.bbox_xyxy[0]))
    assert np.abs(left.keypoints - scene.keypoints(LEFT, SPAN)).max() < 2.5
    assert np.abs(right.keypoints - scene.keypoints(RIGHT, SPAN)).max() < 2.5
    assert estimator(scene(SIZE).image) == []


CONFIG = TrackingConfig(acquire_score=0.7, min_score=0.6, patience=2, detect_every=5)


def test_two_people_are_followed_each_in_a_crop(estimator: Estimator, scene: Any) -> None:
    tracker = PeopleTracker(estimator, CONFIG, 2)
    first: dict[int | None, bool] = {}
    for step in range(12):
        centers = (40.0, 60.0 + step), (115.0, 70.0 - step)
        image = scene(SIZE).person(centers[0], SPAN).person(centers[1], SPAN).image
        watch = Stopwatch()
        poses = {pose.id: pose for pose in tracker(image, watch)}
        assert set(poses) == {1, 2}
        sides = {i: float(pose.bbox_xyxy[0]) < 80 for i, pose in poses.items()}
        first = first or sides
        assert sides == first
        for i, pose in poses.items():
            truth = scene.keypoints(centers[0 if first[i] else 1], SPAN)
            assert np.abs(pose.keypoints - truth).max() < 3.0
        # Both are followed, so the detector has nothing to look for.
        assert ("detect" in watch.stage_s) == (step == 0)


def test_somebody_new_is_seen_when_the_detector_looks(estimator: Estimator, scene: Any) -> None:
    tracker = PeopleTracker(estimator, CONFIG, 10)
    alone = scene(SIZE).person(LEFT, SPAN).image
    assert [pose.id for pose in tracker(alone, Stopwatch())] == [1]
    counts, looks = [], []
    for _ in range(6):
        watch = Stopwatch()
        counts.append(len(tracker(both(scene), watch)))
        looks.append("detect" in watch.stage_s)
    assert looks == [False] * 4 + [True, False]
    assert counts == [1] * 4 + [2, 2]


def test_ids_survive_a_short_absence_only(estimator: Estimator, scene: Any) -> None:
    tracker = PeopleTracker(estimator, CONFIG, 2)
    empty, alone = scene(SIZE).image, scene(SIZE).person(LEFT, SPAN).image
    assert [pose.id for pose in tracker(both(scene), Stopwatch())] != []
    (left,) = [p.id for p in tracker(both(scene), Stopwatch()) if p.bbox_xyxy[0] < 80]
    for _ in range(CONFIG.patience):
        assert [pose.id for pose in tracker(alone, Stopwatch())] == [left]
    assert {pose.id for pose in tracker(both(scene), Stopwatch())} == {1, 2}
    for _ in range(CONFIG.patience + 1):
        assert tracker(empty, Stopwatch()) == []
    assert {pose.id for pose in tracker(both(scene), Stopwatch())} == {3, 4}
    tracker.reset()
    assert {pose.id for pose in tracker(both(scene), Stopwatch())} == {5, 6}


def test_two_crops_of_one_person_become_one(estimator: Estimator, scene: Any) -> None:
    tracker = PeopleTracker(estimator, CONFIG, 5)
    tracker(both(scene), Stopwatch())
    there = Region(LEFT, (60.0, 60.0))
    for person in tracker._people:  # both crops happen upon the same person
        person.region = there
    poses = tracker(scene(SIZE).person(LEFT, SPAN).image, Stopwatch())
    assert [pose.id for pose in poses] == [1]


def test_at_most_so_many(estimator: Estimator, scene: Any) -> None:
    tracker = PeopleTracker(estimator, CONFIG, 1)
    for _ in range(8):
        assert [pose.id for pose in tracker(both(scene), Stopwatch())] == [1]


def test_several_people_without_a_detector(tiny_artifact: Path, scene: Any) -> None:
    config = CONFIG.model_copy(update={"acquire_score": 0.9, "search_crops": 32, "detect_every": 1})
    with edge_pose.load(tiny_artifact) as estimator:
        tracker = PeopleTracker(estimator, config, 2)
        image = scene((320, 240)).person((80, 110), 48).person((240, 120), 48).image
        for _ in range(4):
            found = tracker(image, Stopwatch())
        assert {pose.id for pose in found} == {1, 2}
        with pytest.raises(UsageError, match="has no detector"):
            next(estimator.detect(image))


def run_cli(*args: object) -> Any:
    return CliRunner().invoke(cli, ["run", *map(str, args)], catch_exceptions=True)


def test_a_run_with_a_detector(
    tiny_artifact: Path, detector_artifact: Path, scene: Any, make_video: Any, tmp_path: Path
) -> None:
    clip = make_video([both(scene)] * 8)
    out = tmp_path / "out.jsonl"
    found = run_cli(
        clip, "--model", tiny_artifact, "--detector", detector_artifact, "--jsonl", out, "--json",
        "--set", "tracking.acquire_score=0.7", "--set", "tracking.min_score=0.6",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    people = [len(json.loads(line)["poses"]) for line in out.read_text().splitlines()]
    assert people[-1] == 2
    alone = run_cli(clip, "--model", tiny_artifact, "--jsonl", out, "--json")
    assert alone.exit_code == 0
    messages = [json.loads(line) for line in out.read_text().splitlines()]
    assert {len(message["poses"]) for message in messages} <= {0, 1}


def test_a_detector_has_to_be_signed_too(
    detector_artifact: Path, need: Any, tmp_path: Path
) -> None:
    need("cryptography")
    from edge_pose.signing_keys import make_keys

    public, _ = make_keys(tmp_path / "maker.pem", None)
    with pytest.raises(ArtifactError, match="sign"):
        edge_pose.load_detector(detector_artifact, trusted_keys=[public])


def board(backend: str, device: str = "CPU") -> DeviceProfile:
    generic = load_profile("generic_x86_64")
    runtime = generic.runtime.model_copy(update={"backend": backend, "device": device})
    return generic.model_copy(update={"name": "board", "runtime": runtime})


@pytest.mark.parametrize(
    ("wishes", "profile", "expected"),
    [
        # What is asked for is the model's; the detector's format is another.
        ({"backend": "tflite"}, ("onnxruntime",), ("tflite", "onnxruntime")),
        ({"backend": "tflite"}, ("openvino",), ("tflite", "openvino")),
        ({"backend": "tflite", "strict": True}, ("openvino",), ("tflite", "openvino")),
        # A device is one of the model's runtime, which the other does not know.
        ({"inference_device": "EDGETPU"}, ("tflite",), ("tflite", "onnxruntime")),
        ({}, ("openvino", "NPU"), ("tflite", "openvino")),
    ],
)
def test_a_detector_of_another_format_gets_its_own_runtime(
    artifact_copy: Any,
    detector_artifact: Path,
    need: Any,
    wishes: dict[str, Any],
    profile: tuple[str, ...],
    expected: tuple[str, str],
) -> None:
    for module in ("openvino", "ai_edge_litert"):
        need(module)
    artifact_copy.set("file.format", "tflite").set("file.backend", "tflite")
    artifact_copy.set("input.layout", "nhwc").set("outputs.0.layout", "nhwk")
    artifact_copy.replace_model(TFLITE.read_bytes())
    paths = {"model": str(artifact_copy.folder), "detector": str(detector_artifact)}
    config = RunConfig.model_validate({**paths, "compile_cache": "off", **wishes})
    with load_model(config, board(*profile)).estimator as estimator:
        assert estimator.detector is not None
        assert (estimator.backend.name, estimator.detector.backend.name) == expected
        assert estimator.detector.backend.device == "CPU"


def test_a_detector_of_the_same_format_gets_the_same(
    tiny_artifact: Path, detector_artifact: Path, need: Any
) -> None:
    need("openvino")
    paths = {"model": str(tiny_artifact), "detector": str(detector_artifact)}
    wishes = {"backend": "openvino", "inference_device": "HETERO:CPU", "compile_cache": "off"}
    config = RunConfig.model_validate({**paths, **wishes})
    with load_model(config, board("onnxruntime")).estimator as estimator:
        assert estimator.detector is not None
        assert estimator.detector.backend.name == "openvino"
    refused = config.model_copy(update={"inference_device": "NPU", "strict": True})
    with pytest.raises(BackendError, match="NPU cannot be used"):
        load_model(refused, board("onnxruntime"))


def test_an_artifact_in_the_wrong_place(
    tiny_artifact: Path, detector_artifact: Path, crowd_artifact: Path
) -> None:
    wrong = {
        (detector_artifact,): "model boxes_fp32: is a person detector, it finds boxes and no"
        " keypoints: give it as --detector beside a top-down model",
        (tiny_artifact, "--detector", tiny_artifact): "detector blobs_fp32: is a top_down model,"
        " which finds keypoints: give it as --model",
        (crowd_artifact, "--detector", detector_artifact): "model crowd_fp32: finds everybody by"
        " itself, leave the detector out",
    }
    for args, message in wrong.items():
        result = run_cli("synthetic", "--max-frames", 1, "--model", *args)
        assert isinstance(result.exception, UsageError)
        assert str(result.exception) == message
    with pytest.raises(UsageError, match="is a person detector"):
        edge_pose.load(detector_artifact)
