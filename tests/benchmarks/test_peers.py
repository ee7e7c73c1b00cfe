"""The whole benchmark: a peer of MoveNet's signature beside the tiny network of the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.environment import Environment
from benchmarks.peers import NO_JOINTS, PeersPlan, peers_benchmark
from benchmarks.peers_files import PeerFile
from benchmarks.peers_models import MOVENET
from benchmarks.peers_report import PeersReport, verdict
from benchmarks.people import clip_people, read_mpii
from edge_pose.errors import ArtifactError, UsageError
from edge_pose.skeleton import COCO17, MPII16

PEER = Path(__file__).parents[1] / "fixtures" / "tflite" / "keypoints17.tflite"


@pytest.fixture(autouse=True)
def _nothing_is_found_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, need: Callable[[str], ModuleType]
) -> None:
    need("ai_edge_litert")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("EDGE_POSE_DATA", "EDGE_POSE_PEERS"):
        monkeypatch.delenv(name, raising=False)


def entry(center: tuple[float, float], **moved: float) -> dict[str, Any]:
    """Annotate a person of 64 px where the peer finds it at k = 1, with joints moved to the right.

    On a black picture keypoint i of the peer is at shares 0.9 - 0.05 i and 0.1 + 0.05 i of the
    crop; the head is 20 px, so that 10 px is PCKh's limit.
    """
    joints, missing = np.zeros((16, 3)), [1] * 16
    for place, name in enumerate(MPII16.keypoints):
        if name in COCO17.keypoints:
            i = COCO17.index(name)
            share = np.array([0.9 - 0.05 * i, 0.1 + 0.05 * i])
            joints[place, :2] = np.array(center) + 64 * (share - 0.5) + (moved.get(name, 0.0), 0.0)
            missing[place] = 0
    scale = 64 / 200
    return {
        "isValidation": 1.0, "img_paths": "black.png", "scale_provided": scale, "head_size": 20.0,
        "objpos": [center[0], center[1] - 15 * scale], "joint_self": joints.tolist(),
        "joint_missing": missing,
    }  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of two people: of one the right wrist is out of reach, of one the left knee."""
    folder = tmp_path / "data" / "mpii"
    (folder / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "black.png"), np.zeros((120, 160, 3), np.uint8))
    people = [
        entry((80.0, 60.0), right_wrist=10.1),
        entry((70.0, 50.0), right_ankle=9.9, left_knee=10.1),
    ]
    (folder / "mpii_annotations.json").write_text(json.dumps(people), "utf-8")
    return folder.parent


@pytest.fixture
def peer() -> PeerFile:
    return PeerFile("fake MoveNet", PEER, PEER.read_bytes(), MOVENET, (1.0, 1.25))


@pytest.fixture
def plan(tiny_artifact: Path) -> PeersPlan:
    return PeersPlan((str(tiny_artifact),), rounds=2, power_s=0.15, power="estimate")


def test_the_report(data: Path, peer: PeerFile, plan: PeersPlan, environment: Environment) -> None:
    seen: list[int] = []
    report = peers_benchmark(
        plan,
        [peer],
        [read_mpii(data / "mpii")],
        environment,
        ["BlazePose: not here"],
        lambda number, _: seen.append(number),
    )
    assert seen == [1, 2]
    ours, narrow, wide = report.contestants
    assert [one.ours for one in report.contestants] == [True, False, False]
    assert [one.name for one in (narrow, wide)] == ["fake MoveNet k=1", "fake MoveNet k=1.25"]
    assert narrow.input_size == (32, 32)
    # By hand: of two people each one, right wrist and left knee are 50 %, ten joints 100 %.
    assert narrow.scores[0].percent == pytest.approx(1100 / 12)
    assert narrow.scores[0].n_persons == 2
    assert narrow.scores[0].per_group == {
        "shoulder": 100.0, "elbow": 100.0, "wrist": 75.0, "hip": 100.0, "knee": 75.0,
        "ankle": 100.0,
    }  # fmt: skip
    # A black picture tells the tiny network nothing.
    assert ours.scores[0].percent < 50.0
    for one in report.contestants:
        assert 0 < one.network.p50_ms.min <= one.whole.p50_ms.min
        assert one.network.p50_ms.median <= one.network.p95_ms.median
        assert one.efficiency is not None
    assert report.power_source == "estimated"
    assert "BlazePose: not here" in report.notes
    assert any("estimated" in note for note in report.notes)
    assert PeersReport.model_validate_json(report.model_dump_json(by_alias=True)) == report


