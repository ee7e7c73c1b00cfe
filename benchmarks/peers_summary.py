"""Figures of a `peers` benchmark from what its rounds found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers_accuracy import bounds, draws, hits, measure
from benchmarks.peers_measure import Turns
from benchmarks.peers_report import (
    Comparison,
    ContestantResult,
    Difference,
    Efficiency,
    Latency,
    Score,
    verdict,
)
from benchmarks.people import People
from benchmarks.report import Spread, spread
from edge_pose.types import FloatArray

Rounds: TypeAlias = Sequence[Mapping[str, Turns]]
Found: TypeAlias = tuple[People, Mapping[str, Sequence[FloatArray]]]
"""People, and the keypoints of each of them by contestant."""
Means: TypeAlias = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""By data set and contestant: the accuracy on each draw of persons."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A contestant; the fields are those of ContestantResult."""

    name: str
    ours: bool
    file: str
    sha256: str
    size_bytes: int
    precision: str
    backend: str
    backend_version: str
    input_size: tuple[int, int]
    crop_factor: float
    trained_on: tuple[str, ...]


def contestant_result(facts: Facts, rounds: Rounds, found: Sequence[Found]) -> ContestantResult:
    """Return one contestant's figures; `found` has what AE counts first."""
    turns = [done[facts.name] for done in rounds]
    scores = tuple(_score(people, of[facts.name]) for people, of in found if people.metric)
    percent = scores[0].percent if found[0][0].metric else None
    return ContestantResult(
        **asdict(facts),
        scores=scores,
        network=_latency([one.network_s for one in turns]),
        whole=_latency([one.whole_s for one in turns]),
        efficiency=_efficiency(turns, percent),
    )


def comparisons(
    results: Sequence[ContestantResult], rounds: Rounds, found: Sequence[Found]
) -> tuple[Comparison, ...]:
    """Compare each of ours with each peer."""
    means = {
        people.dataset: {name: draws(hits(seen, people)) for name, seen in of.items()}
        for people, of in found
        if people.metric
    }
    return tuple(
        _comparison(ours, peer, rounds, means)
        for ours in results
        if ours.ours
        for peer in results
        if not peer.ours
    )


def _comparison(
    ours: ContestantResult, peer: ContestantResult, rounds: Rounds, means: Means
) -> Comparison:
    pairs = [(done[ours.name], done[peer.name]) for done in rounds]
    accuracy = tuple(
        _difference(a, b, means[a.dataset][ours.name] - means[a.dataset][peer.name])
        for a, b in zip(ours.scores, peer.scores, strict=True)
    )
    network = spread(_p50(b.network_s) / _p50(a.network_s) for a, b in pairs)
    whole = spread(_p50(b.whole_s) / _p50(a.whole_s) for a, b in pairs)
    efficiency = _efficiency_ratio(ours, peer, pairs)
    losses = (
        *_less_accurate(ours, peer, accuracy),
        *_slower("network alone", ours.network, peer.network, network),
        *_slower("with pre/post-processing", ours.whole, peer.whole, whole),
        *_less_efficient(efficiency),
    )
    return Comparison(
        ours=ours.name,
        peer=peer.name,
        accuracy=accuracy,
        network=network,
        whole=whole,
        efficiency=efficiency,
        losses=losses,
    )


def _difference(ours: Score, peer: Score, differences: NDArray[np.float64]) -> Difference:
    low, high = bounds(differences)
    points = ours.percent - peer.percent
    return Difference(dataset=ours.dataset, points=points, low=low, high=high)


def _score(people: People, keypoints: Sequence[FloatArray]) -> Score:
    result = measure(keypoints, people)
    low, high = bounds(draws(hits(keypoints, people)))
    return Score(
        metric=people.metric,
        percent=result.mean12,
        dataset=people.dataset,
        n_persons=result.n_persons,
        low=low,
        high=high,
        per_group={name: v for name, v in result.per_group.items() if not np.isnan(v)},
    )


def _latency(rounds_s: Sequence[Sequence[float]]) -> Latency:
    return Latency(
        p50_ms=spread(1e3 * float(np.percentile(values, 50)) for values in rounds_s),
        p95_ms=spread(1e3 * float(np.percentile(values, 95)) for values in rounds_s),
    )


def _p50(values_s: Sequence[float]) -> float:
    return float(np.percentile(values_s, 50))


def _efficiency(turns: Sequence[Turns], percent: float | None) -> Efficiency | None:
    """Return None where power was not asked for, or the meter was lost in any round."""
    if any(not one.watts or one.lost or one.mean_w <= 0 for one in turns):
        return None
    ae = None if percent is None else spread(percent * one.fps / one.mean_w for one in turns)
    return Efficiency(
        fps=spread(one.fps for one in turns),
        mean_w=spread(one.mean_w for one in turns),
        joules_per_frame=spread(one.mean_w / one.fps for one in turns),
        accuracy_fps_per_watt=ae,
    )


def _efficiency_ratio(
    ours: ContestantResult, peer: ContestantResult, pairs: Sequence[tuple[Turns, Turns]]
) -> Spread | None:
    if not (_has_ae(ours) and _has_ae(peer)) or peer.scores[0].percent <= 0:
        return None
    factor = ours.scores[0].percent / peer.scores[0].percent
    return spread(factor * (a.fps / a.mean_w) / (b.fps / b.mean_w) for a, b in pairs)


def _has_ae(one: ContestantResult) -> bool:
    return one.efficiency is not None and one.efficiency.accuracy_fps_per_watt is not None


# Losses: one line for each figure in which ours is behind, however little.


def _less_accurate(
    ours: ContestantResult, peer: ContestantResult, accuracy: Sequence[Difference]
) -> Iterator[str]:
    for a, b, found in zip(ours.scores, peer.scores, accuracy, strict=True):
        if lost := verdict(found.points, found.high, 0.0):
            yield (
                f"{a.metric} {a.dataset} {lost}: {a.percent:.1f} against {b.percent:.1f},"
                f" {found.points:+.1f} points (95 %: {found.low:+.1f} to {found.high:+.1f})"
            )


def _slower(title: str, ours: Latency, peer: Latency, ratio: Spread) -> Iterator[str]:
    if lost := verdict(ratio.median, ratio.max, 1.0):
        yield (
            f"{title} {lost}: {ours.p50_ms.median:.2f} ms against {peer.p50_ms.median:.2f} ms,"
            f" {1 / ratio.median:.2f} times as slow ({1 / ratio.max:.2f} to {1 / ratio.min:.2f})"
        )


def _less_efficient(ratio: Spread | None) -> Iterator[str]:
    if ratio is not None and (lost := verdict(ratio.median, ratio.max, 1.0)):
        yield (
            f"accuracy × FPS / W {lost}: {ratio.median:.2f} times the peer's"
            f" ({ratio.min:.2f} to {ratio.max:.2f})"
        )
