"""The report of `edge-pose-bench peers`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from benchmarks.report import Report, Spread, Table
from benchmarks.run_report import Accuracy
from edge_pose.power import PowerSource


class Score(Accuracy):
    """Mean over the twelve common joints; the 95 % interval is over draws of the persons."""

    low: float
    high: float
    per_group: dict[str, float]


class Latency(Table):
    """Percentiles over the persons of a round, then over the rounds."""

    p50_ms: Spread
    p95_ms: Spread


class Efficiency(Table):
    """Some seconds of work in every round."""

    fps: Spread
    mean_w: Spread
    joules_per_frame: Spread
    accuracy_fps_per_watt: Spread | None = Field(description="AE; None without an accuracy")


class ContestantResult(Table):
    """One network with one crop."""

    name: str
    ours: bool
    file: str = Field(description="name of the model file")
    sha256: str
    size_bytes: int = Field(gt=0)
    precision: str = Field(description="as the manifest says; empty: a peer's file says nothing")
    backend: str
    backend_version: str
    input_size: tuple[int, int] = Field(description="w, h in px")
    crop_factor: float = Field(gt=0, description="side of the crop over 200 · scale px")
    trained_on: tuple[str, ...] = Field(
        description="data sets, other persons of which it was trained on; empty: not known"
    )
    scores: tuple[Score, ...] = Field(description="the first one is that of AE; empty: no data set")
    network: Latency = Field(description="the runtime alone, within the whole")
    whole: Latency = Field(description="crop, tensor, network, keypoints in the picture")
    efficiency: Efficiency | None


class Difference(Table):
    """Our accuracy minus the peer's, percentage points, over the same draws of persons."""

    dataset: str
    points: float
    low: float
    high: float


class Comparison(Table):
    """One of ours against one peer; ratios are above 1 where we are better, round by round."""

    ours: str
    peer: str
    accuracy: tuple[Difference, ...] = Field(description="as the contestants' scores")
    network: Spread = Field(description="the peer's p50 over ours")
    whole: Spread = Field(description="the peer's p50 over ours")
    efficiency: Spread | None = Field(description="our AE over the peer's")
    losses: tuple[str, ...] = Field(description="one line for each figure in which we are behind")


def verdict(middle: float, best: float, even: float) -> str:
    """Return "" where we are ahead, else whether noise may be the reason.

    Args:
        middle: what was measured; higher is better.
        best: the upper end of its spread or interval.
        even: the value at which both are equal.
    """
    if middle >= even:
        return ""
    return "lost, within noise" if best >= even else "LOST"


class PeersReport(Report):
    """The whole report."""

    kind: Literal["peers"] = "peers"
    threads: int = Field(ge=1, description="inference threads, of all alike")
    rounds: int = Field(ge=1)
    people: str = Field(description="name of the data set, or of the clip")
    n_persons: int = Field(ge=1)
    power_source: PowerSource | None = Field(description="None: power was not asked for")
    power_detail: str
    contestants: tuple[ContestantResult, ...] = Field(min_length=1)
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = Field(description="what was left out, and what all have in common")