def test_each_round_has_its_own_efficiency(
    data: Path, peer: PeerFile, plan: PeersPlan, environment: Environment
) -> None:
    one_round = PeersPlan(plan.artifacts, rounds=1, power_s=0.15, power="estimate")
    report = peers_benchmark(one_round, [peer], [read_mpii(data / "mpii")], environment)
    for one in report.contestants:
        known = one.efficiency
        assert known is not None
        assert known.accuracy_fps_per_watt is not None
        ae = one.scores[0].percent * known.fps.median / known.mean_w.median
        assert known.accuracy_fps_per_watt.median == pytest.approx(ae)
        joules = known.mean_w.median / known.fps.median
        assert known.joules_per_frame.median == pytest.approx(joules)
    ours, narrow, _ = report.contestants
    compared = report.comparisons[0]
    assert (compared.ours, compared.peer) == (ours.name, narrow.name)
    ratio = narrow.whole.p50_ms.median / ours.whole.p50_ms.median
    assert compared.whole.median == pytest.approx(ratio)
    ratio = narrow.network.p50_ms.median / ours.network.p50_ms.median
    assert compared.network.median == pytest.approx(ratio)
    assert compared.efficiency is not None
    assert ours.efficiency is not None
    assert narrow.efficiency is not None
    ae_of_us, ae_of_peer = (
        one.efficiency.accuracy_fps_per_watt.median  # type: ignore[union-attr]
        for one in (ours, narrow)
    )
    assert compared.efficiency.median == pytest.approx(ae_of_us / ae_of_peer)


def test_where_we_lose_is_said(
    data: Path, peer: PeerFile, plan: PeersPlan, environment: Environment
) -> None:
    report = peers_benchmark(plan, [peer], [read_mpii(data / "mpii")], environment)
    lost = report.comparisons[0]
    (accuracy,) = lost.accuracy
    assert accuracy.points < -40.0
    assert lost.losses[0].startswith("PCKh@0.5 mpii LOST: ")
    assert "against 91.7" in lost.losses[0]
    # What is not behind is not said to be; what is, is.
    for title, ratio in (("network alone", lost.network), ("with pre/post", lost.whole)):
        assert any(line.startswith(title) for line in lost.losses) == (ratio.median < 1)


def test_noise_is_told_from_a_loss() -> None:
    assert verdict(1.0, 1.0, 1.0) == ""
    assert verdict(0.9, 0.99, 1.0) == "LOST"
    assert verdict(0.9, 1.0, 1.0) == "lost, within noise"
    assert verdict(-0.1, -0.05, 0.0) == "LOST"


def test_without_joints_latency_only(
    make_clip: Callable[..., Path], peer: PeerFile, plan: PeersPlan, environment: Environment
) -> None:
    report = peers_benchmark(plan, [peer], [clip_people(make_clip(4))], environment)
    assert NO_JOINTS in report.notes
    for one in report.contestants:
        assert one.scores == ()
        assert one.whole.p50_ms.median > 0
        assert one.efficiency is not None
        assert one.efficiency.accuracy_fps_per_watt is None
    for compared in report.comparisons:
        assert compared.accuracy == ()
        assert compared.efficiency is None


def test_more_people_are_measured_on_and_not_timed(
    data: Path, peer: PeerFile, plan: PeersPlan, environment: Environment
) -> None:
    people = read_mpii(data / "mpii")
    others = replace(people, persons=people.persons[:1], dataset="others")
    report = peers_benchmark(plan, [peer], [people, others], environment)
    narrow = report.contestants[1]
    assert [(one.dataset, one.n_persons) for one in narrow.scores] == [("mpii", 2), ("others", 1)]
    assert narrow.scores[1].percent == pytest.approx(1100 / 12)  # the right wrist is out of reach
    assert report.n_persons == 2
    lost = report.comparisons[0]
    assert [found.dataset for found in lost.accuracy] == ["mpii", "others"]
    assert lost.losses[1].startswith("PCKh@0.5 others LOST: ")


