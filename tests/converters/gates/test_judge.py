"""From figures to a verdict: what is no number passes nothing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from converters.gates import Limits
from converters.gates.judge import MIN_PEOPLE, Comparison, Score, judge, missing, worst_way
from converters.gates.maps import Likeness, compare_maps, off_by
from converters.gates.scores import ScorePairs
from converters.gates.watch import KEPT_MAPS, Watch
from edge_pose.manifest import Gate
from training.predictors import Network

NAN = float("nan")
LIMITS = Limits(1.5)
SOUND = cast("Watch", SimpleNamespace(broken=0, inputs=10, low=0.0, high=1.0, range=(0.0, 1.0)))
NONE = np.zeros(0, np.float32)


def pairs(before: float, after: float) -> ScorePairs:
    return ScorePairs(np.full(9, before, np.float32), np.full(9, after, np.float32), 0.3)


GOOD = Comparison(
    dataset="figures",
    n_persons=9,
    before=Score("PCK", 80.0),
    after=Score("PCK", 79.5),
    drift_px=np.ones(9, np.float32),
    agreement=0.95,
    scores=pairs(0.9, 0.85),
    stride=4,
    data_sha256="ab" * 32,
    joint_agreement={"nose": 0.9, "knee": 0.9},
    people=(0.02, 0.04),
    maps=Likeness(0.98, 1.1, 0.1),
)


def report(artifact: Watch = SOUND, **changes: Any) -> Gate:
    return judge(replace(GOOD, **changes), SOUND, artifact, LIMITS)


def test_good_figures_pass() -> None:
    gate = report()
    assert (gate.passed, gate.reasons, gate.broken) == (True, (), False)
    assert (gate.score_drift_p95, gate.same_side) == (0.05, 1.0)
    assert (gate.map_correlation, gate.map_gain, gate.map_offset) == (0.98, 1.1, 0.1)
    assert (gate.lost_people, gate.invented_people, gate.limit_people) == (0.02, 0.04, 0.05)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"before": Score("PCK", NAN)}, "accuracy of the checkpoint"),
        ({"after": Score("PCK", NAN)}, "accuracy"),
        ({"drift_px": np.array([1, NAN, 1], np.float32)}, "drift"),
        ({"drift_px": NONE}, "drift"),
        ({"agreement": NAN}, "agreement"),
        ({"scores": ScorePairs(NONE, NONE, 0.3)}, "difference of scores"),
        ({"scores": pairs(0.9, NAN)}, "difference of scores"),
        ({"joint_agreement": {"nose": NAN}}, "agreement of nose"),
        ({"maps": Likeness(NAN, 1.0, 0.0)}, "correlation of maps"),
        ({"maps": Likeness(1.0, NAN, 0.0)}, "gain"),
        ({"maps": Likeness(1.0, 1.0, NAN)}, "offset"),
    ],
)
def test_what_is_no_number_fails(changes: dict[str, Any], reason: str) -> None:
    gate = report(**changes)
    assert (gate.passed, gate.broken) == (False, True)
    assert f"{reason} could not be measured" in gate.reasons
    assert Gate.model_validate_json(gate.model_dump_json()) == gate


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"after": Score("PCK", 78.0)}, "accuracy falls by 2.000 points, 1.5 pass"),
        ({"drift_px": np.full(9, 2.0)}, "drift p50 is 2.00 px, 1.2 pass"),
        ({"drift_px": np.repeat([1.0, 7.0], (7, 2))}, "drift p95 is 7.00 px, 6 pass"),
        ({"agreement": 0.87}, "87.0% within one heatmap px, 90% pass"),
        (
            {"joint_agreement": {"nose": 0.4, "knee": 0.1}},
            "knee and 1 more keypoint: 10.0% within one heatmap px, 80% pass",
        ),
        ({"people": (0.07, 0.0)}, "7.0% of the people are lost, 5% pass"),
        ({"people": (0.0, 0.07)}, "7.0% of the people found are not the checkpoint's, 5% pass"),
        ({"scores": pairs(0.9, 0.6)}, "scores differ by 0.300 (p95), 0.1 pass"),
        (
            {"scores": pairs(0.34, 0.26)},
            "0.0% of the scores on the same side of what a device shows, 95% pass",
        ),
        ({"maps": Likeness(0.7, 1.0, 0.0)}, "maps correlate by 0.700, 0.95 passes"),
        ({"maps": Likeness(1.0, 0.7, 0.0)}, "maps are 0.7 times the checkpoint's, 1.15 passes"),
        ({"maps": Likeness(1.0, 1.5, 0.0)}, "maps are 1.5 times the checkpoint's, 1.15 passes"),
        ({"maps": Likeness(1.0, 0.0, 0.0)}, "maps are 0 times the checkpoint's, 1.15 passes"),
        ({"maps": Likeness(1.0, 1.0, 0.4)}, "maps are shifted by 0.4 of their spread, 0.2 passes"),
    ],
)
def test_each_limit_has_its_words(changes: dict[str, Any], reason: str) -> None:
    gate = report(**changes)
    assert gate.reasons == (reason,)
    assert not gate.broken


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"broken": 3}, "outputs are not numbers on 3 of 10 pictures"),
        ({"low": 1.0}, "all outputs are 1"),
        ({"low": NAN}, "all outputs are nan"),
    ],
)
def test_outputs_that_mean_nothing(state: dict[str, Any], reason: str) -> None:
    gate = report(cast("Watch", SimpleNamespace(**(vars(SOUND) | state))))
    assert gate.reasons == (reason,)
    assert gate.broken


def test_a_share_of_few_people_is_not_judged() -> None:
    found = np.arange(MIN_PEOPLE) > 0
    assert missing(found) == pytest.approx(1 / MIN_PEOPLE)
    assert missing(found[:-1]) is None
    gate = report(people=(missing(found[:-1]), 0.04))
    assert (gate.lost_people, gate.invented_people, gate.limit_people) == (None, 0.04, 0.05)
    few = report(people=(None, None))
    assert few.passed
    assert (few.lost_people, few.invented_people, few.limit_people) == (None, None, None)


@pytest.mark.parametrize(("pictures", "batch"), [(543, 32), (100, 1), (32, 32), (5, 2), (1, 1)])
def test_maps_of_pictures_all_over_the_set_are_kept(pictures: int, batch: int) -> None:
    network = SimpleNamespace(maps=lambda tensor: [tensor])
    for name in ("name", "task", "trained_on", "spec", "stride", "heatmap_kind", "keypoints"):
        setattr(network, name, None)
    watch = Watch(cast("Network", network), pictures)
    numbers = np.arange(pictures, dtype=np.float32)[:, None, None, None]
    for start in range(0, pictures, batch):
        watch.maps(numbers[start : start + batch])
    kept = [int(outputs[0].item()) for outputs in watch.kept]
    assert len(kept) == min(KEPT_MAPS, pictures)
    assert (kept[0], kept[-1], watch.inputs) == (0, pictures - 1, pictures)
    assert max(np.diff(kept), default=0) <= np.ceil(pictures / KEPT_MAPS) + 1


def test_scores_at_the_limit_may_round_over_it() -> None:
    assert pairs(0.31, 0.29).same_side == 1.0
    assert pairs(0.38, 0.28).same_side == pairs(0.28, 0.38).same_side == 0.0
    assert pairs(0.9, 0.4).same_side == pairs(0.2, 0.0).same_side == 1.0


def test_the_worse_direction_counts() -> None:
    there, back = np.ones(100, np.bool_), np.arange(200) < 100
    assert worst_way([there, back]) == worst_way([back, there]) == 0.5
    assert worst_way([there, back[:0]]) == 1.0
    assert np.isnan(worst_way([back[:0]]))


def test_the_worst_channel_counts() -> None:
    rng = np.random.default_rng(0)
    pictures = [(rng.normal(size=(40, 8, 8)).astype(np.float32),) for _ in range(3)]
    for (maps,) in pictures:
        maps[7] = 0.5  # the checkpoint itself has nothing there
    one = pytest.approx(1)
    assert compare_maps(pictures, pictures) == Likeness(one, one, 0.0)
    dead = [(maps.copy(),) for (maps,) in pictures]
    for (maps,) in dead:
        maps[3], maps[7] = 0, rng.normal(size=(8, 8))
    found = compare_maps(pictures, dead)
    assert (found.correlation, found.gain) == (0.0, 0.0)
    faint = [(maps * np.where(np.arange(40) == 5, 0.1, 1)[:, None, None],) for (maps,) in pictures]
    assert compare_maps(pictures, faint).gain == pytest.approx(0.1)
    lower = [(maps - 0.5 * (np.arange(40) == 9)[:, None, None],) for (maps,) in pictures]
    moved = compare_maps(pictures, lower)
    assert moved.offset == pytest.approx(0.5, abs=0.1)  # of a spread of about 1
    assert (moved.correlation, moved.gain) == (one, one)


def test_gains_are_as_far_off_either_way() -> None:
    assert off_by(0.5) == off_by(2.0) == 2.0
    assert off_by(0.0) == off_by(-1.0) == off_by(NAN) == float("inf")