def test_an_advantage_of_ours_is_said(
    data: Path,
    peer: PeerFile,
    artifact_copy: Any,
    environment: Environment,
) -> None:
    artifact_copy.set("origin.trained_on", {"mpii": "AA=="})
    plan = PeersPlan((str(artifact_copy.folder),), rounds=1, power_s=0.0)
    report = peers_benchmark(plan, [peer], [read_mpii(data / "mpii")], environment)
    assert report.contestants[0].trained_on == ("mpii",)
    assert any("an advantage of ours" in note for note in report.notes)
    assert report.power_source is None
    assert report.contestants[0].efficiency is None


@pytest.mark.parametrize("kind", ["crowd_artifact", "detector_artifact"])
def test_other_tasks_are_refused(
    kind: str,
    request: pytest.FixtureRequest,
    data: Path,
    peer: PeerFile,
    environment: Environment,
) -> None:
    plan = PeersPlan((str(request.getfixturevalue(kind)),))
    with pytest.raises(UsageError, match="peers look at one person's crop"):
        peers_benchmark(plan, [peer], [read_mpii(data / "mpii")], environment)


def test_bad_contestants(
    data: Path, peer: PeerFile, tiny_artifact: Path, environment: Environment
) -> None:
    people = [read_mpii(data / "mpii")]
    twice = PeersPlan((str(tiny_artifact), str(tiny_artifact)))
    with pytest.raises(UsageError, match="two contestants of this name"):
        peers_benchmark(twice, [peer], people, environment)
    with pytest.raises(ArtifactError):
        peers_benchmark(PeersPlan(("absent",)), [peer], people, environment)


def test_the_command(
    bench: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    data: Path,
    tiny_artifact: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    known = ("peers", "--artifact", tiny_artifact, "--movenet", PEER, "--rounds", 1)
    known += ("--power-seconds", 0)
    code, out, err = bench(*known, "--data", data)
    assert code == 0
    assert "2 crops of mpii, 1 thread, in turns, medians over 1 rounds" in out
    assert "PCKh@0.5 mpii LOST" in out
    assert "where we lose" in out
    assert "warning: BlazePose: no pose_landmark_lite.tflite" in err
    assert "lspet" in err  # not there, and said once
    code, out, err = bench(*known, "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["schema"], report["kind"]) == ("edge_pose.bench/2", "peers")
    assert report["people"] == "one_person_walking.mp4"
    (tmp_path / "report.json").write_text(out, "utf-8")
    code, out, _ = bench("show", tmp_path / "report.json")
    assert code == 0
    assert "no data set, latency only" in out


def test_folders_come_from_the_environment(
    bench: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    data: Path,
    tiny_artifact: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "movenet_lightning_int8.tflite").write_bytes(PEER.read_bytes())
    monkeypatch.setenv("EDGE_POSE_PEERS", str(tmp_path))
    monkeypatch.setenv("EDGE_POSE_DATA", str(data))
    code, out, _ = bench(
        "peers", "--artifact", tiny_artifact, "--rounds", 1, "--power-seconds", 0, "--json"
    )
    assert code == 0
    report = json.loads(out)
    assert report["contestants"][1]["name"] == "MoveNet Lightning int8 k=1"
    assert report["contestants"][1]["scores"][0]["percent"] == pytest.approx(1100 / 12)


def test_bad_input_is_one_line(
    errors: Callable[..., str], data: Path, tiny_artifact: Path, tmp_path: Path
) -> None:
    assert "peers: there is none to compare with: MoveNet: no" in errors("peers")
    assert "absent.tflite: cannot be read" in errors("peers", "--movenet", "absent.tflite")
    known = ("peers", "--movenet", PEER, "--artifact", tiny_artifact)
    assert "mpii_annotations.json: cannot be read" in errors(*known, "--data", tmp_path)
    blobs = PEER.with_name("blobs_float32.tflite")
    line = errors("peers", "--movenet", blobs, "--artifact", tiny_artifact)
    assert "MoveNet SinglePose takes [1, side, side, 3]" in line
